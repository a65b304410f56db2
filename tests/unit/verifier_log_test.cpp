#include "kernel/verifier_log.hpp"

#include <catch2/catch.hpp>
#include <set>
#include <string>

#include "kernel/verifier_advice.hpp"
#include "kernel/verifier_state.hpp"

using namespace lb;
using namespace lb::kernel;

namespace {

using bpf::r0, bpf::r1, bpf::r2, bpf::r3, bpf::r6, bpf::r7;

bpf::RawInsn raw(const bpf::Insn& insn)
{
    return {insn.opcode, static_cast<u8>(insn.dst.index | insn.src.index << 4), insn.off,
            static_cast<i32>(insn.imm)};
}

// The program whose rejection by Linux 6.18 the two logs below are; its lines are 30 + slot / 4.
bpf::Program claims_too_little()
{
    using namespace bpf;
    Program program{.name = "lb_ingress"};
    for (const Insn& each :
         {load(Width::w32, r6, r1, 0), load(Width::w32, r7, r1, 4), load(Width::w32, r3, r1, 16),
          mov64(r2, r6), alu64(Alu::add, r2, 14), jump(Jmp::gt, r2, r7, 6), load(Width::w16, r0, r6, 12),
          jump32(Jmp::eq, r0, 8, 2), mov64(bpf::r4, 1), jump(Jmp::eq, r3, 9, 2), mov64(r0, 2), bpf::exit(),
          load(Width::w8, r0, r6, 20), mov64(r0, 2), bpf::exit()})
        program.code.push_back(raw(each));
    program.lines = {{0, "ingress.cpp", 30, 5, "find the packet"},
                     {5, "ingress.cpp", 34, 5, "parse eth/ipv4/tcp"},
                     {8, "ingress.cpp", 36, 5, ""},
                     {12, "ingress.cpp", 40, 5, "read the protocol"}};
    return program;
}

constexpr auto level_1 =
    R"(0: R1=ctx() R10=fp0
; find the packet @ ingress.cpp:30
0: (61) r6 = *(u32 *)(r1 +0)          ; R1=ctx() R6=pkt(r=0)
1: (61) r7 = *(u32 *)(r1 +4)          ; R1=ctx() R7=pkt_end()
2: (61) r3 = *(u32 *)(r1 +16)         ; R1=ctx() R3=scalar(smin=0,smax=umax=0xffffffff,var_off=(0x0; 0xffffffff))
3: (bf) r2 = r6                       ; R2=pkt(r=0) R6=pkt(r=0)
4: (07) r2 += 14                      ; R2=pkt(off=14,r=0)
5: (2d) if r2 > r7 goto pc+6          ; R2=pkt(off=14,r=14) R7=pkt_end()
6: (69) r0 = *(u16 *)(r6 +12)         ; R0=scalar(smin=smin32=0,smax=umax=smax32=umax32=0xffff,var_off=(0x0; 0xffff)) R6=pkt(r=14)
7: (16) if w0 == 0x8 goto pc+2        ; R0=scalar(smin=smin32=0,smax=umax=smax32=umax32=0xffff,var_off=(0x0; 0xffff))
8: (b7) r4 = 1                        ; R4=1
9: (15) if r3 == 0x9 goto pc+2 12: R0=scalar(smin=smin32=0,smax=umax=smax32=umax32=0xffff,var_off=(0x0; 0xffff)) R1=ctx() R2=pkt(off=14,r=14) R3=9 R4=1 R6=pkt(r=14) R7=pkt_end() R10=fp0
12: (71) r0 = *(u8 *)(r6 +20)
invalid access to packet, off=20 size=1, R6(id=0,off=20,r=14)
R6 offset is outside of the packet
processed 13 insns (limit 1000000) max_states_per_insn 0 total_states 1 peak_states 1 mark_read 0
)";

constexpr auto level_2 =
    R"(func#0 @0
