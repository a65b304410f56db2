#include "kernel/verifier_state.hpp"

#include <algorithm>
#include <optional>

#include "kernel/text_scan.hpp"

namespace lb::kernel {

namespace {

// Takes `R6_w=` off the front. The letters after `_` say how the register was used; newer kernels have none.
std::optional<bpf::Reg> take_register(std::string_view& token)
{
    std::string_view rest = token;
    if (!scan::take(rest, "R")) return std::nullopt;
    const auto index = scan::take_number(rest);
    if (!index || *index >= bpf::registers_count) return std::nullopt;
    if (rest.starts_with('_')) rest.remove_prefix(std::min(rest.find('='), rest.size()));
    if (!scan::take(rest, "=")) return std::nullopt;
    token = rest;
    return bpf::Reg{static_cast<u8>(*index)};
}

u32 take_frame(std::string_view& text)
{
    std::string_view rest = text;
    if (!scan::take(rest, "frame")) return 0;
    const auto frame = scan::take_number(rest);
    if (!frame || !scan::take(rest, ":")) return 0;
    text = scan::trim(rest);
    return *frame;
}

/// `smin=umin=1,smax=0xff,map=counts`: every name with its value.
std::map<std::string_view, std::string_view> arguments_of(std::string_view text)
{
    std::map<std::string_view, std::string_view> arguments;
    while (!text.empty()) {
        std::string_view part = scan::take_until(text, ',');
        const std::string_view value = part.substr(part.rfind('=') == part.npos ? 0 : part.rfind('=') + 1);
        const bool has_parentheses = part.find('(') != part.npos; // var_off=(0x0; 0xff)
        while (part.find('=') != part.npos) {
            std::string_view name = scan::trim(scan::take_until(part, '='));
            if (name.ends_with("_value")) name.remove_suffix(6); // Linux 5.15: umax_value
            arguments[name] = has_parentheses ? part : value;
        }
    }
    return arguments;
}

struct Described {
    std::string_view kind = {};
    std::map<std::string_view, std::string_view> arguments = {};

