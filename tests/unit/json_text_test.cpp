// The JSON parser: values, positions, comments, and the place and words of each refusal.
#include "model/json_text.hpp"

#include <catch2/catch.hpp>

using namespace lb;
using namespace lb::model;

namespace {

JsonValue parsed(std::string_view text)
{
    auto value = parse_json(text);
    INFO(text);
    REQUIRE(value);
    return *value;
}

// "line:column: message" of the refusal; "accepted" where there is none.
std::string refusal(std::string_view text)
{
    const auto value = parse_json(text);
    if (value) return "accepted";
    const JsonError& error = value.error();
    return std::to_string(error.at.line) + ":" + std::to_string(error.at.column) + ": " + error.message;
}

} // namespace

TEST_CASE("every kind of JSON value is read", "[json]")
{
    CHECK(parsed("null").kind == JsonKind::null);
    CHECK(parsed("true").boolean);
    CHECK(parsed("false").kind == JsonKind::boolean);
    CHECK_FALSE(parsed("false").boolean);
    CHECK(parsed("-0.5e+10").text == "-0.5e+10");
    CHECK(parsed("0").kind == JsonKind::number);
    CHECK(parsed(R"("")").text.empty());
    CHECK(parsed(R"("a")").kind == JsonKind::string);
    CHECK(parsed("[]").kind == JsonKind::array);
    CHECK(parsed("{}").kind == JsonKind::object);
    const JsonValue object = parsed(R"({"b": [1, {}], "a": 2})");
    REQUIRE(object.members.size() == 2);
    CHECK(object.members[0].key == "b");
    CHECK(object.members[0].value.items.size() == 2);
    CHECK(object.members[1].value.text == "2");
}

TEST_CASE("equal keys are kept, in the order of the text", "[json]")
{
    const JsonValue object = parsed(R"({"a": 1, "a": 2})");
    REQUIRE(object.members.size() == 2);
    CHECK(object.members[0].value.text == "1");
    CHECK(object.members[1].value.text == "2");
}

TEST_CASE("values and keys know their line and column, which counts characters", "[json]")
{
    const JsonValue object = parsed("{\n  \"\xc3\xa4\": 7,\r\n\t\"k\": [ true ]\n}");
    CHECK(object.at == Position{1, 1});
    CHECK(object.members[0].at == Position{2, 3});
    CHECK(object.members[0].value.at == Position{2, 8});
    CHECK(object.members[1].at == Position{3, 2});
    CHECK(object.members[1].value.items[0].at == Position{3, 9});
}