Live regs before insn:
      8: ...3..6... (b7) r4 = 1
  1   9: ...3..6... (15) if r3 == 0x9 goto pc+2
0: R1=ctx() R10=fp0
0: (61) r6 = *(u32 *)(r1 +0)          ; R1=ctx() R6=pkt(r=0)
1: (61) r7 = *(u32 *)(r1 +4)          ; R1=ctx() R7=pkt_end()
2: (61) r3 = *(u32 *)(r1 +16)         ; R1=ctx() R3=scalar(smin=0,smax=umax=0xffffffff,var_off=(0x0; 0xffffffff))
3: (bf) r2 = r6                       ; R2=pkt(r=0) R6=pkt(r=0)
4: (07) r2 += 14                      ; R2=pkt(off=14,r=0)
5: (2d) if r2 > r7 goto pc+6          ; R2=pkt(off=14,r=14) R7=pkt_end()
6: (69) r0 = *(u16 *)(r6 +12)         ; R0=scalar(smin=smin32=0,smax=umax=smax32=umax32=0xffff,var_off=(0x0; 0xffff)) R6=pkt(r=14)
7: (16) if w0 == 0x8 goto pc+2        ; R0=scalar(smin=smin32=0,smax=umax=smax32=umax32=0xffff,var_off=(0x0; 0xffff))
mark_precise: frame0: last_idx 7 first_idx 0 subseq_idx -1 
8: (b7) r4 = 1                        ; R4=1
9: (15) if r3 == 0x9 goto pc+2        ; R3=scalar(smin=0,smax=umax=0xffffffff,var_off=(0x0; 0xffffffff))
10: (b7) r0 = 2                       ; R0=2
11: (95) exit

from 9 to 12: R0=scalar(smin=smin32=0,smax=umax=smax32=umax32=0xffff,var_off=(0x0; 0xffff)) R1=ctx() R2=pkt(off=14,r=14) R3=9 R4=1 R6=pkt(r=14) R7=pkt_end() R10=fp0
12: R0=scalar(smin=smin32=0,smax=umax=smax32=umax32=0xffff,var_off=(0x0; 0xffff)) R1=ctx() R2=pkt(off=14,r=14) R3=9 R4=1 R6=pkt(r=14) R7=pkt_end() R10=fp0
12: (71) r0 = *(u8 *)(r6 +20)
invalid access to packet, off=20 size=1, R6(id=0,off=20,r=14)
R6 offset is outside of the packet
processed 13 insns (limit 1000000) max_states_per_insn 0 total_states 1 peak_states 1 mark_read 0
)";

constexpr auto shown =
    R"(invalid access to packet, off=20 size=1, R6(id=0,off=20,r=14)
at slot 12, made by ingress.cpp:40 (read the protocol)

The way there:
  ingress.cpp:30 (find the packet)
         0: r6 = *(u32 *)(r1 +0)
         1: r7 = *(u32 *)(r1 +4)
         2: r3 = *(u32 *)(r1 +16)
         3: r2 = r6
         4: r2 += 14
  ingress.cpp:34 (parse eth/ipv4/tcp)
         5: if r2 > r7 goto pc+6   (not taken)
         6: r0 = *(u16 *)(r6 +12)
         7: if w0 == 0x8 goto pc+2   (not taken)
  ingress.cpp:36
         8: r4 = 1
         9: if r3 == 0x9 goto pc+2   (taken)
  ingress.cpp:40 (read the protocol)
  >     12: r0 = *(u8 *)(r6 +20)

Registers there:
  r6 is a packet pointer of which 14 bytes are checked

What it means: These bytes of the packet have not been compared with the packet's end on this path.
What to change: Reach the header through Packet::claim or claim_at, with every header up to it in one claim; after a helper that changes the packet (pull, adjust_head, store_bytes), claim again.
)";

std::vector<u32> slots_of(const VerifierReport& report)
{
    std::vector<u32> slots;
    for (const PathStep& step : report.path)
        if (step.slot) slots.push_back(*step.slot);
    return slots;
}

} // namespace

