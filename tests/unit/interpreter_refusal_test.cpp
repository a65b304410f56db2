// Faults of helpers and control, what a fault's text says, and what is refused before a run.
#include "interpreter_fixture.hpp"

#include "lb/asm/dsl.hpp"

using namespace lb;
using namespace lb::bpf;
using namespace lb::bpf::test;

namespace {

const FaultCase cases[] = {
    // helpers
    {"a helper that is not interpreted", xdp, join({call(Helper::fib_lookup), {exit()}}),
     FaultKind::unsupported, 0, "helper bpf_fib_lookup is not interpreted"},
    {"a kernel function",
     xdp,
     {call_kfunc(1234), exit()},
     FaultKind::unsupported,
     0,
     "kernel function with BTF id 1234 is not interpreted"},
    {"an skb helper in XDP", xdp, join({call(Helper::skb_pull_data), {exit()}}), FaultKind::unsupported, 0,
     "bpf_skb_pull_data is for TC programs"},
    {"an XDP helper in TC", tc, join({call(Helper::xdp_get_buff_len), {exit()}}), FaultKind::unsupported, 0,
     "bpf_xdp_get_buff_len is for XDP programs"},
    {"no map", xdp, join({call(Helper::map_lookup_elem), {exit()}}), FaultKind::bad_argument, 0,
     "argument 1 is a pointer to the context, not a map"},
    {"a ring buffer looked up in", xdp, join({{load_map(r1, 1)}, call(Helper::map_lookup_elem), {exit()}}),
     FaultKind::bad_argument, 2, "map 'ring' is a ring buffer"},
    {"a record in another kind of map", xdp,
     join({{load_map(r1, 2)}, call(Helper::ringbuf_reserve), {exit()}}), FaultKind::bad_argument, 2,
     "map 'numbers' is no ring buffer"},
    {"a key that is no pointer", xdp,
     join({{load_map(r1), mov64(r2, 5)}, call(Helper::map_lookup_elem), {exit()}}), FaultKind::not_a_pointer,
     3, "the key: an access through a number"},
    {"not the context", tc, join({{mov64(r1, 1), mov64(r2, 1)}, call(Helper::skb_pull_data), {exit()}}),
     FaultKind::bad_argument, 2, "argument 1 is a number, not the context"},
    {"no random number", xdp, join({call(Helper::get_prandom_u32), {exit()}}), FaultKind::bad_input, 0,
     "the environment has no random number left"},
    {"a classic load without the context",
     tc,
     {mov64(r6, 1), load_abs(Width::w8, 0), exit()},
     FaultKind::bad_argument,
     1,
     "r6 is a number, not the context"},
    // control
    {"off the end", xdp, {mov64(r0, 0)}, FaultKind::bad_jump, 0, "control leaves the program for slot 1"},
    {"before the start",
     xdp,
     {mov64(r0, 0), go(-3), exit()},
     FaultKind::bad_jump,
     1,
     "control leaves the program for slot -1"},
    {"into an instruction",
     xdp,
     {go(1), ld_imm64(r0, 0), exit()},
     FaultKind::bad_jump,
     0,
     "control enters the middle of the instruction at slot 1"},
    {"a function that calls itself",
     xdp,
     {call_local(-1), exit()},
     FaultKind::call_depth,
     0,
     "the call would make frame 9; the kernel has 8"},
};

} // namespace

TEST_CASE("what a helper does not take ends the run, and so does control that goes astray", "[interpreter]")
{
    check_faults(cases);
}

TEST_CASE("a program that does not end is stopped after as many steps as were allowed", "[interpreter]")
{
    u64 steps = 0;
    const Fault fault =
        fault_of(xdp, {mov64(r0, 0), go(-1)}, {.steps_max = 1000, .trace = [&](u32) { ++steps; }});
    CHECK(fault.kind == FaultKind::step_limit);
    CHECK(fault.message == "the program has taken 1000 steps");
    CHECK(steps == 1000);
}

