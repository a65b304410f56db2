// Small steps through a line of the verifier's log. Pure; safe from any thread.
#pragma once

#include <charconv>
#include <optional>
#include <string_view>

#include "lb/base/bytes.hpp"

namespace lb::kernel::scan {

inline std::string_view trim(std::string_view text)
{
    const std::size_t first = text.find_first_not_of(" \t\r");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

/// Takes `prefix` off the front where it stands there.
inline bool take(std::string_view& text, std::string_view prefix)
{
    if (!text.starts_with(prefix)) return false;
    text.remove_prefix(prefix.size());
    return true;
}

/// Takes a decimal number off the front where one stands there.
template <class T = u32> std::optional<T> take_number(std::string_view& text)
{
    T value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{}) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return value;
}

/// Takes what stands before `separator` outside of parentheses, and the separator.
inline std::string_view take_until(std::string_view& text, char separator)
{
    int depth = 0;
    std::size_t at = 0;
    for (; at < text.size(); ++at) {
        if (text[at] == '(') ++depth;
        if (text[at] == ')') --depth;
        if (text[at] == separator && depth <= 0) break;
    }
    const std::string_view part = text.substr(0, at);
    text.remove_prefix(at < text.size() ? at + 1 : at);
    return part;
}

} // namespace lb::kernel::scan