TEST_CASE("a rejection is shown as the way that failed, under the lines that made it", "[verifier_log]")
{
    CHECK(to_text(explain_rejection(level_1, claims_too_little())) == shown);
}

TEST_CASE("the full log, with the branches that were fine, is trimmed to the same way", "[verifier_log]")
{
    CHECK(to_text(explain_rejection(level_2, claims_too_little())) == shown);
}

TEST_CASE("a branch taken up again continues from the latest visit that is still open", "[verifier_log]")
{
    // From a loop of three rounds: the branch of the second round was fine, that of the first one fails.
    const auto report = explain_rejection("0: R1=ctx() R10=fp0\n"
                                          "0: (b7) r6 = 0                        ; R6=0\n"
                                          "1: (07) r6 += 1                       ; R6=1\n"
                                          "2: (1d) if r3 == r6 goto pc+2         ; R6=1\n"
                                          "3: (05) goto pc-3\n"
                                          "1: (07) r6 += 1                       ; R6=2\n"
                                          "2: (1d) if r3 == r6 goto pc+2         ; R6=2\n"
                                          "4: (95) exit\n"
                                          "\n"
                                          "from 2 to 5: R1=ctx() R6=2 R10=fp0\n"
                                          "5: (95) exit\n"
                                          "\n"
                                          "from 2 to 5: R1=ctx() R6=1 R10=fp0\n"
                                          "5: (71) r0 = *(u8 *)(r6 +20)\n"
                                          "R6 invalid mem access 'scalar'\n",
                                          {});
    CHECK(slots_of(report) == std::vector<u32>{0, 1, 2, 5});
    CHECK(report.registers == std::vector<std::string>{"r6 is the number 1"});
}

TEST_CASE("a long way keeps its last 16 instructions and the branches before them", "[verifier_log]")
{
    std::string log = "0: R1=ctx() R10=fp0\n";
    for (int i = 0; i < 400; ++i)
        log += std::to_string(i) +
               (i % 10 == 3 ? ": (15) if r1 == 0x0 goto pc+900 ; R1=5\n" : ": (b7) r0 = 1 ; R0=1\n");
    log += "400: (bf) r0 = r3\nR3 !read_ok\n";
    const auto report = explain_rejection(log, {});
    const std::vector<u32> slots = slots_of(report);
    REQUIRE(slots.size() == 28);
    CHECK(slots.front() == 273);
    CHECK(slots[11] == 383);
    CHECK(slots[12] == 385);
    CHECK(slots.back() == 400);
    CHECK(report.path.front().text == "... 273 instructions");
    CHECK(report.path[1].text == "if r1 == 0x0 goto pc+900   (not taken)");
    CHECK(report.registers == std::vector<std::string>{"r3 is not set on this path"});
}

TEST_CASE("a map has its name where the kernel prints an address", "[verifier_log]")
{
    bpf::Program program;
    program.relocs = {{.kind = bpf::Reloc::Kind::map_fd, .slot = 0, .symbol = "flows"}};
    const auto report = explain_rejection("0: R1=ctx() R10=fp0\n"
                                          "0: (18) r1 = 0xffff888103a0e000       ; R1=map_ptr()\n"
                                          "2: (18) r2 = 0x1122334455667788       ; R2=0x1122334455667788\n"
                                          "4: (bf) r0 = r3\n"
                                          "R3 !read_ok\n",
                                          program);
    REQUIRE(report.path.size() == 3);
    CHECK(report.path[0].text == "r1 = map[flows]");
    CHECK(report.path[1].text == "r2 = 0x1122334455667788");
}

