#include "kernel/verifier_trace.hpp"

#include <algorithm>
#include <array>

#include "kernel/text_scan.hpp"

namespace lb::kernel {

namespace {

// Lines that are about the verifier's own work.
constexpr std::array noise = {
    "; ",          "mark_precise:", "last_idx ",  "regs=",         "parent ",
    "caller:",     "callee:",       "returning ", "to caller at ", "cur state:",
    "old state:",  "func#",         "Func#",      "Live regs ",    "SCC ",
    "propagating", "Validating ",   "processed ", "stack dep",     "verification time ",
};

bool is_noise(std::string_view line)
{
    if (line.empty()) return true;
    if (std::any_of(noise.begin(), noise.end(), [&](const char* each) { return line.starts_with(each); }))
        return true;
    // The table of live registers: "      0: .1........ (61) r6 = *(u32 *)(r1 +0)", "  1   2: ...".
    return line.front() == ' ' && scan::take_number(line = scan::trim(line)).has_value();
}

class Reader {
public:
    void line(std::string_view text)
    {
        if (is_noise(text)) return;
        text = scan::trim(text);
        if (branch(text) || numbered(text)) return;
        if (is_state(text)) return state(text);
        trace_.messages.push_back(text);
    }
    Trace take() { return std::move(trace_); }

private:
    // "from 9 to 12: R0=8": back to a branch that was left for later, or on behind a subprogram's exit.
    bool branch(std::string_view text)
    {
        if (!scan::take(text, "from ")) return false;
        const auto from = scan::take_number(text);
        const std::size_t colon = text.find(": ");
        if (!from || !text.starts_with(" to ") || colon == text.npos) return false;
        // Branches are taken up again last first: it is the latest visit that is still open.
        std::vector<std::size_t>& open = open_[*from];
        parent_ = {};
        if (!open.empty()) {
            parent_ = open.back();
            open.pop_back();
        }
        new_path_ = true;
        before_.clear();
        if (const std::string_view rest = text.substr(colon + 2); is_state(rest)) before_.push_back(rest);
        return true;
    }

    // "6: (56) if w0 != 0x8 goto pc+95 ; R0=8", "12: R0=8 R1=ctx()", "7: safe".
    bool numbered(std::string_view text)
    {
        const auto slot = scan::take_number(text);
        if (!slot || !scan::take(text, ": ")) return false;
        if (is_state(text)) {
            state(text);
            return true;
        }
        if (text.size() < 4 || text[0] != '(' || text[3] != ')') return text == "safe";
        step(*slot, scan::trim(text.substr(4)));
        return true;
    }

    void step(u32 slot, std::string_view text)
    {
        TraceStep next{.slot = slot, .parent = parent_, .before = std::move(before_)};
        if (!new_path_ && !trace_.steps.empty()) next.parent = trace_.steps.size() - 1;
        const std::size_t end = end_of_instruction(text);
        next.text = scan::trim(text.substr(0, end));
        std::string_view rest = scan::trim(text.substr(end));
        const bool annotated = scan::take(rest, ";");
        if (annotated) next.annotation = scan::trim(rest);
        open_[slot].push_back(trace_.steps.size());
        trace_.steps.push_back(std::move(next));
        trace_.messages.clear();
        before_.clear();
        new_path_ = false;
        // Behind a jump the kernel may forget the line break: "goto pc-2 infinite loop detected at insn 1".
        if (!annotated && !rest.empty()) line(rest);
    }

    static std::size_t end_of_instruction(std::string_view text)
    {
        const std::size_t semicolon = std::min(text.find(';'), text.size());
        std::size_t jump = text.find(" pc");
        if (jump >= semicolon) return semicolon;
        jump += 3;
        while (jump < text.size() && text[jump] != ' ') ++jump;
        return jump;
    }

    void state(std::string_view text)
    {
        if (trace_.steps.empty() || new_path_)
            before_.push_back(text);
        else
            trace_.steps.back().after.push_back(text);
    }

    Trace trace_ = {};
    std::map<u32, std::vector<std::size_t>> open_ = {}; // visits of a slot that no branch came back to
    std::vector<std::string_view> before_ = {};
    std::optional<std::size_t> parent_ = {};
    bool new_path_ = false;
};

} // namespace

Trace read_trace(std::string_view log)
{
    Reader reader;
    while (!log.empty()) {
        const std::size_t end = std::min(log.find('\n'), log.size());
        reader.line(log.substr(0, end));
        log.remove_prefix(std::min(end + 1, log.size()));
    }
    return reader.take();
}

std::vector<const TraceStep*> path_to_last(const Trace& trace)
{
    std::vector<const TraceStep*> path;
    if (trace.steps.empty()) return path;
    // A parent always stands before its child, so this ends.
    for (std::optional<std::size_t> at = trace.steps.size() - 1; at; at = trace.steps[*at].parent)
        path.push_back(&trace.steps[*at]);
    std::reverse(path.begin(), path.end());
    return path;
}

RegisterStates states_at_end(const std::vector<const TraceStep*>& path)
{
    RegisterStates states;
    for (const TraceStep* step : path) {
        for (const std::string_view each : step->before) states.apply(each, false);
        if (step == path.back()) break;
        if (step->text.starts_with("call ")) states.forget_arguments();
        if (!step->annotation.empty()) states.apply(step->annotation, true);
        for (const std::string_view each : step->after) states.apply(each, false);
    }
    return states;
}

} // namespace lb::kernel
