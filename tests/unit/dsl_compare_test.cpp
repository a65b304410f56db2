// Comparisons: every operator on every left and right side that the types allow. Members are those of a
// struct that r1 points at.
#include "dsl_misuse.hpp"

using namespace lb;
using namespace lb::bpf;
using namespace lb::test;

namespace {

using Condition = std::function<Cond(Dsl&, const View<Value>&)>;

struct Row {
    const char* text;
    Condition condition;
};

void check_rows(const std::vector<Row>& rows)
{
    for (const auto& row : rows) {
        INFO("expected:\n" << row.text);
        CHECK(emitted([&](Dsl& b) {
                  const Label out = b.label("out");
                  b.jump_if(row.condition(b, View<Value>(b, r1, 0)), out);
                  b.emit(mov64(r5, i64{0}));
                  b.bind(out);
              }) == std::string(row.text) + " goto pc+1\nr5 = 0\n");
    }
}

// In r9, so that the variable outlives the condition's expression without being a line of its own.
template <Scalar T> Var<T> in_r9(Dsl& b)
{
    b.emit(mov64(r9, i64{0}));
    return Var<T>(b, b.take(r9, "x"));
}

} // namespace

TEST_CASE("a member is compared with a constant of its type", "[dsl]")
{
    check_rows({
        {"r0 = *(u64 *)(r1 +0)\nif r0 == 0x5", [](Dsl&, auto& v) { return v(&Value::count) == u64{5}; }},
        {"r0 = *(u64 *)(r1 +0)\nif r0 != 0x5", [](Dsl&, auto& v) { return v(&Value::count) != u64{5}; }},
        {"r0 = *(u64 *)(r1 +0)\nif r0 > 0x5", [](Dsl&, auto& v) { return v(&Value::count) > u64{5}; }},
        {"r0 = *(u64 *)(r1 +0)\nif r0 >= 0x5", [](Dsl&, auto& v) { return v(&Value::count) >= u64{5}; }},
        {"r0 = *(u64 *)(r1 +0)\nif r0 < 0x5", [](Dsl&, auto& v) { return v(&Value::count) < u64{5}; }},
        {"r0 = *(u64 *)(r1 +0)\nif r0 <= 0x5", [](Dsl&, auto& v) { return v(&Value::count) <= u64{5}; }},
        {"r0 = *(u64 *)(r1 +0)\nif r0 & 0x5", [](Dsl&, auto& v) { return v(&Value::count).has(5); }},
        {"r0 = *(u32 *)(r1 +8)\nif w0 == 0x5", [](Dsl&, auto& v) { return v(&Value::number) == 5u; }},
        {"r0 = *(u32 *)(r1 +8)\nif w0 > 0x5", [](Dsl&, auto& v) { return v(&Value::number) > 5u; }},
        {"r0 = *(u32 *)(r1 +8)\nif w0 == 0xffffffff",
         [](Dsl&, auto& v) { return v(&Value::number) == 0xffffffffu; }},
        {"r0 = *(u32 *)(r1 +12)\nif w0 == 0x100007f",
         [](Dsl&, auto& v) { return v(&Value::address) == be32{0x7f000001}; }},
        {"r0 = *(u16 *)(r1 +16)\nif w0 != 0x901f",
         [](Dsl&, auto& v) { return v(&Value::port) != be16{8080}; }},
        {"r0 = *(u16 *)(r1 +16)\nif w0 & 0xff3f",
         [](Dsl&, auto& v) { return v(&Value::port).has(be16{0x3fff}); }},
        {"r0 = *(u8 *)(r1 +18)\nif w0 <= 0xff", [](Dsl&, auto& v) { return v(&Value::flags) <= u8{255}; }},
        {"r0 = *(u8 *)(r1 +18)\nif w0 & 0x2", [](Dsl&, auto& v) { return v(&Value::flags).has(2); }},
        {"r0 = *(u32 *)(r1 +20)\nif w0 == 0xfffffffb",
         [](Dsl&, auto& v) { return v(&Value::balance) == -5; }},
    });
}

TEST_CASE("a constant beyond the immediate's range takes a register", "[dsl]")
{
    check_rows({
        {"r0 = *(u64 *)(r1 +0)\nw2 = -2147483648\nif r0 == r2",
         [](Dsl&, auto& v) { return v(&Value::count) == u64{0x80000000}; }},
        {"r0 = *(u64 *)(r1 +0)\nr2 = 0x123456789a\nif r0 > r2",
         [](Dsl&, auto& v) { return v(&Value::count) > u64{0x123456789a}; }},
        {"r0 = *(u64 *)(r1 +0)\nr2 = 0x100000000\nif r0 & r2",
         [](Dsl&, auto& v) { return v(&Value::count).has(u64{1} << 32); }},
        // All ones are what the immediate -1 becomes.
        {"r0 = *(u64 *)(r1 +0)\nif r0 == 0xffffffff",
         [](Dsl&, auto& v) { return v(&Value::count) == ~u64{0}; }},
        {"r9 = 0\nr0 = 0xffffffff7fffffff\nif r9 s< r0",
         [](Dsl& b, auto&) { return in_r9<i64>(b) < i64{-2147483649}; }},
    });
}

