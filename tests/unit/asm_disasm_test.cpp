// The text of instructions and the listing of programs.
#include <catch2/catch.hpp>

#include <linux/bpf.h>

#include "lb/asm/disasm.hpp"
#include "lb/asm/encode.hpp"
#include "lb/asm/helpers.hpp"

#include "../asm_cases.hpp"

using namespace lb;
using namespace lb::bpf;

namespace {

std::vector<RawInsn> code_of(std::initializer_list<Insn> insns)
{
    std::vector<RawInsn> code;
    for (const Insn& insn : insns) REQUIRE(encode(insn, code));
    return code;
}

/// Two functions, a map, a value of the loader, line records, and jumps both ways.
Program sample()
{
    return {.name = "sample",
            .code = code_of({
                mov64(r6, r1),                   // 0
                ld_imm64(r1, 0, Pseudo::map_fd), // 1, 2
                jump32(Jmp::ne, r0, 8, 4),       // 3
                ld_imm64(r2, 5, Pseudo::func),   // 4, 5
                call_local(3),                   // 6
                jump(Jmp::lt, r7, 0, -5),        // 7
                mov64(r0, 2),                    // 8
                exit(),                          // 9
                load(Width::w32, r0, r1, 4),     // 10
                exit(),                          // 11
            }),
            .relocs = {{.kind = Reloc::Kind::map_fd, .slot = 1, .symbol = "flows4"},
                       {.kind = Reloc::Kind::value32, .slot = 7, .symbol = "lan"}},
            .lines = {{.slot = 0, .file = "parse.cpp", .line = 34, .column = 5, .text = "parse the headers"},
                      {.slot = 3, .file = "parse.cpp", .line = 41, .column = 5},
                      {.slot = 10, .file = "count.cpp", .line = 7, .column = 5, .text = "count"}},
            .functions = {{.name = "lb_ingress", .slot = 0}, {.name = "count", .slot = 10}}};
}

} // namespace

TEST_CASE("every instruction has the text of the verifier's log", "[asm]")
{
    for (const auto& [insn, text] : cases::text_cases) CHECK(disassemble(insn) == text);
}

TEST_CASE("numbers at the ends of their ranges print as the kernel prints them", "[asm]")
{
    CHECK(disassemble(alu64(Alu::add, r1, -2147483648)) == "r1 += -2147483648");
    CHECK(disassemble(mov64(r1, 2147483647)) == "r1 = 2147483647");
    CHECK(disassemble(load(Width::w64, r9, fp, -32768)) == "r9 = *(u64 *)(r10 -32768)");
    CHECK(disassemble(load(Width::w64, r9, fp, 32767)) == "r9 = *(u64 *)(r10 +32767)");
    CHECK(disassemble(load(Width::w64, r1, r6, 0)) == "r1 = *(u64 *)(r6 +0)");
    CHECK(disassemble(jump(Jmp::eq, r1, -2147483648, -32768)) == "if r1 == 0x80000000 goto pc-32768");
    CHECK(disassemble(jump32(Jmp::set, r1, 0, 0)) == "if w1 & 0x0 goto pc+0");
    CHECK(disassemble(go_long(-2147483648)) == "gotol pc-2147483648");
    CHECK(disassemble(ld_imm64(r1, 0)) == "r1 = 0x0");
    CHECK(disassemble(ld_imm64(r1, ~u64{0})) == "r1 = 0xffffffffffffffff");
    CHECK(disassemble(ld_imm64(r1, static_cast<u64>(-4), Pseudo::func)) == "r1 = subprog[-4]");
    CHECK(disassemble(call_local(-1)) == "call pc-1");
    CHECK(disassemble(load_abs(Width::w8, -1)) == "r0 = *(u8 *)skb[-1]");
    CHECK(disassemble(load_ind(Width::w16, r1, -4)) == "r0 = *(u16 *)skb[r1 + -4]");
}

TEST_CASE("the opcode stands in front as in the log", "[asm]")
{
    CHECK(disassemble_with_opcode(load(Width::w16, r0, r6, 12)) == "(69) r0 = *(u16 *)(r6 +12)");
    CHECK(disassemble_with_opcode(alu64(Alu::add, r1, 1)) == "(07) r1 += 1");
}

TEST_CASE("what is no instruction says so", "[asm]")
{
    CHECK(disassemble(Insn{.opcode = 0x8d}) == "invalid instruction (8d)");
    CHECK(disassemble(movsx64(r1, r2, 24)) == "invalid instruction (bf)");
}

