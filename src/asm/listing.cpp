#include <cstdio>
#include <map>
#include <optional>
#include <set>

#include "lb/asm/disasm.hpp"
#include "lb/asm/encode.hpp"

#include "asm/insn_text.hpp"

namespace lb::bpf {
namespace {

constexpr std::size_t comment_column = 62;

/// Where control may go from the instruction at `slot` other than on to the next, if that is in the same
/// function.
std::optional<i64> jump_target(const Insn& insn, u32 slot)
{
    if (insn.opcode == opcode_gotol) return i64{slot} + 1 + insn.imm;
    if (is_goto(insn) || is_conditional(insn)) return i64{slot} + 1 + insn.off;
    return std::nullopt;
}

bool is_local_call(const Insn& insn)
{
    return is_call(insn) && insn.src.index == static_cast<u8>(CallKind::local);
}
bool is_load_of(const Insn& insn, Pseudo kind)
{
    return insn.opcode == opcode_ld_imm64 && insn.src.index == static_cast<u8>(kind);
}

class Listing {
public:
    Listing(const Program& program, const ListingOptions& options) : program_(program), options_(options)
    {
        for (const Reloc& reloc : program.relocs) relocs_.emplace(reloc.slot, &reloc);
        for (const Function& function : program.functions) functions_.emplace(function.slot, &function);
        for (const LineInfo& line : program.lines) lines_.emplace(line.slot, &line);
        if (options.labels) number_labels();
    }

    std::string text() &&
    {
        for (u32 slot = 0; slot < program_.code.size();) {
            put_function(slot);
            put_label(slot);
            put_line(slot);
            const auto insn = decode_one(std::span(program_.code).subspan(slot));
            put_insn(slot, insn ? &*insn : nullptr);
            slot += insn ? slots(*insn) : 1;
        }
        return std::move(text_);
    }

private:
    template <class T> static const T* at(const std::map<u32, const T*>& by_slot, i64 slot)
    {
        const auto found = slot < 0 ? by_slot.end() : by_slot.find(static_cast<u32>(slot));
        return found == by_slot.end() ? nullptr : found->second;
    }

    /// Numbers, by slot, the instructions that a jump leads to.
    void number_labels()
    {
        std::set<i64> starts, targets;
        for (u32 slot = 0; slot < program_.code.size();) {
            const auto insn = decode_one(std::span(program_.code).subspan(slot));
            starts.insert(slot);
            if (const auto target = insn ? jump_target(*insn, slot) : std::nullopt) targets.insert(*target);
            slot += insn ? slots(*insn) : 1;
        }
        u32 number = 0;
        for (const i64 target : targets) {
            if (starts.contains(target)) labels_[target] = ++number;
        }
    }

    void put_function(u32 slot)
    {
        const Function* function = at(functions_, slot);
        if (!function) return;
        note_.clear();
        text_ += (slot == 0 ? "" : "\n") + function->name + ":\n";
    }

    void put_label(u32 slot)
    {
        const auto label = labels_.find(slot);
        if (label != labels_.end()) text_ += "L" + std::to_string(label->second) + ":\n";
    }

    void put_line(u32 slot)
    {
        const LineInfo* line = options_.lines ? at(lines_, slot) : nullptr;
        if (!line) return;
        if (!options_.positions) return put_note(line->text);
        text_ += "; " + line->text + (line->text.empty() ? "" : " ");
        text_ += "@ " + line->file + ":" + std::to_string(line->line) + "\n";
    }

    void put_note(const std::string& note)
    {
        if (!note.empty() && note != note_) text_ += "; " + note + "\n";
        note_ = note;
    }

    void put_insn(u32 slot, const Insn* insn)
    {
        const RawInsn& raw = program_.code[slot];
        char number[32];
        std::snprintf(number, sizeof number, "%4u: ", slot);
        std::string line = options_.positions ? number : "  ";
        if (options_.bytes)
            line += bytes(slot) + (insn && slots(*insn) == 2 ? " " + bytes(slot + 1) : "") + " ";
        std::snprintf(number, sizeof number, "(%02x) ", raw.opcode);
        line += number + (insn ? insn_text(*insn, names(*insn, slot)) : "invalid instruction");
        const std::string where = insn ? destination(*insn, slot) : "";
        const auto distance = line.rfind("pc");
        if (!options_.positions && !where.empty() && distance != std::string::npos) {
            line.replace(distance, std::string::npos, where);
        } else if (!where.empty()) {
            line.append(line.size() < comment_column ? comment_column - line.size() : 1, ' ');
            line += "; -> " + where;
        }
        text_ += line + "\n";
    }

    std::string bytes(u32 slot) const
    {
        const RawInsn& raw = program_.code[slot];
        const u16 off = static_cast<u16>(raw.off);
        const u32 imm = static_cast<u32>(raw.imm);
        char text[32];
        std::snprintf(text, sizeof text, "%02x%02x%02x%02x%02x%02x%02x%02x", raw.opcode, raw.registers,
                      off & 0xffu, off >> 8u, imm & 0xffu, imm >> 8 & 0xffu, imm >> 16 & 0xffu, imm >> 24);
        return text;
    }

    /// The names of what the loader fills in, and of functions whose address is taken.
    InsnNames names(const Insn& insn, u32 slot) const
    {
        if (is_load_of(insn, Pseudo::func)) {
            const Function* function = at(functions_, i64{slot} + 1 + insn.imm);
            return {.name = function ? "subprog[" + function->name + "]" : ""};
        }
        const Reloc* reloc = at(relocs_, slot);
        if (!reloc) return {};
        if (is_call(insn)) return {.name = reloc->symbol};
        switch (reloc->kind) {
        case Reloc::Kind::map_fd:
            return {.name = "map[" + reloc->symbol + "]"};
        case Reloc::Kind::map_value:
            return {.name =
                        "map[" + reloc->symbol + "][0]+" + std::to_string(static_cast<u64>(insn.imm) >> 32)};
        case Reloc::Kind::value32:
            return {.imm = "<" + reloc->symbol + ">"};
        }
        return {};
    }

    /// The label or the function that control may go to.
    std::string destination(const Insn& insn, u32 slot) const
    {
        if (is_local_call(insn)) {
            const Function* function = at(functions_, i64{slot} + 1 + insn.imm);
            return function ? function->name : "";
        }
        const auto target = jump_target(insn, slot);
        if (!target || !options_.labels) return "";
        const auto label = labels_.find(*target);
        if (label != labels_.end()) return "L" + std::to_string(label->second);
        return "slot " + std::to_string(*target) + ", where no instruction starts";
    }

    const Program& program_;
    const ListingOptions& options_;
    std::map<u32, const Reloc*> relocs_ = {};
    std::map<u32, const Function*> functions_ = {};
    std::map<u32, const LineInfo*> lines_ = {};
    std::map<i64, u32> labels_ = {}; ///< by slot
    std::string note_ = {};          ///< the one in force
    std::string text_ = {};
};

} // namespace

std::string disassemble(const Program& program, const ListingOptions& options)
{
    return Listing(program, options).text();
}

} // namespace lb::bpf
