// Instructions to slots and back. This is the only place where a value is narrowed to a field, and it refuses
// every value that the field of that form cannot hold, by the table in opcodes.hpp: nothing is ever
// truncated. Pure; safe from any thread.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <vector>

#include "lb/asm/insn.hpp"
#include "lb/asm/opcodes.hpp"

namespace lb::bpf {

enum class InsnErrc {
    unknown_opcode,     ///< no form has this opcode
    unknown_form,       ///< the opcode is known, but no form of it has this value in a selecting field
    field_out_of_range, ///< the form is known; a field holds what it must not
    truncated,          ///< an ld_imm64 without its second slot
};

/// Why something is no instruction: "r3 += 70000000000: imm is 70000000000, allowed is
/// -2147483648..2147483647".
struct InsnError {
    InsnErrc code = InsnErrc::unknown_opcode;
    InsnField field = InsnField::dst; ///< meaningful for unknown_form and field_out_of_range
    std::string message = {};
};
template <class T> using InsnResult = std::expected<T, InsnError>;

/// Whether `insn` can be encoded; the reason if not.
InsnResult<void> check(const Insn& insn);
/// Appends the one or two slots of `insn`; on error nothing is appended.
InsnResult<void> encode(const Insn& insn, std::vector<RawInsn>& out);
/// The instruction that starts at the first of `code`, which must not be empty.
InsnResult<Insn> decode_one(std::span<const RawInsn> code);
/// All of `code`; the message of an error starts with its slot.
InsnResult<std::vector<Insn>> decode(std::span<const RawInsn> code);

} // namespace lb::bpf