TEST_CASE("a call of a helper leaves r1-r5 unset, and a subprogram has registers of its own",
          "[verifier_log]")
{
    const auto after_helper = explain_rejection("0: R1=ctx() R10=fp0\n"
                                                "0: (b7) r1 = 5                        ; R1=5\n"
                                                "1: (85) call bpf_ktime_get_ns#5       ; R0=scalar()\n"
                                                "2: (bf) r0 = r1\n"
                                                "R1 !read_ok\n",
                                                {});
    CHECK(after_helper.registers == std::vector<std::string>{"r1 is not set on this path"});

    const auto inside = explain_rejection("0: R1=ctx() R10=fp0\n"
                                          "0: (bf) r6 = r1                       ; R1=ctx() R6=ctx()\n"
                                          "1: (b7) r1 = 5                        ; R1=5\n"
                                          "2: (85) call pc+2\n"
                                          "caller:\n"
                                          " R6=ctx() R10=fp0\n"
                                          "callee:\n"
                                          " frame1: R1=5 R10=fp0\n"
                                          "5: frame1: R1=5 R10=fp0\n"
                                          "5: (61) r0 = *(u32 *)(r1 +0)\n"
                                          "R1 invalid mem access 'scalar'\n",
                                          {});
    CHECK(inside.slot == 5u);
    CHECK(inside.registers == std::vector<std::string>{"r1 is the number 5"});

    const auto back = explain_rejection("2: (85) call pc+2\n"
                                        "caller:\n"
                                        " R6=ctx() R10=fp0\n"
                                        "callee:\n"
                                        " frame1: R1=5 R10=fp0\n"
                                        "5: (bf) r0 = r1                       ; frame1: R0=5 R1=5\n"
                                        "6: (95) exit\n"
                                        "returning from callee:\n"
                                        " frame1: R0=5 R1=5 R10=fp0\n"
                                        "to caller at 3:\n"
                                        " R0=7 R6=ctx() R10=fp0\n"
                                        "\n"
                                        "from 6 to 3: R0=7 R6=ctx() R10=fp0\n"
                                        "3: (61) r0 = *(u32 *)(r0 +0)\n"
                                        "R0 invalid mem access 'scalar'\n",
                                        {});
    CHECK(slots_of(back) == std::vector<u32>{2, 5, 6, 3});
    CHECK(back.registers == std::vector<std::string>{"r0 is the number 7"});
}

TEST_CASE("registers are those before the failing instruction, whose arguments a call has not destroyed yet",
          "[verifier_log]")
{
    const auto report = explain_rejection("0: R1=ctx() R10=fp0\n"
                                          "0: (b7) r2 = 1                        ; R2=1\n"
                                          "1: (85) call bpf_map_lookup_elem#1\n"
                                          "R2 type=scalar expected=fp, pkt, map_value\n",
                                          {});
    CHECK(report.registers == std::vector<std::string>{"r2 is the number 1"});
}

TEST_CASE("an annotation changes what it names; a complete state unsets what it does not name",
          "[verifier_log]")
{
    const std::string start = "0: R1=ctx() R10=fp0\n"
                              "0: (b7) r6 = 5                        ; R6=5\n"
                              "1: (62) *(u32 *)(r10 -4) = 0          ; R10=fp0 fp-8=0000????\n";
    const auto kept =
        explain_rejection(start + "2: (71) r0 = *(u8 *)(r6 +0)\nR6 invalid mem access 'scalar'\n", {});
    CHECK(kept.registers == std::vector<std::string>{"r6 is the number 5"});
    const auto unset = explain_rejection(start + "2: R1=ctx() R10=fp0\n2: (bf) r0 = r6\nR6 !read_ok\n", {});
    CHECK(unset.registers == std::vector<std::string>{"r6 is not set on this path"});
}

TEST_CASE("what the kernel said before the last instruction is not the complaint", "[verifier_log]")
{
    const auto report = explain_rejection("arg#0 reference type('UNKNOWN ') size cannot be determined: -22\n"
                                          "0: (95) exit\n"
                                          "the kernel says something new\n",
                                          {});
    CHECK(report.complaint == "the kernel says something new");
}

