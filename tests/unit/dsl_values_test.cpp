// What a value is: constants belong to their type, registers to their holders, and narrow numbers look the
// same in a register, in memory and as a constant.
#include "dsl_misuse.hpp"

using namespace lb;
using namespace lb::bpf;
using namespace lb::test;

namespace {

struct Row {
    const char* text;
    Body body;
};

void check_rows(const std::vector<Row>& rows)
{
    for (const auto& row : rows) {
        INFO("expected:\n" << row.text);
        CHECK(emitted(row.body) == row.text);
    }
}

struct Narrow {
    i8 byte = 0;
    u8 rest = 0;
    i16 half = 0;
    i32 word = 0;
};
enum class Sign : i8 { minus = -1, plus = 1 };

} // namespace

TEST_CASE("a constant that its type does not have is an error at its line", "[dsl]")
{
    const auto refused = [](const std::string& message, const Misuse& body, Loc here = Loc::current()) {
        check(Errc::immediate_out_of_range, message, body, here);
    };
    refused("300 is no unsigned number of 8 bits",
            [](Dsl& b, u32& line) { line = __LINE__, b.let<u8>("x", 300); });
    refused("-129 is no unsigned number of 8 bits",
            [](Dsl& b, u32& line) { line = __LINE__, b.keep<u8>("x", -129); });
    refused("128 is no signed number of 8 bits",
            [](Dsl& b, u32& line) { line = __LINE__, b.let<i8>("x", 128); });
    refused("1099511627776 is no unsigned number of 32 bits",
            [](Dsl& b, u32& line) { line = __LINE__, b.let<u32>("x", u64{1} << 40); });
    refused("4294967295 is no signed number of 32 bits",
            [](Dsl& b, u32& line) { line = __LINE__, b.let<i32>("x", 0xffffffffu); });
    refused("18446744073709551615 is no signed number of 64 bits",
            [](Dsl& b, u32& line) { line = __LINE__, b.let<i64>("x", ~u64{0}); });
    refused("1099511627776 is no unsigned number of 32 bits", [](Dsl& b, u32& line) {
        auto x = b.let<u32>("x", 1);
        line = __LINE__, x += u64{1} << 40;
    });
    refused("65536 is no unsigned number of 16 bits", [](Dsl& b, u32& line) {
        auto x = b.let<u16>("x", 1);
        line = __LINE__, x |= 0x10000;
    });
    refused("70000 is no unsigned number of 16 bits", [](Dsl& b, u32& line) {
        const auto x = b.let<u16>("x", 1);
        const Label out = b.label("out");
        line = __LINE__, b.jump_if(x < 70000, out);
        b.bind(out);
    });
    refused("1099511627776 is no unsigned number of 32 bits", [](Dsl& b, u32& line) {
        const auto n = b.local<u32>("n");
        n() = 0;
        line = __LINE__, n().atomic_add(u64{1} << 40);
    });
    refused("1099511627776 is no unsigned number of 32 bits", [](Dsl& b, u32& line) {
        const auto n = b.local<u32>("n");
        n() = 0;
        line = __LINE__, n().add(u64{1} << 40);
    });
}

TEST_CASE("a negative constant stands for the bits of an unsigned type", "[dsl]")
{
    check_rows({
        {"r0 = 255\n", [](Dsl& b) { b.let<u8>("x", -1); }},
        {"r0 = 1\nw0 &= 65528\n",
         [](Dsl& b) {
             auto x = b.let<u16>("x", 1);
             x &= ~7;
         }},
        {"r0 = 1\nw0 |= 65534\n",
         [](Dsl& b) {
             auto x = b.let<u16>("x", 1);
             x |= -2;
         }},
        {"r0 = 1\nw0 &= -8\n",
         [](Dsl& b) {
             auto x = b.let<u32>("x", 1);
             x &= ~7;
         }},
        {"r0 = 1\nr0 &= -8\n",
         [](Dsl& b) {
             auto x = b.let<u64>("x", 1);
             x &= ~7;
         }},
    });
}