TEST_CASE("a variable is compared with a member by one load, turned round", "[dsl]")
{
    check_rows({
        {"r9 = 0\nr0 = *(u64 *)(r1 +0)\nif r0 == r9",
         [](Dsl& b, auto& v) { return in_r9<u64>(b) == v(&Value::count); }},
        {"r9 = 0\nr0 = *(u64 *)(r1 +0)\nif r0 != r9",
         [](Dsl& b, auto& v) { return in_r9<u64>(b) != v(&Value::count); }},
        {"r9 = 0\nr0 = *(u64 *)(r1 +0)\nif r0 < r9",
         [](Dsl& b, auto& v) { return in_r9<u64>(b) > v(&Value::count); }},
        {"r9 = 0\nr0 = *(u64 *)(r1 +0)\nif r0 <= r9",
         [](Dsl& b, auto& v) { return in_r9<u64>(b) >= v(&Value::count); }},
        {"r9 = 0\nr0 = *(u64 *)(r1 +0)\nif r0 > r9",
         [](Dsl& b, auto& v) { return in_r9<u64>(b) < v(&Value::count); }},
        {"r9 = 0\nr0 = *(u64 *)(r1 +0)\nif r0 >= r9",
         [](Dsl& b, auto& v) { return in_r9<u64>(b) <= v(&Value::count); }},
        {"r9 = 0\nr0 = *(u32 *)(r1 +20)\nif w0 s< w9",
         [](Dsl& b, auto& v) { return in_r9<i32>(b) > v(&Value::balance); }},
        {"r9 = 0\nr0 = *(u32 *)(r1 +20)\nif w0 s<= w9",
         [](Dsl& b, auto& v) { return in_r9<i32>(b) >= v(&Value::balance); }},
        {"r9 = 0\nr0 = *(u32 *)(r1 +20)\nif w0 s> w9",
         [](Dsl& b, auto& v) { return in_r9<i32>(b) < v(&Value::balance); }},
        {"r9 = 0\nr0 = *(u32 *)(r1 +20)\nif w0 s>= w9",
         [](Dsl& b, auto& v) { return in_r9<i32>(b) <= v(&Value::balance); }},
        // A narrower unsigned member is a number of the wider type as it is loaded.
        {"r9 = 0\nr0 = *(u8 *)(r1 +18)\nif r0 < r9",
         [](Dsl& b, auto& v) { return in_r9<u64>(b) > v(&Value::flags); }},
    });
}

TEST_CASE("a member is compared with a variable, and a variable with another", "[dsl]")
{
    check_rows({
        {"r9 = 0\nr0 = *(u32 *)(r1 +12)\nif w0 == w9",
         [](Dsl& b, auto& v) { return v(&Value::address) == in_r9<be32>(b); }},
        {"r9 = 0\nr0 = *(u64 *)(r1 +0)\nif r0 != r9",
         [](Dsl& b, auto& v) { return v(&Value::count) != in_r9<u64>(b); }},
        {"r9 = 0\nr6 = 0\nif w9 == w6",
         [](Dsl& b, auto&) {
             const auto x = in_r9<be16>(b);
             return x == b.keep<be16>("y", be16{});
         }},
        {"r9 = 0\nr6 = 0\nif r9 s>= r6",
         [](Dsl& b, auto&) {
             const auto x = in_r9<i64>(b);
             return x >= b.keep<i64>("y", 0);
         }},
        // Narrower on the right: compared in the left one's width.
        {"r9 = 0\nr6 = 0\nif r9 > r6",
         [](Dsl& b, auto&) {
             const auto x = in_r9<u64>(b);
             return x > b.keep<u16>("y", 0);
         }},
    });
}

TEST_CASE("jump_unless jumps in the other cases, as if_ does", "[dsl]")
{
    CHECK(emitted([](Dsl& b) {
              const Label out = b.label("out");
              b.jump_unless(View<Value>(b, r1, 0)(&Value::flags) == u8{7}, out);
              b.emit(mov64(r5, i64{0}));
              b.bind(out);
          }) == "r0 = *(u8 *)(r1 +18)\nif w0 != 0x7 goto pc+1\nr5 = 0\n");
    CHECK(emitted([](Dsl& b) {
              const Label out = b.label("out");
              b.jump_unless(View<Value>(b, r1, 0)(&Value::flags).has(7), out);
              b.emit(mov64(r5, i64{0}));
              b.bind(out);
          }) == "r0 = *(u8 *)(r1 +18)\nif w0 & 0x7 goto pc+1\ngoto pc+1\nr5 = 0\n");
}
