// Arithmetic and jumps as the kernel runs them, each result against a literal value. The operands reach the
// program in its context, so that the instruction itself is what computes.
#include "isa_kernel.hpp"

#include <bit>

using namespace lb;
using namespace lb::bpf;
using namespace lb::bpf::test;

namespace {

struct AluCase {
    Alu op = Alu::add;
    u64 a = 0;
    i32 b = 0;
    u64 in64 = 0;
    u64 in32 = 0;
};

// clang-format off
const AluCase alu_cases[] = {
    {Alu::add, 0xfedcba9876543210, -1, 0xfedcba987654320f, 0x7654320f},
    {Alu::add, 0xffffffff, 1, 0x100000000, 0x0},
    {Alu::sub, 0x5, 7, 0xfffffffffffffffe, 0xfffffffe},
    {Alu::sub, 0xfedcba9876543210, -305419896, 0xfedcba9888888888, 0x88888888},
    {Alu::mul, 0xfedcba9876543210, 3, 0xfc962fc962fc9630, 0x62fc9630},
    {Alu::mul, 0x80000001, -2, 0xfffffffefffffffe, 0xfffffffe},
    {Alu::div, 0xfedcba9876543210, 7, 0x2468acf13579be02, 0x10e774dd},
    {Alu::div, 0xfedcba9876543210, -7, 0x0, 0x0},
    {Alu::mod, 0xfedcba9876543210, 1000, 0x2d0, 0x148},
    {Alu::mod, 0xfedcba9876543210, -7, 0xfedcba9876543210, 0x76543210},
    {Alu::or_, 0xfedcba9876543210, 3855, 0xfedcba9876543f1f, 0x76543f1f},
    {Alu::or_, 0xfedcba9876543210, -256, 0xffffffffffffff10, 0xffffff10},
    {Alu::and_, 0xfedcba9876543210, -256, 0xfedcba9876543200, 0x76543200},
    {Alu::and_, 0xfedcba9876543210, 2147483647, 0x76543210, 0x76543210},
    {Alu::xor_, 0xfedcba9876543210, -1, 0x0123456789abcdef, 0x89abcdef},
    {Alu::lsh, 0xfedcba9876543210, 4, 0xedcba98765432100, 0x65432100},
    {Alu::lsh, 0xfedcba9876543210, 31, 0x3b2a190800000000, 0x0},
    {Alu::rsh, 0xfedcba9876543210, 4, 0x0fedcba987654321, 0x07654321},
    {Alu::rsh, 0xfedcba9876543210, 31, 0x1fdb97530, 0x0},
    {Alu::arsh, 0xfedcba9876543210, 4, 0xffedcba987654321, 0x07654321},
    {Alu::arsh, 0x80000000, 31, 0x1, 0xffffffff},
    {Alu::mov, 0xfedcba9876543210, -5, 0xfffffffffffffffb, 0xfffffffb},
    {Alu::mov, 0xfedcba9876543210, 5, 0x5, 0x5},
};

const AluCase signed_cases[] = {
    {Alu::div, 0xffffffffffffff9c, 7, 0xfffffffffffffff2, 0xfffffff2},   // -100 / 7 = -14
    {Alu::div, 0x64, -7, 0xfffffffffffffff2, 0xfffffff2},                // 100 / -7 = -14
    {Alu::div, 0xffffffffffffff9c, -7, 0xe, 0xe},                        // -100 / -7 = 14
    {Alu::mod, 0xffffffffffffff9c, 7, 0xfffffffffffffffe, 0xfffffffe},   // -100 % 7 = -2
    {Alu::mod, 0x64, -7, 0x2, 0x2},                                      // 100 % -7 = 2
    {Alu::div, 0x7fffffff80000000, 3, 0x2aaaaaaa80000000, 0xd5555556},
    {Alu::mod, 0x7fffffff80000001, 10, 0x1, 0xfffffff9},
};

struct Pair {
    u64 a = 0;
    i32 b = 0;
};
/// The two sides of a comparison; the columns of the table below.
constexpr u64 minus_one = ~u64{0};
const Pair pairs[] = {{5, 5}, {4, 5}, {6, 5}, {8, 5}, {minus_one, 1}, {1, -1}, {0x100000005, 5}, {0xffffffff, -1}};

struct JumpCase {
    Jmp op = Jmp::eq;
    const char* in64 = ""; ///< per pair: T for taken
    const char* in32 = "";
};
const JumpCase jump_cases[] = {
    {Jmp::eq,  "T.......", "T.....TT"},
    {Jmp::ne,  ".TTTTTTT", ".TTTTT.."},
    {Jmp::gt,  "..TTT.T.", "..TTT..."},
    {Jmp::ge,  "T.TTT.T.", "T.TTT.TT"},
    {Jmp::lt,  ".T...T.T", ".T...T.."},
    {Jmp::le,  "TT...T.T", "TT...TTT"},
    {Jmp::set, "TTT.TTTT", "TTT.TTTT"},
    {Jmp::sgt, "..TT.TTT", "..TT.T.."},
    {Jmp::sge, "T.TT.TTT", "T.TT.TTT"},
    {Jmp::slt, ".T..T...", ".T..T..."},
    {Jmp::sle, "TT..T...", "TT..T.TT"},
};
// clang-format on

u64 result_of(const Insn& insn, u64 a, i64 b)
{
    INFO(disassemble(insn));
    return run({insn, mov64(r0, r1)}, a, static_cast<u64>(b)).result;
}

bool taken(const Insn& insn, const Pair& pair)
{
    INFO(disassemble(insn));
    return run({mov64(r0, 1), insn, mov64(r0, 0)}, pair.a, static_cast<u64>(i64{pair.b})).result == 1;
}

} // namespace

