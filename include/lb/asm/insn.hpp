// The eBPF instruction set as plain data (RFC 9669 and what Linux has added since): one Insn value per
// instruction, and one constructor per form, each with its effect in the kernel's own notation. Nothing here
// allocates, checks or fails; `opcodes.hpp` says which values are legal, `encode.hpp` refuses the others.
// Pure; safe from any thread.
#pragma once

#include "lb/base/bytes.hpp"

namespace lb::bpf {

/// A machine register. r0: result; r1-r5: arguments, lost in a call; r6-r9: kept over calls; fp: frame, read
/// only.
struct Reg {
    u8 index = 0;
    friend constexpr bool operator==(Reg, Reg) = default;
};
inline constexpr Reg r0{0}, r1{1}, r2{2}, r3{3}, r4{4}, r5{5}, r6{6}, r7{7}, r8{8}, r9{9}, fp{10};
inline constexpr u8 registers_count = 11;

/// One instruction as it is encoded: 8 bytes, or two of them for `ld_imm64`. Same bytes as the kernel's
/// `bpf_insn`.
struct RawInsn {
    u8 opcode = 0;
    u8 registers = 0; ///< dst in the low four bits, src in the high four
    i16 off = 0;
    i32 imm = 0;
    friend constexpr bool operator==(const RawInsn&, const RawInsn&) = default;
};
static_assert(sizeof(RawInsn) == 8);

/// One logical instruction. `imm` has 64 bits only for ld_imm64; for every other form it must fit in 32.
struct Insn {
    u8 opcode = 0;
    Reg dst = r0;
    Reg src = r0; ///< a register, or the pseudo kind of ld_imm64 and call
    i16 off = 0;
    i64 imm = 0;

