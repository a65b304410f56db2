#include "lb/asm/disasm.hpp"

#include <cstdio>

#include "lb/asm/encode.hpp"
#include "lb/asm/helpers.hpp"
#include "lb/asm/opcodes.hpp"

#include "asm/insn_text.hpp"

namespace lb::bpf {
namespace {

std::string hex(const Insn& insn)
{
    char text[24];
    if (insn.opcode == opcode_ld_imm64) {
        std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(insn.imm));
    } else {
        std::snprintf(text, sizeof text, "0x%x", static_cast<u32>(insn.imm));
    }
    return text;
}

std::string with_sign(i64 value) { return (value < 0 ? "" : "+") + std::to_string(value); }
u32 low(i64 imm) { return static_cast<u32>(static_cast<u64>(imm)); }
u32 high(i64 imm) { return static_cast<u32>(static_cast<u64>(imm) >> 32); }

std::string call_name(const Insn& insn)
{
    switch (static_cast<CallKind>(insn.src.index)) {
    case CallKind::local:
        return "pc" + with_sign(insn.imm);
    case CallKind::kfunc:
        return "kernel-function";
    case CallKind::helper:
        break;
    }
    const std::string_view name = helper_name(low(insn.imm));
    return name.empty() ? "unknown" : std::string(name);
}

/// What the kernel would print here is an address; this is what was encoded.
std::string pseudo_name(const Insn& insn)
{
    const std::string first = std::to_string(low(insn.imm)), second = std::to_string(high(insn.imm));
    switch (static_cast<Pseudo>(insn.src.index)) {
    case Pseudo::none:
        break;
    case Pseudo::map_fd:
        return "map[fd:" + first + "]";
    case Pseudo::map_value:
        return "map[fd:" + first + "][0]+" + second;
    case Pseudo::btf_id:
        return "btf[id:" + first + "]";
    case Pseudo::func:
        return "subprog[" + with_sign(insn.imm) + "]";
    case Pseudo::map_idx:
        return "map[idx:" + first + "]";
    case Pseudo::map_idx_value:
        return "map[idx:" + first + "][0]+" + second;
    }
    return hex(insn);
}

std::string named_part(std::string_view what, const Insn& insn, const InsnNames& names)
{
    const bool immediate = what == "imm" || what == "hex" || what == "far";
    if (immediate && !names.imm.empty()) return names.imm;
    if (what == "name" && !names.name.empty()) return names.name;
    if (what == "dst") return std::to_string(insn.dst.index);
    if (what == "src") return std::to_string(insn.src.index);
    if (what == "off") return with_sign(insn.off);
    if (what == "far") return with_sign(insn.imm);
    if (what == "imm") return std::to_string(insn.imm);
    if (what == "hex") return hex(insn);
    if (what == "high") return std::to_string(low(insn.imm) >> 16);
    if (what == "low") return std::to_string(low(insn.imm) & 0xffff);
    return insn.opcode == opcode_call ? call_name(insn) : pseudo_name(insn);
}

} // namespace

std::string insn_text(const Insn& insn, const InsnNames& names)
{
    const Form* form = find_form(insn);
    if (!form) {
        char text[32];
        std::snprintf(text, sizeof text, "invalid instruction (%02x)", insn.opcode);
        return text;
    }
    std::string text;
    std::string_view pattern = form->text;
    for (auto open = pattern.find('{'); open != pattern.npos; open = pattern.find('{')) {
        const auto close = pattern.find('}', open);
        text += pattern.substr(0, open);
        text += named_part(pattern.substr(open + 1, close - open - 1), insn, names);
        pattern.remove_prefix(close + 1);
    }
    return text.append(pattern);
}

std::string disassemble(const Insn& insn) { return insn_text(insn, {}); }

std::string disassemble_with_opcode(const Insn& insn)
{
    char opcode[8];
    std::snprintf(opcode, sizeof opcode, "(%02x) ", insn.opcode);
    return opcode + disassemble(insn);
}

} // namespace lb::bpf
