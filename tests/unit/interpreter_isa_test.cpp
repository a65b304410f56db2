// Instructions as the interpreter runs them, each result against a literal value; the tables are those that
// the kernel's tests hold against the kernel.
#include "interpreter_fixture.hpp"

#include "../isa_cases.hpp"

#include "lb/asm/disasm.hpp"

using namespace lb;
using namespace lb::bpf;
using namespace lb::bpf::cases;
using namespace lb::bpf::test;

namespace {

u64 computed(const Insn& insn, u64 a, u64 b)
{
    INFO(disassemble(insn));
    return run({insn, mov64(r0, r1)}, a, b).result;
}
u64 computed(const Insn& insn, u64 a, i32 b) { return computed(insn, a, static_cast<u64>(i64{b})); }

bool taken(const Insn& insn, const Pair& pair)
{
    INFO(disassemble(insn));
    return run({mov64(r0, 1), insn, mov64(r0, 0)}, pair.a, static_cast<u64>(i64{pair.b})).result == 1;
}

Context atomically(Atomic op, Width width, u64 memory, u64 operand)
{
    const Insn insn = atomic(op, width, fp, -8, r2);
    INFO(disassemble(insn));
    return run({insn, mov64(r0, r2)}, memory, operand);
}

constexpr Atomic fetching(Atomic op) { return static_cast<Atomic>(static_cast<i32>(op) | 1); }

} // namespace

TEST_CASE("arithmetic gives the expected result, 64 and 32 bits, register and immediate", "[interpreter]")
{
    for (const auto& [op, a, b, in64, in32] : alu_cases) {
        INFO("a " << std::hex << a << " b " << b);
        CHECK(computed(alu64(op, r1, r2), a, b) == in64);
        CHECK(computed(alu64(op, r1, i64{b}), a, b) == in64);
        CHECK(computed(alu32(op, r1, r2), a, b) == in32);
        CHECK(computed(alu32(op, r1, i64{b}), a, b) == in32);
    }
    CHECK(computed(neg64(r1), 5, 0) == 0xfffffffffffffffb);
    CHECK(computed(neg32(r1), 5, 0) == 0xfffffffb);
    CHECK(computed(alu64(Alu::lsh, r1, 63), 3, 0) == 0x8000000000000000);
}

TEST_CASE("signed division rounds toward zero, the remainder has the dividend's sign", "[interpreter]")
{
    for (const auto& [op, a, b, in64, in32] : signed_cases) {
        INFO("a " << std::hex << a << " b " << b);
        CHECK(computed(sdiv64(op, r1, r2), a, b) == in64);
        CHECK(computed(sdiv64(op, r1, i64{b}), a, b) == in64);
        CHECK(computed(sdiv32(op, r1, r2), a, b) == in32);
        CHECK(computed(sdiv32(op, r1, i64{b}), a, b) == in32);
    }
}

TEST_CASE("division by a register that holds 0 gives 0, the remainder the dividend", "[interpreter]")
{
    constexpr u64 a = 0xfedcba9876543210;
    for (const auto& [op, in64, in32] : zero_cases) {
        CHECK(computed(alu64(op, r1, r2), a, 0) == in64);
        CHECK(computed(alu32(op, r1, r2), a, 0) == in32);
        CHECK(computed(sdiv64(op, r1, r2), a, 0) == in64);
        CHECK(computed(sdiv32(op, r1, r2), a, 0) == in32);
    }
}

TEST_CASE("of a distance in a register only as many bits count as the width has", "[interpreter]")
{
    for (const auto& [op, distance, in64, in32] : shift_cases) {
        INFO("distance " << distance);
        CHECK(computed(alu64(op, r1, r2), 0xfedcba9876543210, distance) == in64);
        CHECK(computed(alu32(op, r1, r2), 0xfedcba9876543210, distance) == in32);
    }
}

TEST_CASE("moves extend the sign from the width they name", "[interpreter]")
{
    constexpr u64 value = 0x1122334480009081;
    CHECK(computed(movsx64(r1, r1, 8), value, 0) == 0xffffffffffffff81);
    CHECK(computed(movsx64(r1, r1, 16), value, 0) == 0xffffffffffff9081);
    CHECK(computed(movsx64(r1, r1, 32), value, 0) == 0xffffffff80009081);
    CHECK(computed(movsx32(r1, r1, 8), value, 0) == 0xffffff81);
    CHECK(computed(movsx32(r1, r1, 16), value, 0) == 0xffff9081);
    CHECK(computed(movsx64(r1, r1, 8), 0x7f, 0) == 0x7f);
}

