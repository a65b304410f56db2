#include "asm/linker.hpp"

#include <algorithm>

#include "lb/asm/encode.hpp"

namespace lb::bpf {

void Linker::resolve()
{
    for (const auto& node : b_.nodes_) {
        if (node.label && !b_.labels_[*node.label].at)
            return b_.fail(Errc::unbound_label, "label '" + b_.labels_[*node.label].name + "' is never bound",
                           node.where);
        if (node.function && !b_.functions_[*node.function].at)
            return b_.fail(Errc::unbound_function,
                           "function '" + b_.functions_[*node.function].name + "' has no body", node.where);
    }
    if (b_.nodes_.empty())
        return b_.fail(Errc::falls_off_end, "the program is empty", b_.functions_.front().where);
    b_.check_bodies();
}

std::vector<bool> Linker::reachable() const
{
    std::vector<bool> live(b_.nodes_.size());
    std::vector<u32> work{0};
    while (!work.empty()) {
        const u32 at = work.back();
        work.pop_back();
        if (at >= live.size() || live[at]) continue;
        live[at] = true;
        const auto& node = b_.nodes_[at];
        if (node.label) work.push_back(*b_.labels_[*node.label].at);
        if (node.function) work.push_back(*b_.functions_[*node.function].at);
        if (!is_exit(node.insn) && !is_goto(node.insn)) work.push_back(at + 1);
    }
    return live;
}

// Whether control goes only where it may: asked before gotos to the next node are dropped.
bool Linker::check_flow(const std::vector<bool>& reached)
{
    for (u32 i = 0; i < b_.nodes_.size(); ++i) {
        const auto& node = b_.nodes_[i];
        if (!reached[i]) continue;
        if (node.label && *b_.labels_[*node.label].at == b_.nodes_.size()) {
            b_.fail(Errc::falls_off_end,
                    "label '" + b_.labels_[*node.label].name + "' is bound behind the end", node.where);
            return false;
        }
        const bool falls = !is_exit(node.insn) && !is_goto(node.insn) && i + 1 < b_.nodes_.size();
        if (falls && b_.nodes_[i + 1].only_by_jumps) {
            b_.fail(Errc::falls_off_end, "control falls into what only jumps may reach", node.where);
            return false;
        }
    }
    return true;
}

// A goto to the next node that stays, in the same function.
bool Linker::goes_nowhere(u32 index, const std::vector<bool>& live) const
{
    const auto& node = b_.nodes_[index];
    if (!is_goto(node.insn) || !node.label) return false;
    u32 next = index + 1;
    while (next < live.size() && !live[next]) ++next;
    for (const auto& function : b_.functions_)
        if (function.at && *function.at > index && *function.at <= next) return false;
    return *b_.labels_[*node.label].at > index && *b_.labels_[*node.label].at <= next;
}

void Linker::prune()
{
    const std::vector<bool> reached = reachable();
    if (!check_flow(reached)) return;
    std::vector<bool> live = reached;
    // From the end on, so that a goto over a dropped goto is seen to go nowhere as well.
    for (u32 i = static_cast<u32>(live.size()); i-- > 0;)
        if (live[i] && goes_nowhere(i, live)) live[i] = false;
    std::vector<u32> moved(b_.nodes_.size() + 1);
    std::vector<Builder::Node> kept;
    kept.reserve(b_.nodes_.size());
    for (u32 i = 0; i < b_.nodes_.size(); ++i) {
        moved[i] = static_cast<u32>(kept.size());
        if (live[i]) kept.push_back(std::move(b_.nodes_[i]));
    }
    moved.back() = static_cast<u32>(kept.size());
    for (auto& label : b_.labels_)
        if (label.at) label.at = moved[*label.at];
    for (auto& function : b_.functions_) {
        if (!function.at) continue;
        // Reached, not live: a function that begins with a dropped goto begins where that one led.
        if (!reached[*function.at])
            function.at.reset();
        else
            function.at = moved[*function.at];
    }
    b_.nodes_ = std::move(kept);
}

// A long conditional jump is `if !... goto over; gotol target` for jumps with an opposite; written for all of
// them as `if ... goto +1; goto +1; gotol target`, which needs no opposite and costs nothing where it is not
// taken.
constexpr u32 long_conditional_slots = 3;

void Linker::place_slots(const std::vector<bool>& is_long, std::vector<u32>& slot) const
{
    slot.assign(b_.nodes_.size() + 1, 0);
    for (u32 i = 0; i < b_.nodes_.size(); ++i) {
        const Insn& insn = b_.nodes_[i].insn;
        slot[i + 1] = slot[i] + (is_long[i] && is_conditional(insn) ? long_conditional_slots : slots(insn));
    }
}

i64 Linker::distance(u32 node, const std::vector<u32>& slot, u32 from_slot) const
{
    const auto& n = b_.nodes_[node];
    const u32 to = n.label ? *b_.labels_[*n.label].at : *b_.functions_[*n.function].at;
    return i64{slot[to]} - i64{from_slot} - 1;
}

// Lengthening one jump can push another out of range, so this goes on until nothing changes; it only ever
// lengthens.
std::vector<bool> Linker::choose_long_jumps(std::vector<u32>& slot)
{
    std::vector<bool> is_long(b_.nodes_.size());
    for (bool changed = true; changed;) {
        changed = false;
        place_slots(is_long, slot);
        for (u32 i = 0; i < b_.nodes_.size(); ++i) {
            const auto& node = b_.nodes_[i];
            if (!node.label || is_long[i] || narrow<i16>(distance(i, slot, slot[i]))) continue;
            if (!b_.isa_.gotol) {
                b_.fail(Errc::jump_out_of_range,
                        "jump to '" + b_.labels_[*node.label].name + "' spans " +
                            std::to_string(distance(i, slot, slot[i])) +
                            " slots; the limit is 32767 before Linux 6.6 (gotol)",
                        node.where);
                return is_long;
            }
            is_long[i] = changed = true;
        }
    }
    return is_long;
}

void Linker::append(Program& program, const Insn& insn, const Builder::Node& node)
{
    if (auto encoded = encode(insn, program.code); !encoded) {
        const bool imm =
            encoded.error().code == InsnErrc::field_out_of_range && encoded.error().field == InsnField::imm;
        b_.fail(imm ? Errc::immediate_out_of_range : Errc::bad_instruction, encoded.error().message,
                node.where);
    }
}

void Linker::append_node(Program& program, u32 index, bool is_long, const std::vector<u32>& slot)
{
    const auto& node = b_.nodes_[index];
    Insn insn = node.insn;
    if (node.function) {
        insn.imm = distance(index, slot, slot[index]); // of a call and of ld_imm64's function form alike
        return append(program, insn, node);
    }
    if (node.label && !is_long) insn.off = narrow<i16>(distance(index, slot, slot[index])).value_or(0);
    if (!is_long) return append(program, insn, node);
    if (is_conditional(insn)) {
        insn.off = 1;
        append(program, insn, node);
        append(program, go(1), node);
    }
    append(program, go_long(distance(index, slot, static_cast<u32>(program.code.size()))), node);
}

void Linker::append_line(Program& program, const Builder::Node& node, u32 slot, bool first_of_function) const
{
    const std::string file = base_name(node.where.file_name());
    const std::string& text = b_.notes_[node.note];
    if (!program.lines.empty() && !first_of_function) {
        const LineInfo& last = program.lines.back();
        if (last.file == file && last.line == node.where.line() && last.text == text) return;
    }
    program.lines.push_back(
        {.slot = slot, .file = file, .line = node.where.line(), .column = node.where.column(), .text = text});
}

Program Linker::link()
{
    std::vector<u32> slot;
    const std::vector<bool> is_long = choose_long_jumps(slot);
    Program program{.name = b_.name_, .type = b_.type_, .attach = b_.attach_};
    for (u32 i = 0; i < b_.nodes_.size(); ++i) {
        bool first = false;
        for (const auto& function : b_.functions_) {
            if (function.at != i) continue;
            first = true;
            program.functions.push_back(
                {.name = function.name, .slot = slot[i], .arguments = function.arguments});
        }
        const auto& node = b_.nodes_[i];
        append_line(program, node, slot[i], first);
        if (node.reloc)
            program.relocs.push_back({.kind = *node.reloc, .slot = slot[i], .symbol = node.symbol});
        append_node(program, i, is_long[i], slot);
    }
    program.exits = b_.exits_;
    // Of the maps that statements named, those whose statements were not dropped.
    for (const auto& map : b_.maps_)
        if (std::ranges::any_of(program.relocs, [&](const Reloc& reloc) {
                return reloc.kind != Reloc::Kind::value32 && reloc.symbol == map.name;
            }))
            program.maps.push_back(map);
    return program;
}

} // namespace lb::bpf