TEST_CASE("a fault's text has the instruction and the C++ line with its note", "[interpreter]")
{
    Dsl b("count", xdp, AttachType::xdp);
    XdpPacket data(b);
    b.note("reads without a check");
    b.emit(load(Width::w16, r0, data.data(), 70));
    const u32 line = __LINE__ - 1;
    b.exit(no_reason);
    const auto program = b.finish();
    REQUIRE(program);
    const Fault fault = must_fail(interpret(*program, input_for(xdp)));
    CHECK(fault.line == line);
    CHECK(to_string(fault) ==
          "slot 2: (69) r0 = *(u16 *)(r6 +70) @ interpreter_refusal_test.cpp:" + std::to_string(line) +
              " (reads without a check): 2 bytes at 70 of the packet's linear part, which has "
              "0..63");
}

TEST_CASE("a run is refused an input that the program's type does not take", "[interpreter]")
{
    const Insns nothing{mov64(r0, 0), exit()};
    const auto message = [&](ProgramType type, Input input, Environment environment = {}) {
        const Fault fault = must_fail(interpret(program_of(type, nothing), std::move(input), environment));
        CHECK(fault.kind == FaultKind::bad_input);
        return to_string(fault);
    };
    CHECK(message(xdp, SkbInput{}) == "an XDP program runs on an XdpInput");
    CHECK(message(tc, XdpInput{}) == "an skb program runs on an SkbInput");
    CHECK(message(ProgramType::syscall, XdpInput{}) == "a syscall program runs on a SyscallInput");
    CHECK(message(xdp, XdpInput{.frame = {1, 2}, .meta_bytes = 3}) == "more metadata than frame");
    CHECK(message(tc, SkbInput{.frame = {1, 2}, .linear = 3}) ==
          "a linear part that is longer than the frame");
    CHECK(message(xdp, XdpInput{}, {.cpu = 1}) == "CPU 1 of a machine of 1");
}

TEST_CASE("a program is refused that a machine can give no meaning to", "[interpreter]")
{
    Machine machine;
    const auto refusal = [&](const Program& program) {
        const auto loaded = machine.load(program);
        REQUIRE_FALSE(loaded);
        CHECK(loaded.error().kind == FaultKind::bad_program);
        return to_string(loaded.error());
    };
    const auto with_reloc = [](Reloc reloc) {
        Program program = program_of(xdp, {mov64(r0, 0), ld_imm64(r1, 0, Pseudo::map_fd), exit()}, maps());
        program.relocs = {std::move(reloc)};
        return program;
    };
    Program program = program_of(xdp, {mov64(r0, 0), exit()});
    program.code[0].opcode = 0x8d;
    CHECK(refusal(program) == "slot 0: no instruction has opcode 0x8d");
    program = program_of(xdp, {mov64(r0, 0), load_map(r1), exit()}, maps());
    program.relocs.clear();
    CHECK(refusal(program) == "slot 1: a file descriptor stands for no map here");
    CHECK(refusal(with_reloc({Reloc::Kind::map_fd, 2, "words"})) ==
          "slot 2: a relocation where no instruction begins");
    CHECK(refusal(with_reloc({Reloc::Kind::map_fd, 0, "words"})) ==
          "slot 0: a relocation to a map where none is loaded");
    CHECK(refusal(with_reloc({Reloc::Kind::map_fd, 1, "nothing"})) == "there is no map 'nothing'");
    CHECK(refusal(with_reloc({Reloc::Kind::value32, 0, "ifindex:eth0"})) ==
          "slot 0: nothing is known of the value 'ifindex:eth0'");
    CHECK(refusal(with_reloc({Reloc::Kind::map_value, 1, "numbers"})) ==
          "map 'numbers' is no array of one element, so its value has no fixed address");
    program = program_of(xdp, {ld_imm64(r1, u64{16} << 32, Pseudo::map_value), exit()}, maps());
    CHECK(refusal(program) == "byte 16 is behind the value of map 'words', which has 16");
    program = program_of(xdp, {exit()}, {Map<u64, u64>("numbers", MapType::hash, 5)});
    CHECK(refusal(program) == "map 'numbers' is there already, of another type or size");
    program = program_of(
        xdp, {exit()},
        {{.name = "maps", .type = MapType::array_of_maps, .key_size = 4, .value_size = 4, .max_entries = 1}});
    CHECK(refusal(program) == "map 'maps': type 12 is not interpreted");
}
