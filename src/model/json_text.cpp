#include "model/json_text.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace lb::model {
namespace {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_continuation(char c) { return (static_cast<u8>(c) & 0xc0) == 0x80; }

// The length of the UTF-8 sequence at the start of `text`, 0 where there is none (RFC 3629: shortest form, no
// surrogates, up to U+10FFFF).
std::size_t utf8_length(std::string_view text)
{
    const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<u8>(text[i]) : u8{0}; };
    const u8 first = byte(0);
    if (first < 0x80) return 1;
    const std::size_t length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return 0;
    }
    const bool overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
    const bool surrogate = first == 0xed && byte(1) >= 0xa0;
    const bool too_large = first == 0xf4 && byte(1) >= 0x90;
    return overlong || surrogate || too_large ? 0 : length;
}

void append_utf8(std::string& out, u32 code)
{
    const auto put = [&](u32 byte) { out.push_back(static_cast<char>(static_cast<u8>(byte))); };
    const auto rest = [&](u32 shift) { put(0x80 | (code >> shift & 0x3f)); };
    if (code < 0x80) {
        put(code);
    } else if (code < 0x800) {
        put(0xc0 | code >> 6), rest(0);
    } else if (code < 0x10000) {
        put(0xe0 | code >> 12), rest(6), rest(0);
    } else {
        put(0xf0 | code >> 18), rest(12), rest(6), rest(0);
    }
}

// Recursive descent, one function per rule of the grammar. After an error the position is at the end, so that
// every loop ends by itself; the first error is kept.
class Parser {
public:
    explicit Parser(std::string_view text) : text_(text) {}

    std::expected<JsonValue, JsonError> run()
    {
        check_encoding();
        JsonValue value = parse_value(0);
        skip_blanks();
        if (!error_ && !at_end()) fail_here("unexpected " + shown() + " after the end of the value");
        if (error_) return std::unexpected(*error_);
        return value;
    }

private:
    bool at_end() const { return next_ == text_.size(); }
    char peek(std::size_t ahead = 0) const
    {
        return next_ + ahead < text_.size() ? text_[next_ + ahead] : '\0';
    }

    // Every step goes through here: it alone keeps line and column.
    void advance(std::size_t count = 1)
    {
        for (; count > 0 && !at_end(); --count, ++next_) {
            if (text_[next_] == '\n') {
                at_ = {at_.line + 1, 1};
            } else if (!is_continuation(text_[next_])) {
                ++at_.column;
            }
        }
    }

    void fail_at(Position at, std::string message)
    {
        if (!error_) error_ = JsonError{at, std::move(message)};
        next_ = text_.size();
    }
    void fail_here(std::string message) { fail_at(at_, std::move(message)); }

    // What stands here, for a message.
    std::string shown() const
    {
        if (at_end()) return "end of file";
        return quoted(text_.substr(next_, utf8_length(text_.substr(next_))));
    }

    void check_encoding()
    {
        if (text_.size() > json_size_max) return fail_here("the text is longer than 64 MiB");
        if (text_.starts_with("\xef\xbb\xbf")) {
            return fail_here("the text starts with a byte order mark: save it as UTF-8 without one");
        }
        while (!at_end()) {
            const std::size_t length = utf8_length(text_.substr(next_));
            if (length == 0) return fail_here("a byte that is not UTF-8");
            advance(length);
        }
        next_ = 0;
        at_ = {};
    }

    void skip_line()
    {
        while (!at_end() && peek() != '\n') advance();
    }

    void skip_block_comment()
    {
        const Position start = at_;
        const std::size_t end = text_.find("*/", next_ + 2);
        if (end == std::string_view::npos) return fail_at(start, "a comment without its end, */");
        advance(end + 2 - next_);
    }

