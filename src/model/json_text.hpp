// JSON text to a tree whose values and keys know their line and column. RFC 8259, and what people need in a
// file that they write by hand: `//`, `#` and `/* */` comments, and a comma after the last element.
// Boost.JSON gives no positions and keeps the last of two equal keys silently; a configuration needs both.
// Pure values; safe from any thread.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "lb/base/bytes.hpp"

namespace lb::model {

inline constexpr u32 json_depth_max = 32;                ///< arrays and objects within each other
inline constexpr std::size_t json_size_max = 64ul << 20; ///< bytes of text

/// Where something starts in the text. Both count from 1; a column is a character, not a byte.
struct Position {
    u32 line = 1;
    u32 column = 1;
    friend bool operator==(const Position&, const Position&) = default;
    friend auto operator<=>(const Position&, const Position&) = default;
};

enum class JsonKind { null, boolean, number, string, array, object };

struct JsonMember;

/// One value. What its kind doesn't use is empty.
struct JsonValue {
    Position at = {};
    JsonKind kind = JsonKind::null;
    bool boolean = false;
    std::string text = {};                ///< a string's characters (UTF-8), or a number as it was written
    std::vector<JsonValue> items = {};    ///< of an array
    std::vector<JsonMember> members = {}; ///< of an object, in the order of the text, equal keys included
};

struct JsonMember {
    std::string key = {};
    Position at = {};
    JsonValue value = {};
};

struct JsonError {
    Position at = {};
    std::string message = {};
};

/// Reads one value and nothing after it. The first error ends the reading.
std::expected<JsonValue, JsonError> parse_json(std::string_view text);

/// `text` as a JSON string with its quotes: what is not printable is escaped, and beyond `max` bytes it is
/// cut.
std::string quoted(std::string_view text, std::size_t max = 60);

} // namespace lb::model