TEST_CASE("comments and a comma after the last element are allowed", "[json]")
{
    const JsonValue list = parsed("// one\n# two\n/* three\n ** / */ [ 1, # four\n 2, /**/ ] // end");
    CHECK(list.items.size() == 2);
    CHECK(list.items[1].at == Position{5, 2});
    CHECK(parsed("{\"a\":1,}").members.size() == 1);
    CHECK(parsed(R"("// # /* is text")").text == "// # /* is text");
}

TEST_CASE("escapes in strings mean what RFC 8259 says", "[json]")
{
    CHECK(parsed(R"("\"\\\/\b\f\n\r\t")").text == "\"\\/\b\f\n\r\t");
    CHECK(parsed(R"("\u0041\u00e4\u20AC")").text == "A\xc3\xa4\xe2\x82\xac");
    CHECK(parsed(R"("\ud83d\ude00")").text == "\xf0\x9f\x98\x80");
    CHECK(parsed(R"("\u0000")").text == std::string(1, '\0'));
}

TEST_CASE("what JSON does not have is refused where it stands", "[json]")
{
    struct Row {
        std::string_view text;
        const char* message;
    };
    const Row rows[] = {
        {"", "1:1: expected a value, got end of file"},
        {"  \n ", "2:2: expected a value, got end of file"},
        {"nul", R"(1:1: expected a value, got "nul")"},
        {"True", R"(1:1: expected a value, got "True")"},
        {"'a'", R"(1:1: expected a value, got "'")"},
        {"+1", R"(1:1: expected a value, got "+")"},
        {".5", R"(1:1: expected a value, got ".")"},
        {"[1,,2]", R"(1:4: expected a value, got ",")"},
        {"[,]", R"(1:2: expected a value, got ",")"},
        {"\xc3\xa4", "1:1: expected a value, got \"\xc3\xa4\""},
        {"01", "1:1: a number that starts with 0"},
        {"-", "1:1: a number that JSON does not have: a digit is missing"},
        {"[1.]", "1:2: a number that JSON does not have: a digit is missing"},
        {"[1e]", "1:2: a number that JSON does not have: a digit is missing"},
        {"1 2", R"(1:3: unexpected "2" after the end of the value)"},
        {"{} }", R"(1:4: unexpected "}" after the end of the value)"},
        {"[1 2]", R"(1:4: expected , or ], got "2")"},
        {"[1}", R"(1:3: expected , or ], got "}")"},
        {R"({"a":1 "b":2})", R"(1:8: expected , or }, got "\"")"},
        {"{a:1}", R"(1:2: expected a key in double quotes, got "a")"},
        {R"({"a" 1})", R"(1:6: expected : after the key, got "1")"},
        {R"({"a")", "1:5: expected : after the key, got end of file"},
        {"[1,\n", "1:1: a list without its end, ]"},
        {"[", "1:1: a list without its end, ]"},
        {" {", "1:2: an object without its end, }"},
        {" {\"a\":1,", "1:2: an object without its end, }"},
        {" \"ab\n", "1:5: a control character in a string: write it as \\n, \\t or \\u00XX"},
        {" \"ab", "1:2: a string without its end, \""},
        {" \"ab\\", "1:5: an escape that JSON does not have"},
        {R"("\x41")", "1:2: an escape that JSON does not have"},
        {R"("\u12g4")", "1:2: \\u without four hexadecimal digits"},
        {R"("\ud83d")", "1:2: half of a surrogate pair"},
        {R"("\ude00\ud83d")", "1:2: half of a surrogate pair"},
        {R"("\ud83d\u0041")", "1:2: half of a surrogate pair"},
        {"[1 /* open", "1:4: a comment without its end, */"},
        {"1 /", R"(1:3: unexpected "/" after the end of the value)"},
        {"\xef\xbb\xbf{}", "1:1: the text starts with a byte order mark: save it as UTF-8 without one"},
        {"\"a\n\xff\"", "2:1: a byte that is not UTF-8"},
        {"\"\xc0\x80\"", "1:2: a byte that is not UTF-8"},
        {"\"\xed\xa0\x80\"", "1:2: a byte that is not UTF-8"},
        {"\"\xf4\x90\x80\x80\"", "1:2: a byte that is not UTF-8"},
        {"\"\xe2\x82", "1:2: a byte that is not UTF-8"},
    };
    for (const Row& row : rows) CHECK(refusal(row.text) == row.message);
    CHECK(refusal(std::string_view("[1\0]", 4)) == R"(1:3: expected , or ], got "\u0000")");
    CHECK(refusal(std::string_view("\"\0\"", 3)) ==
          "1:2: a control character in a string: write it as \\n, \\t or \\u00XX");
}

TEST_CASE("lists and objects may be 32 within each other, not 33", "[json]")
{
    CHECK(refusal(std::string(32, '[') + std::string(32, ']')) == "accepted");
    CHECK(refusal(std::string(33, '[') + std::string(33, ']')) ==
          "1:33: more than 32 lists and objects within each other");
    CHECK(refusal(std::string(1 << 20, '[')) == "1:33: more than 32 lists and objects within each other");
}

TEST_CASE("a text of more than 64 MiB is refused", "[json]")
{
    CHECK(refusal(std::string((64u << 20) + 1, ' ')) == "1:1: the text is longer than 64 MiB");
}

TEST_CASE("a quoted text shows nothing that a terminal would obey, and is cut where long", "[json]")
{
    CHECK(quoted("plain") == R"("plain")");
    CHECK(quoted("a\"\\\n\x1b[2J\x7f") == R"("a\"\\\u000a\u001b[2J\u007f")");
    CHECK(quoted("\xc2\x9b\xff") == R"("\u009b\u00ff")"); // the C1 form of ESC [, and a stray byte
    CHECK(quoted("\xc3\xa4") == "\"\xc3\xa4\"");
    CHECK(quoted("abcdef", 3) == R"("abc...")");
    CHECK(quoted("abc", 3) == R"("abc")");
    CHECK(quoted("ab\xc3\xa4z", 3) == "\"ab\xc3\xa4...\"");
}