TEST_CASE("byte swaps truncate to their width", "[interpreter]")
{
    constexpr u64 value = 0x1122334455667788;
    struct Row {
        i64 bits = 0;
        u64 swapped = 0, kept = 0;
    };
    for (const auto& [bits, swapped, kept] : {Row{16, 0x8877, 0x7788}, Row{32, 0x88776655, 0x55667788},
                                              Row{64, 0x8877665544332211, 0x1122334455667788}}) {
        CHECK(computed(bswap(r1, bits), value, 0) == swapped);
        CHECK(computed(to_be(r1, bits), value, 0) == swapped);
        CHECK(computed(to_le(r1, bits), value, 0) == kept);
    }
}

TEST_CASE("every comparison is taken exactly when it holds", "[interpreter]")
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

TEST_CASE("goto and gotol go forward and back", "[interpreter]")
{
    for (const bool far : {false, true}) {
        const auto to = [&](i16 distance) { return far ? go_long(distance) : go(distance); };
        const Insns body{
            jump(Jmp::eq, r1, 9, 1), to(1), mov64(r0, 7), alu64(Alu::add, r0, 1), alu64(Alu::add, r1, 1),
            jump(Jmp::gt, r1, 1, 1), to(-4)};
        CHECK(run(body).result == 2);
    }
}

TEST_CASE("may_goto lets a loop run, and ends one that would not end after as many rounds as were asked",
          "[interpreter]")
{
    const Insns ends{may_goto(2), alu64(Alu::add, r0, 1), jump(Jmp::lt, r0, r1, -3)};
    CHECK(run(ends, 10).result == 10);
    const Insns endless{mov64(r0, 0), may_goto(2), alu64(Alu::add, r0, 1), go(-3)};
    CHECK(result_of(endless, {.loops_max = 1234}) == 1234);
}

TEST_CASE("each call of a function has may_goto rounds of its own", "[interpreter]")
{
    const Insns body{mov64(r6, 0),
                     call_local(6),
                     mov64(r6, r0),
                     call_local(4),
                     alu64(Alu::lsh, r6, 8),
                     alu64(Alu::or_, r0, r6),
                     exit(),
                     exit(),
                     mov64(r0, 0),
                     may_goto(2),
                     alu64(Alu::add, r0, 1),
                     go(-3)};
    CHECK(result_of(body, {.loops_max = 5}) == 0x505);
}

TEST_CASE("loads take their width and extend with zeros, or with the sign", "[interpreter]")
{
    constexpr u64 value = 0x91a2b3c4d5e6f788;
    CHECK(run({load(Width::w8, r0, fp, -8)}, value).result == 0x88);
    CHECK(run({load(Width::w16, r0, fp, -8)}, value).result == 0xf788);
    CHECK(run({load(Width::w32, r0, fp, -8)}, value).result == 0xd5e6f788);
    CHECK(run({load(Width::w64, r0, fp, -8)}, value).result == 0x91a2b3c4d5e6f788);
    CHECK(run({load(Width::w16, r0, fp, -2)}, value).result == 0x91a2);
    CHECK(run({load_signed(Width::w8, r0, fp, -8)}, value).result == 0xffffffffffffff88);
    CHECK(run({load_signed(Width::w16, r0, fp, -8)}, value).result == 0xfffffffffffff788);
    CHECK(run({load_signed(Width::w32, r0, fp, -8)}, value).result == 0xffffffffd5e6f788);
    CHECK(run({load_signed(Width::w8, r0, fp, -8)}, 0x7f).result == 0x7f);
    CHECK(run({load_acquire(Width::w8, r0, fp, -8)}, value).result == 0x88);
    CHECK(run({load_acquire(Width::w16, r0, fp, -8)}, value).result == 0xf788);
    CHECK(run({load_acquire(Width::w32, r0, fp, -8)}, value).result == 0xd5e6f788);
    CHECK(run({load_acquire(Width::w64, r0, fp, -8)}, value).result == value);
}

TEST_CASE("stores write their width and no more", "[interpreter]")
{
    constexpr u64 operand = 0x1122334455667788, before = 0xaaaaaaaaaaaaaaaa;
    struct Row {
        Width width = Width::w8;
        u64 from_register = 0, minus_two = 0;
    };
    for (const auto& [width, from_register, minus_two] :
         {Row{Width::w8, 0xaaaaaaaaaaaaaa88, 0xaaaaaaaaaaaaaafe},
          Row{Width::w16, 0xaaaaaaaaaaaa7788, 0xaaaaaaaaaaaafffe},
          Row{Width::w32, 0xaaaaaaaa55667788, 0xaaaaaaaafffffffe},
          Row{Width::w64, 0x1122334455667788, 0xfffffffffffffffe}}) {
        CHECK(run({store(width, fp, -8, r2)}, before, operand).memory == from_register);
        CHECK(run({store_release(width, fp, -8, r2)}, before, operand).memory == from_register);
        CHECK(run({store(width, fp, -8, -2)}, before).memory == minus_two);
    }
}

