#include "kernel/verifier_log.hpp"

#include <algorithm>
#include <set>

#include "kernel/text_scan.hpp"
#include "kernel/verifier_advice.hpp"
#include "kernel/verifier_trace.hpp"

namespace lb::kernel {

namespace {

using bpf::Reg;

constexpr std::size_t last_steps_max = 16;   // shown whole, up to the failure
constexpr std::size_t branch_steps_max = 12; // of those before, only the branches that lead there

// ---- what the instruction reads
// --------------------------------------------------------------------------------

struct ByIndex {
    bool operator()(Reg a, Reg b) const { return a.index < b.index; }
};
using Registers = std::set<Reg, ByIndex>;

Registers reads_of(const bpf::RawInsn& insn)
{
    const Reg dst{static_cast<u8>(insn.registers & 0x0f)};
    const Reg src{static_cast<u8>(insn.registers >> 4)};
    const bool has_source = bpf::source_of(insn.opcode) == bpf::Source::reg;
    if (insn.opcode == bpf::opcode_exit) return {bpf::r0};
    if (insn.opcode == bpf::opcode_call) return {bpf::r1, bpf::r2, bpf::r3, bpf::r4, bpf::r5};
    switch (bpf::class_of(insn.opcode)) {
    case bpf::Class::ld:
        return {};
    case bpf::Class::ldx:
        return {src};
    case bpf::Class::st:
        return {dst};
    case bpf::Class::stx:
        return {dst, src};
    case bpf::Class::alu:
    case bpf::Class::alu64:
        if (bpf::alu_of(insn.opcode) == bpf::Alu::mov) return has_source ? Registers{src} : Registers{};
        return has_source ? Registers{dst, src} : Registers{dst};
    case bpf::Class::jmp:
    case bpf::Class::jmp32:
        return has_source ? Registers{dst, src} : Registers{dst};
    }
    return {};
}

/// `R6` in a complaint.
Registers named_in(std::string_view complaint)
{
    Registers named;
    for (std::size_t at = complaint.find('R'); at != complaint.npos; at = complaint.find('R', at + 1)) {
        std::string_view rest = complaint.substr(at + 1);
        if (at > 0 && complaint[at - 1] != ' ') continue;
        if (const auto index = scan::take_number(rest); index && *index < bpf::registers_count)
            named.insert(Reg{static_cast<u8>(*index)});
    }
    return named;
}

std::vector<std::string> registers_in_words(const RegisterStates& states, const bpf::Program& program,
                                            u32 slot, std::string_view complaint)
{
    const Registers named = named_in(complaint);
    Registers wanted = named;
    if (slot < program.code.size()) wanted.merge(reads_of(program.code[slot]));
    std::vector<std::string> lines;
    for (const Reg reg : wanted) {
        const std::string_view state = states.of(reg);
        // A call may take fewer arguments than five; what is missing and matters is named in the complaint.
        if (state.empty() && !named.contains(reg)) continue;
        lines.push_back("r" + std::to_string(reg.index) + " is " + in_words(state));
    }
    return lines;
}

// ---- the way there
// ---------------------------------------------------------------------------------------------

bool is_branch(const TraceStep& step)
{
    return step.text.starts_with("if ") || step.text.starts_with("may_goto");
}

// The kernel prints a map as the address that it has there, which tells nobody anything.
std::string with_map_name(std::string text, u32 slot, const bpf::Program& program)
{
    const std::size_t number = text.find(" = 0x");
    const auto reloc = std::ranges::find(program.relocs, slot, &bpf::Reloc::slot);
    if (number == text.npos || reloc == program.relocs.end() || reloc->kind == bpf::Reloc::Kind::value32)
        return text;
    return text.substr(0, number) + " = map[" + reloc->symbol + "]";
}

PathStep shown(const std::vector<const TraceStep*>& path, std::size_t at, const bpf::Program& program)
{
    const TraceStep& step = *path[at];
    PathStep result{.slot = step.slot,
                    .text = with_map_name(std::string(step.text), step.slot, program),
                    .where = source_of(program, step.slot)};
    if (at + 1 == path.size())
        result.failed = true;
    else if (is_branch(step))
        result.text += path[at + 1]->slot == step.slot + 1 ? "   (not taken)" : "   (taken)";
    return result;
}

std::vector<PathStep> shorten(const std::vector<const TraceStep*>& path, const bpf::Program& program)
{
    const std::size_t whole_from = path.size() - std::min(path.size(), last_steps_max);
    std::vector<std::size_t> wanted;
    for (std::size_t at = whole_from; at-- > 0 && wanted.size() < branch_steps_max;)
        if (is_branch(*path[at])) wanted.push_back(at);
    std::reverse(wanted.begin(), wanted.end());
    for (std::size_t at = whole_from; at < path.size(); ++at) wanted.push_back(at);

    std::vector<PathStep> steps;
    std::size_t next = 0;
    for (const std::size_t at : wanted) {
        if (const std::size_t skipped = at - next; skipped > 0)
            steps.push_back({.text = "... " + std::to_string(skipped) +
                                     (skipped == 1 ? " instruction" : " instructions")});
        steps.push_back(shown(path, at, program));
        next = at + 1;
    }
    return steps;
}

// ---- the complaint
// ---------------------------------------------------------------------------------------------

struct Found {
    std::string_view line = {};
    const Complaint* row = nullptr;
};

// Rows first: a special complaint wins over a general one that the kernel adds in another line.
Found find_in(const std::vector<std::string_view>& messages)
{
    Found best;
    for (const std::string_view line : messages) {
        const Complaint* row = find_complaint(line);
        if (row && (!best.row || row < best.row)) best = {line, row};
    }
    if (!best.row && !messages.empty()) best.line = messages.front();
    return best;
}

std::optional<u32> blamed_slot(const Found& found, const std::vector<const TraceStep*>& path,
                               const bpf::Program& program)
{
    switch (found.row ? found.row->blames : Blames::last_step) {
    case Blames::last_step:
        if (!path.empty()) return path.back()->slot;
        return std::nullopt;
    case Blames::named: {
        std::string_view rest =
            found.line.substr(found.line.find(found.row->marker) + found.row->marker.size());
        return scan::take_number(rest);
    }
    case Blames::program_end:
        if (!program.code.empty()) return static_cast<u32>(program.code.size() - 1);
        return std::nullopt;
    case Blames::whole_program:
        break;
    }
    return std::nullopt;
}

std::optional<u64> number_after(std::string_view line, std::string_view word)
{
    const std::size_t at = line.find(word);
    if (at == line.npos) return std::nullopt;
    line.remove_prefix(at + word.size());
    return scan::take_number<u64>(line);
}

bool read_stats_line(std::string_view line, VerifierStats& stats)
{
    if (line.starts_with("processed ")) {
        stats.instructions = number_after(line, "processed ").value_or(0);
        stats.instructions_limit = number_after(line, "limit ").value_or(0);
        stats.max_states_per_insn = number_after(line, "max_states_per_insn ").value_or(0);
        stats.total_states = number_after(line, "total_states ").value_or(0);
        stats.peak_states = number_after(line, "peak_states ").value_or(0);
        stats.mark_read = number_after(line, "mark_read ").value_or(0);
        return true;
    }
    if (scan::take(line, "stack depth ")) {
        stats.stack_depth.clear();
        do {
            const auto depth = scan::take_number(line);
            if (!depth) break;
            stats.stack_depth.push_back(*depth);
        } while (scan::take(line, "+"));
    } else if (line.starts_with("verification time ")) {
        stats.microseconds = number_after(line, "verification time ");
    }
    return false;
}

} // namespace

std::optional<VerifierStats> parse_verifier_stats(std::string_view log)
{
    VerifierStats stats;
    bool found = false;
    while (!log.empty()) {
        const std::size_t end = std::min(log.find('\n'), log.size());
        found |= read_stats_line(scan::trim(log.substr(0, end)), stats);
        log.remove_prefix(std::min(end + 1, log.size()));
    }
    if (!found) return std::nullopt;
    return stats;
}

std::string source_of(const bpf::Program& program, u32 slot)
{
    const bpf::LineInfo* best = nullptr;
    for (const bpf::LineInfo& line : program.lines)
        if (line.slot <= slot && (!best || line.slot >= best->slot)) best = &line;
    if (!best || best->file.empty()) return {};
    return best->file + ":" + std::to_string(best->line) +
           (best->text.empty() ? "" : " (" + best->text + ")");
}

VerifierReport explain_rejection(std::string_view log, const bpf::Program& program)
{
    const Trace trace = read_trace(log);
    const std::vector<const TraceStep*> path = path_to_last(trace);
    const Found found = find_in(trace.messages);

    VerifierReport report{.complaint = std::string(found.line), .slot = blamed_slot(found, path, program)};
    report.stats = parse_verifier_stats(log);
    if (found.row) {
        report.cause = found.row->cause;
        report.advice = found.row->advice;
    }
    if (!report.slot) return report;
    report.where = source_of(program, *report.slot);
    if (path.empty()) return report;
    report.path = shorten(path, program);
    report.registers = registers_in_words(states_at_end(path), program, path.back()->slot, report.complaint);
    return report;
}

} // namespace lb::kernel