    void skip_blanks()
    {
        while (!at_end()) {
            const char c = peek();
            if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
                advance();
            } else if (c == '#' || (c == '/' && peek(1) == '/')) {
                skip_line();
            } else if (c == '/' && peek(1) == '*') {
                skip_block_comment();
            } else {
                return;
            }
        }
    }

    JsonValue parse_value(u32 depth)
    {
        skip_blanks();
        JsonValue value{.at = at_};
        const char c = peek();
        if (at_end()) {
            fail_here("expected a value, got end of file");
        } else if (c == '{' || c == '[') {
            if (depth == json_depth_max) {
                fail_here("more than 32 lists and objects within each other");
            } else if (c == '{') {
                parse_object(value, depth);
            } else {
                parse_array(value, depth);
            }
        } else if (c == '"') {
            value.kind = JsonKind::string;
            value.text = parse_string();
        } else if (c == '-' || is_digit(c)) {
            value.kind = JsonKind::number;
            value.text = parse_number();
        } else {
            parse_word(value);
        }
        return value;
    }

    // After an element: true where another one may follow, false at the closing bracket, which is consumed.
    bool more_elements(char close, Position open)
    {
        skip_blanks();
        const bool comma = peek() == ',' && !at_end();
        if (comma) {
            advance();
            skip_blanks();
        }
        if (at_end()) {
            if (!error_)
                fail_at(open, close == '}' ? "an object without its end, }" : "a list without its end, ]");
            return false;
        }
        if (peek() == close) {
            advance();
            return false;
        }
        if (!comma) fail_here(std::string("expected , or ") + close + ", got " + shown());
        return comma;
    }

    // True where the bracket that opens is followed by an element.
    bool first_element(char close)
    {
        advance();
        skip_blanks();
        if (peek() != close) return true;
        advance();
        return false;
    }

    void parse_array(JsonValue& value, u32 depth)
    {
        value.kind = JsonKind::array;
        if (!first_element(']')) return;
        do {
            if (at_end()) return fail_at(value.at, "a list without its end, ]");
            value.items.push_back(parse_value(depth + 1));
        } while (more_elements(']', value.at));
    }

    void parse_object(JsonValue& value, u32 depth)
    {
        value.kind = JsonKind::object;
        if (!first_element('}')) return;
        do {
            JsonMember member{.at = at_};
            if (at_end()) return fail_at(value.at, "an object without its end, }");
            if (peek() != '"') return fail_here("expected a key in double quotes, got " + shown());
            member.key = parse_string();
            skip_blanks();
            if (peek() != ':') return fail_here("expected : after the key, got " + shown());
            advance();
            member.value = parse_value(depth + 1);
            value.members.push_back(std::move(member));
        } while (more_elements('}', value.at));
    }

    void parse_word(JsonValue& value)
    {
        std::size_t length = 0;
        while ((peek(length) | 0x20) >= 'a' && (peek(length) | 0x20) <= 'z') ++length;
        const std::string_view word = text_.substr(next_, length);
        if (word == "true" || word == "false") {
            value.kind = JsonKind::boolean;
            value.boolean = word == "true";
        } else if (word != "null") {
            fail_here("expected a value, got " + (word.empty() ? shown() : quoted(word)));
        }
        advance(length);
    }

    std::string parse_number()
    {
        const Position start = at_;
        const std::size_t begin = next_;
        const auto digits = [&] {
            if (!is_digit(peek())) fail_at(start, "a number that JSON does not have: a digit is missing");
            while (is_digit(peek())) advance();
        };
        if (peek() == '-') advance();
        if (peek() == '0' && is_digit(peek(1))) fail_at(start, "a number that starts with 0");
        digits();
        if (peek() == '.') advance(), digits();
        if (peek() == 'e' || peek() == 'E') {
            advance();
            if (peek() == '+' || peek() == '-') advance();
            digits();
        }
        return std::string(text_.substr(begin, next_ - begin));
    }

    std::string parse_string()
    {
        const Position start = at_;
        std::string out;
        for (advance(); !at_end() && peek() != '"';) {
            if (static_cast<u8>(peek()) < 0x20) {
                fail_here("a control character in a string: write it as \\n, \\t or \\u00XX");
            } else if (peek() == '\\') {
                parse_escape(out);
            } else {
                out.push_back(peek());
                advance();
            }
        }
        if (at_end() && !error_) fail_at(start, "a string without its end, \"");
        advance();
        return out;
    }

    void parse_escape(std::string& out)
    {
        static constexpr std::string_view letters = "\"\\/bfnrt";
        static constexpr std::string_view meanings = "\"\\/\b\f\n\r\t";
        const Position start = at_;
        const char c = peek(1);
        if (c == 'u') return parse_unicode_escape(out, start);
        const std::size_t which = letters.find(c);
        if (which == std::string_view::npos || c == '\0')
            return fail_at(start, "an escape that JSON does not have");
        out.push_back(meanings[which]);
        advance(2);
    }

    void parse_unicode_escape(std::string& out, Position start)
    {
        const auto high = hex4();
        if (!high) return fail_at(start, "\\u without four hexadecimal digits");
        u32 code = *high;
        if (code >= 0xd800 && code < 0xe000) { // UTF-16 surrogates come in pairs, high before low
            const auto low = peek() == '\\' && peek(1) == 'u' ? hex4() : std::nullopt;
            if (code >= 0xdc00 || !low || *low < 0xdc00 || *low >= 0xe000) {
                return fail_at(start, "half of a surrogate pair");
            }
            code = 0x10000 + ((code - 0xd800) << 10) + (*low - 0xdc00);
        }
        append_utf8(out, code);
    }

    // The number of a \uXXXX, which is consumed.
    std::optional<u32> hex4()
    {
        u32 value = 0;
        for (std::size_t i = 2; i < 6; ++i) {
            const char c = peek(i);
            const char lower = static_cast<char>(c | 0x20);
            if (!is_digit(c) && (lower < 'a' || lower > 'f')) return std::nullopt;
            value = value * 16 + static_cast<u32>(is_digit(c) ? c - '0' : lower - 'a' + 10);
        }
        advance(6);
        return value;
    }

    std::string_view text_;
    std::size_t next_ = 0;
    Position at_ = {};
    std::optional<JsonError> error_ = {};
};

} // namespace

std::expected<JsonValue, JsonError> parse_json(std::string_view text) { return Parser(text).run(); }

std::string quoted(std::string_view text, std::size_t max)
{
    static constexpr std::string_view hex = "0123456789abcdef";
    std::string out = "\"";
    std::size_t i = 0;
    while (i < text.size() && i < max) {
        const auto byte = static_cast<u8>(text[i]);
        const std::size_t length = std::max<std::size_t>(utf8_length(text.substr(i)), 1);
        const bool c1 = byte == 0xc2 && length == 2 && static_cast<u8>(text[i + 1]) < 0xa0;
        if (text[i] == '"' || text[i] == '\\') {
            out += {'\\', text[i]};
        } else if (byte < 0x20 || byte == 0x7f || c1 || (byte >= 0x80 && length == 1)) {
            // Control characters, C1 ones included, would reach the terminal of whoever reads the message.
            const u8 code = c1 ? static_cast<u8>(text[i + 1]) : byte;
            out += {'\\', 'u', '0', '0', hex[code >> 4], hex[code & 15]};
        } else {
            out += text.substr(i, length);
        }
        i += length;
    }
    return out + (i < text.size() ? "...\"" : "\"");
}

} // namespace lb::model
