// What instructions compute, as literal values: the kernel's tests hold it against the kernel, the
// interpreter's against the interpreter.
#pragma once

#include "lb/asm/insn.hpp"

namespace lb::bpf::cases {

struct AluCase {
    Alu op = Alu::add;
    u64 a = 0;
    i32 b = 0;
    u64 in64 = 0;
    u64 in32 = 0;
};

// clang-format off
inline constexpr AluCase alu_cases[] = {
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

inline constexpr AluCase signed_cases[] = {
    {Alu::div, 0xffffffffffffff9c, 7, 0xfffffffffffffff2, 0xfffffff2},   // -100 / 7 = -14
    {Alu::div, 0x64, -7, 0xfffffffffffffff2, 0xfffffff2},                // 100 / -7 = -14
    {Alu::div, 0xffffffffffffff9c, -7, 0xe, 0xe},                        // -100 / -7 = 14
    {Alu::mod, 0xffffffffffffff9c, 7, 0xfffffffffffffffe, 0xfffffffe},   // -100 % 7 = -2
    {Alu::mod, 0x64, -7, 0x2, 0x2},                                      // 100 % -7 = 2
    {Alu::div, 0x7fffffff80000000, 3, 0x2aaaaaaa80000000, 0xd5555556},
    {Alu::mod, 0x7fffffff80000001, 10, 0x1, 0xfffffff9},
    {Alu::div, 0x8000000000000000, -1, 0x8000000000000000, 0x0},         // the quotient that does not fit
    {Alu::mod, 0x8000000000000000, -1, 0x0, 0x0},
    {Alu::div, 0x80000000, -1, 0xffffffff80000000, 0x80000000},
    {Alu::mod, 0x80000000, -1, 0x0, 0x0},
};

/// Division of 0xfedcba9876543210 by a register that holds 0.
struct ZeroCase {
    Alu op = Alu::div;
    u64 in64 = 0;
    u64 in32 = 0;
};
inline constexpr ZeroCase zero_cases[] = {
    {Alu::div, 0x0, 0x0},
    {Alu::mod, 0xfedcba9876543210, 0x76543210},
};

/// Shifts of 0xfedcba9876543210 by a register: only the low 6 or 5 bits of the distance count.
struct ShiftCase {
    Alu op = Alu::lsh;
    u64 distance = 0;
    u64 in64 = 0;
    u64 in32 = 0;
};
inline constexpr ShiftCase shift_cases[] = {
    {Alu::lsh,  36,                 0x6543210000000000, 0x65432100},
    {Alu::rsh,  36,                 0x000000000fedcba9, 0x07654321},
    {Alu::arsh, 36,                 0xffffffffffedcba9, 0x07654321},
    {Alu::lsh,  64,                 0xfedcba9876543210, 0x76543210},
    {Alu::rsh,  0xffffffffffffffff, 0x1,                0x0},
    {Alu::arsh, 0x100000004,        0xffedcba987654321, 0x07654321},
};

struct Pair {
    u64 a = 0;
    i32 b = 0;
};
/// The two sides of a comparison; the columns of the table below.
inline constexpr u64 minus_one = ~u64{0};
inline constexpr Pair pairs[] = {{5, 5}, {4, 5}, {6, 5}, {8, 5}, {minus_one, 1}, {1, -1}, {0x100000005, 5}, {0xffffffff, -1}};

struct JumpCase {
    Jmp op = Jmp::eq;
    const char* in64 = ""; ///< per pair: T for taken
    const char* in32 = "";
};
inline constexpr JumpCase jump_cases[] = {
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

/// What r0 and the memory at fp-8 hold after one instruction on memory that holds `memory`, with r2 =
/// `operand`.
struct AtomicCase {
    Atomic op = Atomic::add;
    u64 memory = 0;
    u64 operand = 0;
    u64 after64 = 0;
    u64 after32 = 0; ///< little-endian: the lower half changes
};
inline constexpr AtomicCase atomic_cases[] = {
    {Atomic::add, 0xfffffffff, 1, 0x1000000000, 0xf00000000},
    {Atomic::or_, 0xf0f0f0f0f0, 0x0f0000000f, 0xfff0f0f0ff, 0xf0f0f0f0ff},
    {Atomic::and_, 0xf0f0f0f0f0, 0xf0000000ff, 0xf0000000f0, 0xf0000000f0},
    {Atomic::xor_, 0xf0f0f0f0f0, 0xf0000000ff, 0xf0f0f00f, 0xf0f0f0f00f},
    {Atomic::xchg, 0x1111111122222222, 0x3333333344444444, 0x3333333344444444, 0x1111111144444444},
};

} // namespace lb::bpf::cases