TEST_CASE("atomics change the memory, and with fetch give what was there", "[interpreter]")
{
    for (const auto& [op, memory, operand, after64, after32] : atomic_cases) {
        INFO("memory " << std::hex << memory << " operand " << operand);
        const u64 low = memory & 0xffffffff;
        const Context wide = atomically(fetching(op), Width::w64, memory, operand);
        CHECK(wide.memory == after64);
        CHECK(wide.result == memory);
        const Context narrow = atomically(fetching(op), Width::w32, memory, operand);
        CHECK(narrow.memory == after32);
        CHECK(narrow.result == low);
        if (op == Atomic::xchg) continue; // always fetches
        const Context quiet = atomically(op, Width::w64, memory, operand);
        CHECK(quiet.memory == after64);
        CHECK(quiet.result == operand);
        CHECK(atomically(op, Width::w32, memory, operand).memory == after32);
    }
}

TEST_CASE("cmpxchg writes when r0 is what memory holds, and gives what was there", "[interpreter]")
{
    const auto with_expected = [](Width width, u64 expected, u64 memory, u64 operand) {
        return run({ld_imm64(r0, expected), atomic(Atomic::cmpxchg, width, fp, -8, r2)}, memory, operand);
    };
    constexpr u64 memory = 0x1111111122222222, operand = 0x3333333344444444;
    const Context equal = with_expected(Width::w64, memory, memory, operand);
    CHECK(equal.memory == operand);
    CHECK(equal.result == memory);
    const Context other = with_expected(Width::w64, 5, memory, operand);
    CHECK(other.memory == memory);
    CHECK(other.result == memory);
    // Of r0 the low half is compared.
    const Context narrow = with_expected(Width::w32, 0xffffffff22222222, memory, operand);
    CHECK(narrow.memory == 0x1111111144444444);
    CHECK(narrow.result == 0x22222222);
    CHECK(with_expected(Width::w32, 5, memory, operand).memory == memory);
    CHECK(with_expected(Width::w32, 5, memory, operand).result == 0x22222222);
}

TEST_CASE("ld_imm64 loads a number, and a place in a map's value", "[interpreter]")
{
    CHECK(result_of({ld_imm64(r0, 0x1122334455667788)}) == 0x1122334455667788);
    Machine machine;
    const auto program =
        must_load(machine, program_of(ProgramType::syscall,
                                      {ld_imm64(r1, u64{8} << 32, Pseudo::map_value),
                                       load(Width::w64, r0, r1, 0), store(Width::w64, r1, -8, 7), exit()},
                                      {words_map()}));
    REQUIRE(machine.map("words").update(u32{0}, std::array<u64, 2>{111, 222}) == 0);
    CHECK(must(machine.run(program, SyscallInput{})).result == 222);
    CHECK(machine.map("words").lookup<u32, std::array<u64, 2>>(0) == std::array<u64, 2>{7, 222});
}

TEST_CASE("functions have frames and saved registers of their own, and give back the caller's",
          "[interpreter]")
{
    // r0 = f(50, 8) + r6..r9 + the caller's stack; f uses all of these itself.
    const Insns body{mov64(r1, 50), mov64(r2, 8), mov64(r6, 1000), mov64(r7, 2000), mov64(r8, 4000),
                     mov64(r9, 8000), store(Width::w64, fp, -8, 100000), call_local(7),
                     alu64(Alu::add, r0, r6), alu64(Alu::add, r0, r7), alu64(Alu::add, r0, r8),
                     alu64(Alu::add, r0, r9), load(Width::w64, r1, fp, -8), alu64(Alu::add, r0, r1), exit(),
                     // the function
                     mov64(r6, r1), mov64(r7, 1), mov64(r8, 1), mov64(r9, 1), store(Width::w64, fp, -8, 5),
                     mov64(r0, r6), alu64(Alu::sub, r0, r2)};
    CHECK(result_of(body) == 42 + 15000 + 100000);
}

TEST_CASE("a function reaches its caller's stack through a pointer it is given", "[interpreter]")
{
    const Insns body{store(Width::w64, fp, -8, 1), mov64(r1, fp), alu64(Alu::add, r1, -8),      call_local(2),
                     load(Width::w64, r0, fp, -8), exit(),        store(Width::w64, r1, 0, 77), mov64(r0, 0)};
    CHECK(result_of(body) == 77);
}