TEST_CASE("arithmetic gives the expected result, 64 and 32 bits, register and immediate", "[kernel][asm]")
{
    for (const auto& [op, a, b, in64, in32] : alu_cases) {
        INFO("a " << std::hex << a << " b " << b);
        CHECK(result_of(alu64(op, r1, r2), a, b) == in64);
        CHECK(result_of(alu64(op, r1, i64{b}), a, b) == in64);
        CHECK(result_of(alu32(op, r1, r2), a, b) == in32);
        CHECK(result_of(alu32(op, r1, i64{b}), a, b) == in32);
    }
    CHECK(result_of(neg64(r1), 5, 0) == 0xfffffffffffffffb);
    CHECK(result_of(neg32(r1), 5, 0) == 0xfffffffb);
    CHECK(result_of(alu64(Alu::lsh, r1, 63), 3, 0) == 0x8000000000000000);
}

TEST_CASE("division by a register that holds 0 gives 0, the remainder the dividend", "[kernel][asm]")
{
    CHECK(result_of(alu64(Alu::div, r1, r2), 77, 0) == 0);
    CHECK(result_of(alu64(Alu::mod, r1, r2), 77, 0) == 77);
    CHECK(result_of(sdiv64(Alu::div, r1, r2), 77, 0) == 0);
    CHECK(result_of(sdiv64(Alu::mod, r1, r2), 77, 0) == 77);
}

TEST_CASE("signed division rounds toward zero, the remainder has the dividend's sign", "[kernel][asm]")
{
    for (const auto& [op, a, b, in64, in32] : signed_cases) {
        INFO("a " << std::hex << a << " b " << b);
        CHECK(result_of(sdiv64(op, r1, r2), a, b) == in64);
        CHECK(result_of(sdiv64(op, r1, i64{b}), a, b) == in64);
        CHECK(result_of(sdiv32(op, r1, r2), a, b) == in32);
        CHECK(result_of(sdiv32(op, r1, i64{b}), a, b) == in32);
    }
}

TEST_CASE("moves extend the sign from the width they name", "[kernel][asm]")
{
    constexpr u64 value = 0x1122334480009081;
    CHECK(result_of(movsx64(r1, r1, 8), value, 0) == 0xffffffffffffff81);
    CHECK(result_of(movsx64(r1, r1, 16), value, 0) == 0xffffffffffff9081);
    CHECK(result_of(movsx64(r1, r1, 32), value, 0) == 0xffffffff80009081);
    CHECK(result_of(movsx32(r1, r1, 8), value, 0) == 0xffffff81);
    CHECK(result_of(movsx32(r1, r1, 16), value, 0) == 0xffff9081);
    CHECK(result_of(movsx64(r1, r1, 8), 0x7f, 0) == 0x7f);
}

TEST_CASE("byte swaps truncate to their width", "[kernel][asm]")
{
    constexpr u64 value = 0x1122334455667788;
    CHECK(result_of(bswap(r1, 16), value, 0) == 0x8877);
    CHECK(result_of(bswap(r1, 32), value, 0) == 0x88776655);
    CHECK(result_of(bswap(r1, 64), value, 0) == 0x8877665544332211);
    const bool little = std::endian::native == std::endian::little;
    const auto swap = [&](Reg reg, i64 bits) { return little ? to_be(reg, bits) : to_le(reg, bits); };
    const auto keep = [&](Reg reg, i64 bits) { return little ? to_le(reg, bits) : to_be(reg, bits); };
    CHECK(result_of(swap(r1, 16), value, 0) == 0x8877);
    CHECK(result_of(swap(r1, 32), value, 0) == 0x88776655);
    CHECK(result_of(swap(r1, 64), value, 0) == 0x8877665544332211);
    CHECK(result_of(keep(r1, 16), value, 0) == 0x7788);
    CHECK(result_of(keep(r1, 32), value, 0) == 0x55667788);
    CHECK(result_of(keep(r1, 64), value, 0) == value);
}

TEST_CASE("every comparison is taken exactly when it holds", "[kernel][asm]")
{
    for (const auto& [op, in64, in32] : jump_cases) {
        for (std::size_t i = 0; i < std::size(pairs); ++i) {
            INFO("pair " << i);
            CHECK(taken(jump(op, r1, r2, 1), pairs[i]) == (in64[i] == 'T'));
            CHECK(taken(jump(op, r1, i64{pairs[i].b}, 1), pairs[i]) == (in64[i] == 'T'));
            CHECK(taken(jump32(op, r1, r2, 1), pairs[i]) == (in32[i] == 'T'));
            CHECK(taken(jump32(op, r1, i64{pairs[i].b}, 1), pairs[i]) == (in32[i] == 'T'));
        }
    }
}

TEST_CASE("goto and gotol go forward and back", "[kernel][asm]")
{
    // r1 is 0: the first jump is not taken, the second skips `r0 = 7`, and the third returns once.
    for (const bool far : {false, true}) {
        const auto to = [&](i16 distance) { return far ? go_long(distance) : go(distance); };
        const Insns body{
            jump(Jmp::eq, r1, 9, 1), to(1), mov64(r0, 7), alu64(Alu::add, r0, 1), alu64(Alu::add, r1, 1),
            jump(Jmp::gt, r1, 1, 1), to(-4)};
        CHECK(run(body).result == 2);
    }
}

TEST_CASE("may_goto lets a loop run, and ends one that would not end", "[kernel][asm]")
{
    const Insns ends{may_goto(2), alu64(Alu::add, r0, 1), jump(Jmp::lt, r0, r1, -3)};
    CHECK(run(ends, 10).result == 10);
    const Insns endless{may_goto(2), alu64(Alu::add, r0, 1), go(-3)};
    CHECK(run(endless).result > 1000);
}