    friend constexpr bool operator==(const Insn&, const Insn&) = default;
};

// RFC 9669, section 3: opcode = class | source | code, or class | size | mode.
enum class Class : u8 { ld = 0, ldx = 1, st = 2, stx = 3, alu = 4, jmp = 5, jmp32 = 6, alu64 = 7 };
enum class Source : u8 { imm = 0x00, reg = 0x08 };
enum class Mode : u8 { imm = 0x00, abs = 0x20, ind = 0x40, mem = 0x60, memsx = 0x80, atomic = 0xc0 };

enum class Alu : u8 {
    add = 0x00,
    sub = 0x10,
    mul = 0x20,
    div = 0x30,
    or_ = 0x40,
    and_ = 0x50,
    lsh = 0x60,
    rsh = 0x70,
    neg = 0x80,
    mod = 0x90,
    xor_ = 0xa0,
    mov = 0xb0,
    arsh = 0xc0,
    end = 0xd0,
};
enum class Jmp : u8 {
    ja = 0x00,
    eq = 0x10,
    gt = 0x20,
    ge = 0x30,
    set = 0x40,
    ne = 0x50,
    sgt = 0x60,
    sge = 0x70,
    call = 0x80,
    exit = 0x90,
    lt = 0xa0,
    le = 0xb0,
    slt = 0xc0,
    sle = 0xd0,
    may_goto = 0xe0,
};
/// The width of a memory access, as the opcode has it.
enum class Width : u8 { w32 = 0x00, w16 = 0x08, w8 = 0x10, w64 = 0x18 };

/// The immediate of an atomic instruction.
enum class Atomic : i32 {
    add = 0x00,
    or_ = 0x40,
    and_ = 0x50,
    xor_ = 0xa0,
    fetch_add = 0x01,
    fetch_or = 0x41,
    fetch_and = 0x51,
    fetch_xor = 0xa1,
    xchg = 0xe1,
    cmpxchg = 0xf1,
    load_acquire = 0x100,
    store_release = 0x110,
};
/// What the 64-bit immediate of ld_imm64 stands for; it is kept in `src`.
enum class Pseudo : u8 {
    none = 0,
    map_fd = 1,
    map_value = 2,
    btf_id = 3,
    func = 4,
    map_idx = 5,
    map_idx_value = 6
};
/// What a call's immediate stands for; it is kept in `src`.
enum class CallKind : u8 { helper = 0, local = 1, kfunc = 2 };

constexpr u8 opcode(Class c, Source s, u8 code)
{
    return static_cast<u8>(static_cast<u8>(c) | static_cast<u8>(s) | code);
}
constexpr u8 opcode(Class c, Width w, Mode m)
{
    return static_cast<u8>(static_cast<u8>(c) | static_cast<u8>(w) | static_cast<u8>(m));
}
constexpr Class class_of(u8 code) { return static_cast<Class>(code & 0x07); }
constexpr Source source_of(u8 code) { return static_cast<Source>(code & 0x08); }
constexpr Width width_of(u8 code) { return static_cast<Width>(code & 0x18); }
constexpr Mode mode_of(u8 code) { return static_cast<Mode>(code & 0xe0); }
constexpr Alu alu_of(u8 code) { return static_cast<Alu>(code & 0xf0); }
constexpr Jmp jmp_of(u8 code) { return static_cast<Jmp>(code & 0xf0); }

inline constexpr u8 opcode_ld_imm64 = opcode(Class::ld, Width::w64, Mode::imm);
inline constexpr u8 opcode_call = opcode(Class::jmp, Source::imm, static_cast<u8>(Jmp::call));
inline constexpr u8 opcode_exit = opcode(Class::jmp, Source::imm, static_cast<u8>(Jmp::exit));
inline constexpr u8 opcode_ja = opcode(Class::jmp, Source::imm, static_cast<u8>(Jmp::ja));
inline constexpr u8 opcode_gotol = opcode(Class::jmp32, Source::imm, static_cast<u8>(Jmp::ja));
inline constexpr u8 opcode_may_goto = opcode(Class::jmp, Source::imm, static_cast<u8>(Jmp::may_goto));

/// How many 8-byte slots the instruction takes: two for ld_imm64, else one.
constexpr u32 slots(const Insn& i) { return i.opcode == opcode_ld_imm64 ? 2 : 1; }
constexpr bool is_jump_class(const Insn& i)
{
    return class_of(i.opcode) == Class::jmp || class_of(i.opcode) == Class::jmp32;
}
constexpr bool is_exit(const Insn& i) { return i.opcode == opcode_exit; }
constexpr bool is_call(const Insn& i) { return i.opcode == opcode_call; }
/// Goes elsewhere always: `goto`, `gotol`.
constexpr bool is_goto(const Insn& i) { return i.opcode == opcode_ja || i.opcode == opcode_gotol; }
/// Goes elsewhere or on: every conditional jump, `may_goto` included.
constexpr bool is_conditional(const Insn& i)
{
    return is_jump_class(i) && !is_exit(i) && !is_call(i) && !is_goto(i);
}

constexpr u32 bytes_of(Width w) { return w == Width::w8 ? 1 : w == Width::w16 ? 2 : w == Width::w32 ? 4 : 8; }
template <std::size_t Bytes>
requires(Bytes == 1 || Bytes == 2 || Bytes == 4 ||
         Bytes == 8) constexpr Width width_for = Bytes == 1   ? Width::w8
                                                 : Bytes == 2 ? Width::w16
                                                 : Bytes == 4 ? Width::w32
                                                              : Width::w64;

// ---- arithmetic
// ---------------------------------------------------------------------------------------------

/// `r1 += r2`, 64 bits.
constexpr Insn alu64(Alu op, Reg dst, Reg src)
{
    return {.opcode = opcode(Class::alu64, Source::reg, static_cast<u8>(op)), .dst = dst, .src = src};
}
/// `r1 += 5`, 64 bits; the immediate is sign-extended.
constexpr Insn alu64(Alu op, Reg dst, i64 imm)
{
    return {.opcode = opcode(Class::alu64, Source::imm, static_cast<u8>(op)), .dst = dst, .imm = imm};
}
/// `w1 += w2`, 32 bits; the upper half becomes 0.
constexpr Insn alu32(Alu op, Reg dst, Reg src)
{
    return {.opcode = opcode(Class::alu, Source::reg, static_cast<u8>(op)), .dst = dst, .src = src};
}
/// `w1 += 5`, 32 bits; the upper half becomes 0.
constexpr Insn alu32(Alu op, Reg dst, i64 imm)
{
    return {.opcode = opcode(Class::alu, Source::imm, static_cast<u8>(op)), .dst = dst, .imm = imm};
}
/// `r1 = r2`.
constexpr Insn mov64(Reg dst, Reg src) { return alu64(Alu::mov, dst, src); }
/// `r1 = 5`.
constexpr Insn mov64(Reg dst, i64 imm) { return alu64(Alu::mov, dst, imm); }
/// `r1 = -r1`.
constexpr Insn neg64(Reg dst) { return alu64(Alu::neg, dst, i64{0}); }
/// `w1 = -w1`.
constexpr Insn neg32(Reg dst) { return alu32(Alu::neg, dst, i64{0}); }
/// `r1 = (s8)r2`: sign-extending move from 8, 16 or 32 bits. Linux 6.6.
constexpr Insn movsx64(Reg dst, Reg src, i16 bits)
{
    Insn i = alu64(Alu::mov, dst, src);
    i.off = bits;
    return i;
}
/// `w1 = (s8)w2`: sign-extending move from 8 or 16 bits. Linux 6.6.
constexpr Insn movsx32(Reg dst, Reg src, i16 bits)
{
    Insn i = alu32(Alu::mov, dst, src);
    i.off = bits;
    return i;
}
/// `r1 s/= r2` and `r1 s%= r2` (op: div or mod). Linux 6.6.
constexpr Insn sdiv64(Alu op, Reg dst, Reg src)
{
    Insn i = alu64(op, dst, src);
    i.off = 1;
    return i;
}
/// `r1 s/= 5` and `r1 s%= 5`. Linux 6.6.
constexpr Insn sdiv64(Alu op, Reg dst, i64 imm)
{
    Insn i = alu64(op, dst, imm);
    i.off = 1;
    return i;
}
/// `w1 s/= w2` and `w1 s%= w2`. Linux 6.6.
constexpr Insn sdiv32(Alu op, Reg dst, Reg src)
{
    Insn i = alu32(op, dst, src);
    i.off = 1;
    return i;
}
/// `w1 s/= 5` and `w1 s%= 5`. Linux 6.6.
constexpr Insn sdiv32(Alu op, Reg dst, i64 imm)
{
    Insn i = alu32(op, dst, imm);
    i.off = 1;
    return i;
}
/// `r1 = le16 r1`: to little-endian, truncating to 16, 32 or 64 bits.
constexpr Insn to_le(Reg dst, i64 bits) { return alu32(Alu::end, dst, bits); }
/// `r1 = be16 r1`: to big-endian, truncating to 16, 32 or 64 bits.
constexpr Insn to_be(Reg dst, i64 bits)
{
    return {.opcode = opcode(Class::alu, Source::reg, static_cast<u8>(Alu::end)), .dst = dst, .imm = bits};
}
/// `r1 = bswap16 r1`: swaps always. Linux 6.6.
constexpr Insn bswap(Reg dst, i64 bits) { return alu64(Alu::end, dst, bits); }
/// `r1 = addr_space_cast(r2, dst_as, src_as)`: for arena pointers. Linux 6.9.
constexpr Insn addr_space_cast(Reg dst, Reg src, u16 dst_as, u16 src_as)
{
    Insn i = alu64(Alu::mov, dst, src);
    i.off = 1;
    i.imm = static_cast<i32>(static_cast<u32>(dst_as) << 16 | src_as);
    return i;
}
/// `r1 = &(void __percpu *)(r2)`: the address of this CPU's copy. Linux 6.10.
constexpr Insn mov_percpu(Reg dst, Reg src)
{
    Insn i = alu64(Alu::mov, dst, src);
    i.off = -1;
    return i;
}

// ---- memory
// -------------------------------------------------------------------------------------------------

/// `r1 = *(u32 *)(r2 +8)`, zero-extended.
constexpr Insn load(Width w, Reg dst, Reg base, i16 off)
{
    return {.opcode = opcode(Class::ldx, w, Mode::mem), .dst = dst, .src = base, .off = off};
}
/// `r1 = *(s32 *)(r2 +8)`, sign-extended; not for 64 bits. Linux 6.6.
constexpr Insn load_signed(Width w, Reg dst, Reg base, i16 off)
{
    return {.opcode = opcode(Class::ldx, w, Mode::memsx), .dst = dst, .src = base, .off = off};
}
/// `*(u32 *)(r1 +8) = r2`.
constexpr Insn store(Width w, Reg base, i16 off, Reg src)
{
    return {.opcode = opcode(Class::stx, w, Mode::mem), .dst = base, .src = src, .off = off};
}
/// `*(u32 *)(r1 +8) = 5`; the immediate is sign-extended to 64 bits where that is the width.
constexpr Insn store(Width w, Reg base, i16 off, i64 imm)
{
    return {.opcode = opcode(Class::st, w, Mode::mem), .dst = base, .off = off, .imm = imm};
}
/// `lock *(u64 *)(r1 +8) += r2` and the rest of its kind; with fetch, src receives the old value.
constexpr Insn atomic(Atomic op, Width w, Reg base, i16 off, Reg src)
{
    return {.opcode = opcode(Class::stx, w, Mode::atomic),
            .dst = base,
            .src = src,
            .off = off,
            .imm = static_cast<i32>(op)};
}
/// `r1 = load_acquire((u64 *)(r2 +8))`. Linux 6.15.
constexpr Insn load_acquire(Width w, Reg dst, Reg base, i16 off)
{
    return atomic(Atomic::load_acquire, w, dst, off, base);
}
/// `store_release((u64 *)(r1 +8), r2)`. Linux 6.15.
constexpr Insn store_release(Width w, Reg base, i16 off, Reg src)
{
    return atomic(Atomic::store_release, w, base, off, src);
}
/// `r1 = 0x1122334455667788`, or with a pseudo kind a map, a map's value, a variable or a function; two
/// slots.
constexpr Insn ld_imm64(Reg dst, u64 imm, Pseudo kind = Pseudo::none)
{
    return {.opcode = opcode_ld_imm64,
            .dst = dst,
            .src = Reg{static_cast<u8>(kind)},
            .imm = static_cast<i64>(imm)};
}
/// `r0 = *(u32 *)skb[5]`: the classic packet load, byte-swapped to host order; skb programs only.
constexpr Insn load_abs(Width w, i64 imm) { return {.opcode = opcode(Class::ld, w, Mode::abs), .imm = imm}; }
/// `r0 = *(u32 *)skb[r1 + 5]`.
constexpr Insn load_ind(Width w, Reg src, i64 imm)
{
    return {.opcode = opcode(Class::ld, w, Mode::ind), .src = src, .imm = imm};
}

// ---- control
// ------------------------------------------------------------------------------------------------

/// `if r1 > r2 goto pc+8`, 64 bits.
constexpr Insn jump(Jmp op, Reg dst, Reg src, i16 off = 0)
{
    return {
        .opcode = opcode(Class::jmp, Source::reg, static_cast<u8>(op)), .dst = dst, .src = src, .off = off};
}
/// `if r1 > 5 goto pc+8`, 64 bits; the immediate is sign-extended.
constexpr Insn jump(Jmp op, Reg dst, i64 imm, i16 off = 0)
{
    return {
        .opcode = opcode(Class::jmp, Source::imm, static_cast<u8>(op)), .dst = dst, .off = off, .imm = imm};
}
/// `if w1 > w2 goto pc+8`, 32 bits.
constexpr Insn jump32(Jmp op, Reg dst, Reg src, i16 off = 0)
{
    return {
        .opcode = opcode(Class::jmp32, Source::reg, static_cast<u8>(op)), .dst = dst, .src = src, .off = off};
}
/// `if w1 > 5 goto pc+8`, 32 bits.
constexpr Insn jump32(Jmp op, Reg dst, i64 imm, i16 off = 0)
{
    return {
        .opcode = opcode(Class::jmp32, Source::imm, static_cast<u8>(op)), .dst = dst, .off = off, .imm = imm};
}
/// `goto pc+8`.
constexpr Insn go(i16 off = 0) { return {.opcode = opcode_ja, .off = off}; }
/// `gotol pc+8`: the distance is in the immediate. Linux 6.6.
constexpr Insn go_long(i64 distance = 0) { return {.opcode = opcode_gotol, .imm = distance}; }
/// `may_goto pc+8`: taken when the program has looped long enough. Linux 6.9.
constexpr Insn may_goto(i16 off = 0) { return {.opcode = opcode_may_goto, .off = off}; }
/// `call bpf_map_lookup_elem#1`: a helper, by number.
constexpr Insn call_helper(i64 id) { return {.opcode = opcode_call, .imm = id}; }
/// `call pc+8`: a function of the same program.
constexpr Insn call_local(i64 distance = 0)
{
    return {.opcode = opcode_call, .src = Reg{static_cast<u8>(CallKind::local)}, .imm = distance};
}
/// `call kernel_function#1234`: by BTF id; `module` is an index into the fds given at load, 0 for vmlinux.
constexpr Insn call_kfunc(i64 btf_id, i16 module = 0)
{
    return {
        .opcode = opcode_call, .src = Reg{static_cast<u8>(CallKind::kfunc)}, .off = module, .imm = btf_id};
}
/// `exit`.
constexpr Insn exit() { return {.opcode = opcode_exit}; }

} // namespace lb::bpf