TEST_CASE("narrow signed numbers are the same bits in registers, memory and constants", "[dsl]")
{
    // Loads zero-extend, so a constant must be zero-extended, too, or -1 would never be equal to -1.
    const auto when = [](auto condition) {
        return Body([=](Dsl& b) {
            const View<Narrow> narrow(b, r1, 0);
            const Label out = b.label("out");
            b.jump_if(condition(b, narrow), out);
            b.emit(mov64(r5, i64{0}));
            b.bind(out);
        });
    };
    check_rows({
        {"r0 = *(u8 *)(r1 +0)\nif w0 == 0xff goto pc+1\nr5 = 0\n",
         when([](Dsl&, auto& narrow) { return narrow(&Narrow::byte) == i8{-1}; })},
        {"r0 = *(u16 *)(r1 +2)\nif w0 != 0xfffe goto pc+1\nr5 = 0\n",
         when([](Dsl&, auto& narrow) { return narrow(&Narrow::half) != i16{-2}; })},
        {"r0 = *(u32 *)(r1 +4)\nif w0 == 0xffffffff goto pc+1\nr5 = 0\n",
         when([](Dsl&, auto& narrow) { return narrow(&Narrow::word) == -1; })},
        {"r0 = *(u8 *)(r1 +0)\nif w0 == 0xff goto pc+1\nr5 = 0\n",
         when([](Dsl& b, auto& narrow) { return b.let<i8>("x", narrow(&Narrow::byte)) == i8{-1}; })},
        {"*(u8 *)(r1 +0) = 255\n", [](Dsl& b) { View<Narrow>(b, r1, 0)(&Narrow::byte) = i8{-1}; }},
        {"r0 = 255\n", [](Dsl& b) { b.let<i8>("x", i8{-1}); }},
        {"r0 = 65534\n", [](Dsl& b) { b.let<i16>("x", -2); }},
        {"r0 = 255\n", [](Dsl& b) { b.let<Sign>("x", Sign::minus); }},
        {"r0 = -1\n", [](Dsl& b) { b.let<i32>("x", -1); }},
    });
}

TEST_CASE("fill() writes its byte everywhere", "[dsl]")
{
    check_rows({
        {"*(u64 *)(r10 -8) = 0\n", [](Dsl& b) { b.stack<Narrow>("s").fill(0); }},
        {"*(u64 *)(r10 -8) = -1\n", [](Dsl& b) { b.stack<Narrow>("s").fill(0xff); }},
        {"*(u32 *)(r10 -8) = 286331153\n*(u32 *)(r10 -4) = 286331153\n",
         [](Dsl& b) { b.stack<Narrow>("s").fill(0x11); }},
        {"*(u32 *)(r10 -8) = -2139062144\n*(u32 *)(r10 -4) = -2139062144\n",
         [](Dsl& b) { b.stack<Narrow>("s").fill(0x80); }},
    });
}

TEST_CASE("what was given back cannot be used", "[dsl]")
{
    const auto refused = [](const std::string& who, const Misuse& body, Loc here = Loc::current()) {
        check(Errc::uninitialised_register, who + " is used after its register r0 was given back", body,
              here);
    };
    refused("a variable", [](Dsl& b, u32& line) {
        auto x = b.let<u64>("x", 1);
        x.release();
        line = __LINE__, x = 2;
    });
    refused("a variable", [](Dsl& b, u32& line) {
        auto x = b.let<u64>("x", 1);
        const auto moved = std::move(x);
        line = __LINE__, x += 2;
    });
    refused("a variable", [](Dsl& b, u32& line) {
        auto x = b.let<u64>("x", 1);
        x.release();
        line = __LINE__, b.jump_if(x == 2, b.label("out"));
    });
    refused("a variable", [](Dsl& b, u32& line) {
        auto x = b.let<u8>("x", 1);
        x.release();
        line = __LINE__, b.jump_if(x.has(2), b.label("out"));
    });
    refused("a variable", [](Dsl& b, u32& line) {
        auto x = b.let<u64>("x", 1);
        x.release();
        auto y = b.keep<u64>("y", 2);
        line = __LINE__, y += x;
    });
    refused("a variable", [](Dsl& b, u32& line) {
        const auto n = b.local<u64>("n");
        auto x = b.let<u64>("x", 1);
        x.release();
        line = __LINE__, n() = x;
    });
    refused("a variable", [](Dsl& b, u32& line) {
        const auto n = b.local<u64>("n");
        auto x = b.let<u64>("x", 1);
        x.release();
        line = __LINE__, b.jump_if(n() == x, b.label("out"));
    });
    refused("a view", [](Dsl& b, u32& line) {
        View<Narrow> view(b, r0, 0, b.take(r0, "row"));
        view.release();
        line = __LINE__, view(&Narrow::word) = 1;
    });
    refused("a view", [](Dsl& b, u32& line) {
        View<u64> view(b, r0, 0, b.take(r0, "row"));
        view.release();
        line = __LINE__, view.value() = 1;
    });
}
