// The instruction set as one table: a row per form, with the values that select it, what each field may hold,
// the first kernel that has it and how it prints. The encoder, the decoder, the printer and the tests all
// read these rows and know no opcode themselves. Rows say what Linux accepts where that is narrower than RFC
// 9669 (a division by an immediate 0 and a shift beyond the width are refused at load, so here too). Constant
// data; safe from any thread.
#pragma once

#include <array>
#include <span>

#include "lb/asm/insn.hpp"

namespace lb::bpf {

/// The fields of an instruction, in the order in which they are checked.
enum class InsnField : u8 { dst, src, off, imm };
inline constexpr std::array all_fields{InsnField::dst, InsnField::src, InsnField::off, InsnField::imm};
const char* field_name(InsnField field);

/// What a field may hold.
struct Rule {
    enum class Kind : u8 {
        is,       ///< `values[0]`, which selects this form among those of the opcode
        zero,     ///< unused, must be 0
        reg,      ///< a register that is read: r0..r10
        writable, ///< a register that is written: r0..r9, as fp is read only
        range,    ///< `values[0]..values[1]`
        nonzero,  ///< 32 bits, but not 0
        one_of,   ///< one of `values`, the unused ones at the end being 0
    };
    Kind kind = Kind::zero;
    std::array<i64, 3> values = {};

    /// The field picks this form (or may not be anything else), so it isn't free.
    constexpr bool selects() const { return kind == Kind::is; }
    bool allows(i64 value) const;
};

/// A Linux release; ordered.
struct KernelVersion {
    u16 major = 0;
    u16 minor = 0;
    friend constexpr auto operator<=>(const KernelVersion&, const KernelVersion&) = default;
};

/// One form of one instruction.
struct Form {
    u8 opcode = 0;
    /// What the kernel prints: `{dst}` and `{src}` are register numbers, `{off}` and `{far}` off and imm with
    /// their sign, `{imm}` and `{hex}` imm, `{high}` and `{low}` its halves, `{name}` what it stands for.
    const char* text = "";
    Rule dst = {};
    Rule src = {};
    Rule off = {};
    Rule imm = {};
    KernelVersion since = {};

    constexpr const Rule& rule(InsnField field) const
    {
        return field == InsnField::dst   ? dst
               : field == InsnField::src ? src
               : field == InsnField::off ? off
                                         : imm;
    }
};

/// Every form there is, by class and opcode.
std::span<const Form> forms();
/// The form that the opcode and the selecting fields name, whatever the free fields hold; null if there is
/// none.
const Form* find_form(const Insn& insn);
/// The value of a field, registers by their number.
i64 field_value(const Insn& insn, InsnField field);

} // namespace lb::bpf