TEST_CASE("a complaint that the kernel glued to a jump is found", "[verifier_log]")
{
    const auto report = explain_rejection("0: R1=ctx() R10=fp0\n"
                                          "0: (b7) r0 = 0                        ; R0=0\n"
                                          "1: (b7) r0 = 0                        ; R0=0\n"
                                          "2: (55) if r1 != 0x0 goto pc-2 1: R0=0 R1=ctx() R10=fp0\n"
                                          "1: (b7) r0 = 0                        ; R0=0\n"
                                          "2: (55) if r1 != 0x0 goto pc-2 infinite loop detected at insn 1\n"
                                          "cur state: R0=0 R1=ctx() R10=fp0\n"
                                          "old state: R0=0 R1=ctx() R10=fp0\n",
                                          claims_too_little());
    CHECK(report.complaint == "infinite loop detected at insn 1");
    CHECK(report.slot == 1u);
    CHECK(report.where == "ingress.cpp:30 (find the packet)");
    CHECK(slots_of(report) == std::vector<u32>{0, 1, 2, 1, 2});
}

TEST_CASE("complaints about the shape of the program name the slot in their text, or none", "[verifier_log]")
{
    const auto program = claims_too_little();
    CHECK(explain_rejection("unreachable insn 9\nprocessed 0 insns (limit 1000000)\n", program).where ==
          "ingress.cpp:36");
    CHECK(explain_rejection("jump out of range from insn 5 to 102\n", program).slot == 5u);
    CHECK(explain_rejection("back-edge from insn 7 to 2\n", program).slot == 7u);
    CHECK(explain_rejection("last insn is not an exit or jmp\n", program).slot == 14u);
    const auto stack =
        explain_rejection("0: (95) exit\ncombined stack size of 2 calls is 800. Too large\n", program);
    CHECK_FALSE(stack.slot);
    CHECK(stack.path.empty());
    CHECK_FALSE(stack.advice.empty());
}

TEST_CASE("a complaint that nobody explained is shown as it is", "[verifier_log]")
{
    const auto report =
        explain_rejection("0: (95) exit\nthe kernel says something new\n", claims_too_little());
    CHECK(report.complaint == "the kernel says something new");
    CHECK(report.slot == 0u);
    CHECK(report.advice.empty());
}

TEST_CASE("logs that are empty, cut or no logs at all leave the report empty", "[verifier_log]")
{
    CHECK(to_text(explain_rejection("", {})) == "the verifier's log has no complaint\n");
    for (const char* text :
         {"\n\n\n", "from", "from 1 to", "from 4294967296 to 3: R", "7: (", "7: (95", "9: (05) goto pc",
          "99999999999999999999: (95) exit", "R", "R11=5", "frame: R1=", "0: R1=ctx( R2=))((",
          "unreachable insn ", "stack depth +", "processed", "in pc+2 ; R0=5\n0: (95) exit ; R0="})
        CHECK_NOTHROW(to_text(explain_rejection(text, {})));
    CHECK_FALSE(explain_rejection("unreachable insn x\n", {}).slot);
}

