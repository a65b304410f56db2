// Arithmetic and jumps as the kernel runs them, each result against a literal value. The operands reach the
// program in its context, so that the instruction itself is what computes.
#include "isa_kernel.hpp"

#include "../isa_cases.hpp"

#include <bit>

using namespace lb;
using namespace lb::bpf;
using namespace lb::bpf::cases;
using namespace lb::bpf::test;

namespace {

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
    constexpr u64 a = 0xfedcba9876543210;
    for (const auto& [op, in64, in32] : zero_cases) {
        CHECK(result_of(alu64(op, r1, r2), a, 0) == in64);
        CHECK(result_of(alu32(op, r1, r2), a, 0) == in32);
        CHECK(result_of(sdiv64(op, r1, r2), a, 0) == in64);
        CHECK(result_of(sdiv32(op, r1, r2), a, 0) == in32);
    }
}

TEST_CASE("of a distance in a register only as many bits count as the width has", "[kernel][asm]")
{
    for (const auto& [op, distance, in64, in32] : shift_cases) {
        INFO("distance " << distance);
        CHECK(result_of(alu64(op, r1, r2), 0xfedcba9876543210, static_cast<i64>(distance)) == in64);
        CHECK(result_of(alu32(op, r1, r2), 0xfedcba9876543210, static_cast<i64>(distance)) == in32);
    }
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