TEST_CASE("helpers have the names and numbers of the kernel's own list", "[asm]")
{
#define LB_TEST_NAME(name) "bpf_" #name
    const std::vector<std::string> kernel{__BPF_FUNC_MAPPER(LB_TEST_NAME)};
#undef LB_TEST_NAME
    REQUIRE(kernel.size() >= 210);
    for (u32 number = 1; number < kernel.size(); ++number) CHECK(helper_name(number) == kernel[number]);
    CHECK(helper_name(Helper::map_lookup_elem) == "bpf_map_lookup_elem");
    CHECK(helper_name(210) == "bpf_cgrp_storage_get");
    CHECK(helper_name(211) == "bpf_cgrp_storage_delete");
    CHECK(helper_name(0).empty());
    CHECK(helper_name(212).empty());
}

TEST_CASE("a listing numbers the slots and names functions, lines, maps and the targets of jumps", "[asm]")
{
    CHECK(disassemble(sample()) == R"(lb_ingress:
; parse the headers @ parse.cpp:34
   0: (bf) r6 = r1
   1: (18) r1 = map[flows4]
L1:
; @ parse.cpp:41
   3: (56) if w0 != 0x8 goto pc+4                             ; -> L2
   4: (18) r2 = subprog[count]
   6: (85) call pc+3                                          ; -> count
   7: (a5) if r7 < <lan> goto pc-5                            ; -> L1
L2:
   8: (b7) r0 = 2
   9: (95) exit

count:
; count @ count.cpp:7
  10: (61) r0 = *(u32 *)(r1 +4)
  11: (95) exit
)");
}

TEST_CASE("lines and labels can be left out, bytes put in", "[asm]")
{
    Program program{
        .code = code_of({ld_imm64(r1, 0x1122334455667788), go(0), store(Width::w16, r1, -2, -3), exit()}),
        .lines = {{.slot = 0, .file = "a.cpp", .line = 1}}};
    CHECK(disassemble(program, {.lines = false, .labels = false, .bytes = true}) ==
          R"(   0: 1801000088776655 0000000044332211 (18) r1 = 0x1122334455667788
   2: 0500000000000000 (05) goto pc+0
   3: 6a01fefffdffffff (6a) *(u16 *)(r1 -2) = -3
   4: 9500000000000000 (95) exit
)");
}

TEST_CASE("a listing without positions changes only where the program does", "[asm]")
{
    const Program program{.name = "lb",
                          .code = code_of({ld_imm64(r1, 7), jump(Jmp::eq, r1, 3, 2), call_local(3), go(-2),
                                           mov64(r0, 2), exit(), mov64(r0, r1), exit()}),
                          .lines = {{0, "a.cpp", 1, 1, "begin"},
                                    {2, "a.cpp", 2, 1, "begin"},
                                    {3, "a.cpp", 3, 1, "go on"},
                                    {4, "a.cpp", 4, 1, ""},
                                    {5, "a.cpp", 5, 1, "go on"},
                                    {7, "a.cpp", 6, 1, "go on"}},
                          .functions = {{.name = "lb", .slot = 0}, {.name = "count", .slot = 7}}};
    CHECK(disassemble(program, {.positions = false}) == R"(lb:
; begin
  (18) r1 = 0x7
  (15) if r1 == 0x3 goto L2
L1:
; go on
  (85) call count
  (05) goto L1
L2:
; go on
  (b7) r0 = 2
  (95) exit

count:
; go on
  (bf) r0 = r1
  (95) exit
)");
}

TEST_CASE("a listing goes on after a slot that is no instruction", "[asm]")
{
    Program program{.code = {RawInsn{.opcode = 0x8d}, RawInsn{.opcode = opcode_exit}}};
    CHECK(disassemble(program) == "   0: (8d) invalid instruction\n   1: (95) exit\n");
}

TEST_CASE("a jump to where no instruction starts is shown as one", "[asm]")
{
    Program program{.code = code_of({ld_imm64(r0, 1), go(-2), go(7), exit()})};
    CHECK(disassemble(program) == R"(   0: (18) r0 = 0x1
   2: (05) goto pc-2                                          ; -> slot 1, where no instruction starts
   3: (05) goto pc+7                                          ; -> slot 11, where no instruction starts
   4: (95) exit
)");
}