TEST_CASE("registers are put in words", "[verifier_log]")
{
    const std::vector<std::pair<std::string, std::string>> table = {
        {"5", "the number 5"},
        {"-3", "the number -3"},
        {"P5", "the number 5"},
        {"0x31616", "the number 202262"},
        {"inv7", "the number 7"},
        {"invP7", "the number 7"},
        {"scalar()", "an unknown number"},
        {"scalar(smin=smin32=0,smax=umax=smax32=umax32=255,var_off=(0x0; 0xff))", "an unknown number 0..255"},
        {"Pscalar(smin=umin=1,smax=umax=0x10)", "an unknown number 1..16"},
        {"scalar(smin=-4,smax=3)", "an unknown number -4..3"},
        {"inv(id=0,umax_value=255,var_off=(0x0; 0xff))", "an unknown number 0..255"},
        {"ctx()", "the context"},
        {"ctx(off=4)", "the context, 4 bytes in"},
        {"pkt(r=0)", "a packet pointer of which no byte is checked"},
        {"pkt(r=14)", "a packet pointer of which 14 bytes are checked"},
        {"pkt(off=14,r=34)", "a packet pointer, 14 bytes in, of which 20 bytes are checked"},
        {"pkt(id=2,off=14,r=15,smin=0,smax=umax=60,var_off=(0x0; 0x3c))",
         "a packet pointer, 14 bytes in, moved by an unknown number 0..60, of which 1 byte is checked"},
        {"pkt(id=0,off=0,r=54,imm=0)", "a packet pointer of which 54 bytes are checked"},
        {"pkt_end()", "the end of the packet"},
        {"map_value(map=counts,ks=4,vs=8)", "a value of map 'counts' (8 bytes)"},
        {"map_value(map=counts,ks=4,vs=8,smin=smin32=0,smax=umax=15,var_off=(0x0; 0xf))",
         "a value of map 'counts' (8 bytes), moved by an unknown number 0..15"},
        {"map_value_or_null(id=1,map=counts,ks=4,vs=8)",
         "a value of map 'counts' (8 bytes) or null: it was not compared with 0 yet"},
        {"map_ptr(map=counts,ks=4,vs=8)", "map 'counts'"},
        {"fp0", "the top of the stack frame"},
        {"fp-8", "a pointer into the stack, 8 bytes below the frame's top"},
        {"ringbuf_mem_or_null(id=2,ref_obj_id=2,sz=8)",
         "a pointer to ringbuf mem (8 bytes) or null: it was not compared with 0 yet"},
        {"", "not set on this path"},
    };
    for (const auto& [state, words] : table) CHECK(in_words(state) == words);
}

TEST_CASE("the statistics are read from the log of an accepted program", "[verifier_log]")
{
    const auto stats = parse_verifier_stats("verification time 31 usec\nstack depth 16+40+0\n"
                                            "processed 179 insns (limit 1000000) max_states_per_insn 2 "
                                            "total_states 11 peak_states 9 mark_read 3\n");
    REQUIRE(stats);
    CHECK(stats->instructions == 179);
    CHECK(stats->instructions_limit == 1'000'000);
    CHECK(stats->max_states_per_insn == 2);
    CHECK(stats->total_states == 11);
    CHECK(stats->peak_states == 9);
    CHECK(stats->mark_read == 3);
    CHECK(stats->stack_depth == std::vector<u32>{16, 40, 0});
    CHECK(stats->microseconds == 31u);
}

TEST_CASE("a log without the processed line has no statistics", "[verifier_log]")
{
    CHECK_FALSE(parse_verifier_stats(""));
    CHECK_FALSE(parse_verifier_stats("stack depth 8\nverification time 3 usec\n"));
    CHECK(parse_verifier_stats("processed 7 insns (limit 1000000)\n")->instructions == 7);
    CHECK_FALSE(parse_verifier_stats("processed 7 insns (limit 1000000)\n")->microseconds);
}

TEST_CASE("every row of the advice says what it means and what to change, and each pattern stands once",
          "[verifier_log]")
{
    std::set<std::string_view> patterns;
    for (const Complaint& row : complaints()) {
        INFO(row.pattern);
        CHECK(patterns.insert(row.pattern).second);
        CHECK(row.cause.ends_with('.'));
        CHECK(row.advice.ends_with('.'));
        CHECK((row.blames == Blames::named) == !row.marker.empty());
        CHECK(find_complaint(row.pattern) == &row); // no row before it takes its place
    }
}

TEST_CASE("a pattern's pieces must stand in the line in their order", "[verifier_log]")
{
    CHECK(matches("R* type=* expected=", "R2 type=scalar expected=fp, pkt"));
    CHECK_FALSE(matches("R* type=* expected=", "expected=fp type=scalar R2"));
    CHECK(matches("!read_ok", "R3 !read_ok"));
    CHECK_FALSE(matches("!read_ok", "R3 read_ok"));
}
