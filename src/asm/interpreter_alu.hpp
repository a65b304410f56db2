// Arithmetic and comparison of the instruction set on plain numbers (RFC 9669, sections 4.1 to 4.3). Pure.
#pragma once

#include "lb/asm/insn.hpp"

namespace lb::bpf {

/// dst = dst op src, for every operation but `mov`, `neg` and `end`. `wide`: 64 bits; else the upper half of
/// the result is 0. `is_signed`: div and mod.
u64 arithmetic(Alu op, bool wide, bool is_signed, u64 dst, u64 src);
/// dst = swapped or truncated: the forms of `end`.
u64 swap_bytes(const Insn& insn, u64 dst);
/// The low `bits` (8, 16, 32) with their sign.
u64 extend_sign(u64 value, u32 bits);
/// Whether the jump is taken.
bool compare(Jmp op, bool wide, u64 dst, u64 src);
/// What an atomic operation leaves in memory, of a width of 32 or 64 bits.
u64 atomic_result(Atomic op, u64 memory, u64 operand);

} // namespace lb::bpf