    std::optional<i64> number(std::string_view name) const
    {
        const auto found = arguments.find(name);
        if (found == arguments.end()) return std::nullopt;
        return parse(found->second);
    }
    /// The same for bytes, of which the kernel has at most 32 bits; 0 where it is not said.
    i64 distance(std::string_view name) const { return narrow<i32>(number(name).value_or(0)).value_or(0); }
    static std::optional<i64> parse(std::string_view text)
    {
        const bool negative = scan::take(text, "-");
        const int base = scan::take(text, "0x") ? 16 : 10;
        u64 value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
        if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
        return static_cast<i64>(negative ? ~value + 1 : value);
    }
};

Described split(std::string_view state)
{
    const std::size_t open = state.find('(');
    if (open == state.npos) return {.kind = state};
    std::string_view inside = state.substr(open + 1);
    if (inside.ends_with(')')) inside.remove_suffix(1);
    return {.kind = state.substr(0, open), .arguments = arguments_of(inside)};
}

/// ` 0..255`, or nothing where the log gives no bound worth saying.
std::string range_of(const Described& state)
{
    const auto umin = state.number("umin").value_or(0);
    const auto smin = state.number("smin");
    const auto smax = state.number("smax");
    if (smin && *smin < 0 && smax) return " " + std::to_string(*smin) + ".." + std::to_string(*smax);
    if (const auto umax = state.number("umax"); umax && *umax >= 0)
        return " " + std::to_string(smin.value_or(umin)) + ".." + std::to_string(*umax);
    return {};
}

std::string moved(const Described& state)
{
    std::string text;
    if (const i64 off = state.distance("off"); off != 0)
        text += off > 0 ? ", " + std::to_string(off) + " bytes in"
                        : ", " + std::to_string(-off) + " bytes before it";
    if (state.arguments.contains("umax") || state.arguments.contains("smax") ||
        state.arguments.contains("var_off"))
        text += ", moved by an unknown number" + range_of(state);
    return text;
}

// The range of checked bytes counts from where the pointer would be without its constant offset.
std::string packet_pointer(const Described& state)
{
    const i64 checked = std::max<i64>(0, state.distance("r") - state.distance("off"));
    const std::string position = moved(state);
    return "a packet pointer" + position + (position.empty() ? "" : ",") + " of which " +
           (checked == 0   ? std::string("no byte is checked")
            : checked == 1 ? std::string("1 byte is checked")
                           : std::to_string(checked) + " bytes are checked");
}

std::string map_value(const Described& state, bool or_null)
{
    const auto name = state.arguments.find("map");
    std::string text = name == state.arguments.end() ? "a map's value"
                                                     : "a value of map '" + std::string(name->second) + "'";
    if (const auto size = state.number("vs")) text += " (" + std::to_string(*size) + " bytes)";
    return text + moved(state) + (or_null ? " or null: it was not compared with 0 yet" : "");
}

std::string stack_pointer(std::string_view state)
{
    std::string_view rest = state.substr(2);
    if (rest.starts_with('(')) return "a pointer into the stack" + moved(split(state));
    if (rest == "0" || rest.empty()) return "the top of the stack frame";
    scan::take(rest, "-");
    return "a pointer into the stack, " + std::string(rest) + " bytes below the frame's top";
}

std::string readable(std::string_view kind)
{
    std::string text(kind);
    for (char& c : text)
        if (c == '_') c = ' ';
    return text;
}

} // namespace

bool is_state(std::string_view text)
{
    text = scan::trim(text);
    take_frame(text);
    std::string_view token = scan::take_until(text, ' ');
    return take_register(token).has_value();
}

void RegisterStates::apply(std::string_view state, bool is_annotation)
{
    state = scan::trim(state);
    current_ = take_frame(state);
    Frame& frame = frames_[current_];
    // Complete states, and only those outside of annotations, name the frame pointer.
    if (!is_annotation && state.find("R10=") != state.npos) frame = {};
    while (!state.empty()) {
        std::string_view token = scan::take_until(state, ' ');
        if (const auto reg = take_register(token)) frame[reg->index] = token;
    }
}

void RegisterStates::forget_arguments()
{
    for (u8 i = 0; i <= 5; ++i) frames_[current_][i] = {};
}

std::string_view RegisterStates::of(bpf::Reg reg) const
{
    const auto frame = frames_.find(current_);
    if (frame == frames_.end() || reg.index >= bpf::registers_count) return {};
    return frame->second[reg.index];
}

std::string in_words(std::string_view state)
{
    if (state.empty()) return "not set on this path";
    // A `P` marks a number that must be known exactly; `inv` is what scalars were called before Linux 5.18.
    if (!scan::take(state, "invP")) scan::take(state, "P");
    const Described described = split(state);
    std::string_view kind = described.kind;
    if (kind.starts_with("inv") && Described::parse(kind.substr(3))) kind.remove_prefix(3);
    if (const auto number = Described::parse(kind)) return "the number " + std::to_string(*number);
    if (kind == "scalar" || kind == "inv") return "an unknown number" + range_of(described);
    if (kind == "pkt") return packet_pointer(described);
    if (kind == "pkt_end") return "the end of the packet";
    if (kind == "ctx") return "the context" + moved(described);
    if (kind.starts_with("fp")) return stack_pointer(state);
    if (kind == "map_value") return map_value(described, false);
    if (kind == "map_value_or_null") return map_value(described, true);
    if (kind == "map_ptr") {
        const auto name = described.arguments.find("map");
        return name == described.arguments.end() ? "a map" : "map '" + std::string(name->second) + "'";
    }
    const bool or_null = kind.ends_with("_or_null");
    if (or_null) kind.remove_suffix(8);
    const auto size = described.number("sz");
    return "a pointer to " + readable(kind) + (size ? " (" + std::to_string(*size) + " bytes)" : "") +
           moved(described) + (or_null ? " or null: it was not compared with 0 yet" : "");
}

} // namespace lb::kernel
