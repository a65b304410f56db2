#include "lb/asm/encode.hpp"

#include <cstdio>

#include "lb/asm/disasm.hpp"

namespace lb::bpf {
namespace {

std::string hex2(u8 value)
{
    char text[8];
    std::snprintf(text, sizeof text, "0x%02x", value);
    return text;
}

bool names_register(const Rule& rule)
{
    return rule.kind == Rule::Kind::reg || rule.kind == Rule::Kind::writable;
}

std::string allowed_text(const Rule& rule)
{
    switch (rule.kind) {
    case Rule::Kind::is:
        return std::to_string(rule.values[0]);
    case Rule::Kind::zero:
        return "0";
    case Rule::Kind::reg:
        return "r0..r10";
    case Rule::Kind::writable:
        return "r0..r9";
    case Rule::Kind::range:
        return std::to_string(rule.values[0]) + ".." + std::to_string(rule.values[1]);
    case Rule::Kind::nonzero:
        return "-2147483648..2147483647 but not 0";
    case Rule::Kind::one_of:
        break;
    }
    std::string text;
    for (const i64 value : rule.values) {
        if (value != 0) text += (text.empty() ? "" : ", ") + std::to_string(value);
    }
    return text;
}

InsnError out_of_range(const Insn& insn, const Form& form, InsnField field)
{
    const Rule& rule = form.rule(field);
    return {.code = InsnErrc::field_out_of_range,
            .field = field,
            .message = disassemble(insn) + ": " + field_name(field) + " is " +
                       (names_register(rule) ? "r" : "") + std::to_string(field_value(insn, field)) +
                       ", allowed is " + allowed_text(rule)};
}

/// Why no form takes `insn`: an opcode that nobody has, or a selecting field with a value that none of its
/// forms has.
InsnError no_form(const Insn& insn)
{
    std::string allowed;
    InsnField selecting = InsnField::dst;
    for (const Form& form : forms()) {
        if (form.opcode != insn.opcode) continue;
        for (const InsnField field : all_fields) {
            if (!form.rule(field).selects()) continue;
            selecting = field;
            allowed += (allowed.empty() ? "" : ", ") + allowed_text(form.rule(field));
        }
    }
    if (allowed.empty()) {
        return {.code = InsnErrc::unknown_opcode,
                .message = "no instruction has opcode " + hex2(insn.opcode)};
    }
    return {.code = InsnErrc::unknown_form,
            .field = selecting,
            .message = "opcode " + hex2(insn.opcode) + ": " + field_name(selecting) + " is " +
                       std::to_string(field_value(insn, selecting)) + ", allowed is " + allowed};
}

// The casts below keep the low bits; check() has made sure before that there are no others.
i32 low_word(i64 value) { return static_cast<i32>(static_cast<u64>(value)); }
i32 high_word(i64 value) { return static_cast<i32>(static_cast<u64>(value) >> 32); }
i64 join(i32 low, i32 high)
{
    return static_cast<i64>(static_cast<u64>(static_cast<u32>(high)) << 32 | static_cast<u32>(low));
}
u8 pack(Reg dst, Reg src) { return static_cast<u8>(src.index << 4 | dst.index); }

/// A distance to a function is signed and fits in the first slot; every other kind uses both as one number.
bool is_function(const Insn& insn) { return insn.src.index == static_cast<u8>(Pseudo::func); }

/// Both slots of ld_imm64; the opcode, the registers and the offset of the second are reserved.
InsnResult<void> join_slots(Insn& insn, std::span<const RawInsn> code)
{
    if (code.size() < 2) {
        return std::unexpected(InsnError{.code = InsnErrc::truncated,
                                         .message = "opcode 0x18 takes two slots, the second is missing"});
    }
    const RawInsn& second = code[1];
    if (second.opcode != 0 || second.registers != 0 || second.off != 0) {
        return std::unexpected(InsnError{
            .code = InsnErrc::field_out_of_range,
            .field = InsnField::off,
            .message =
                "the second slot of opcode 0x18 holds more than an immediate: opcode, dst, src and off "
                "must be 0"});
    }
    if (!is_function(insn)) {
        insn.imm = join(code[0].imm, second.imm);
    } else if (second.imm != 0) {
        return std::unexpected(InsnError{.code = InsnErrc::field_out_of_range,
                                         .field = InsnField::imm,
                                         .message = "the second slot of opcode 0x18 with src 4: imm is " +
                                                    std::to_string(second.imm) + ", allowed is 0"});
    }
    return {};
}

} // namespace

InsnResult<void> check(const Insn& insn)
{
    const Form* form = find_form(insn);
    if (!form) return std::unexpected(no_form(insn));
    for (const InsnField field : all_fields) {
        if (!form->rule(field).allows(field_value(insn, field))) {
            return std::unexpected(out_of_range(insn, *form, field));
        }
    }
    return {};
}

InsnResult<void> encode(const Insn& insn, std::vector<RawInsn>& out)
{
    if (auto checked = check(insn); !checked) return checked;
    const RawInsn first{.opcode = insn.opcode,
                        .registers = pack(insn.dst, insn.src),
                        .off = insn.off,
                        .imm = low_word(insn.imm)};
    if (slots(insn) == 1) {
        out.push_back(first);
    } else {
        out.insert(out.end(), {first, RawInsn{.imm = is_function(insn) ? 0 : high_word(insn.imm)}});
    }
    return {};
}

InsnResult<Insn> decode_one(std::span<const RawInsn> code)
{
    const RawInsn& raw = code.front();
    Insn insn{.opcode = raw.opcode,
              .dst = Reg{static_cast<u8>(raw.registers & 0x0f)},
              .src = Reg{static_cast<u8>(raw.registers >> 4)},
              .off = raw.off,
              .imm = raw.imm};
    if (slots(insn) == 2) {
        if (auto joined = join_slots(insn, code); !joined) return std::unexpected(joined.error());
    }
    if (auto checked = check(insn); !checked) return std::unexpected(checked.error());
    return insn;
}

InsnResult<std::vector<Insn>> decode(std::span<const RawInsn> code)
{
    std::vector<Insn> insns;
    for (std::size_t slot = 0; slot < code.size(); slot += slots(insns.back())) {
        auto insn = decode_one(code.subspan(slot));
        if (!insn) {
            insn.error().message = "slot " + std::to_string(slot) + ": " + insn.error().message;
            return std::unexpected(insn.error());
        }
        insns.push_back(*insn);
    }
    return insns;
}

} // namespace lb::bpf
