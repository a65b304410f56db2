// Each statement of the DSL beside what it emits, in the kernel's words.
#include "dsl_text.hpp"
#include "lb/base/wire.hpp"

using namespace lb;
using namespace lb::bpf;
using namespace lb::test;

namespace {

struct Row {
    const char* text;
    Body body;
};

void check(const std::vector<Row>& rows, ProgramType type = ProgramType::xdp)
{
    for (const auto& row : rows) {
        INFO("expected:\n" << row.text);
        CHECK(emitted(row.body, type) == row.text);
    }
}

const Map<Key, Value> hash("hash", MapType::hash, 8);
const Map<u32, Value> array("array", MapType::array, 8);
const Map<u32, u64> counts("counts", MapType::percpu_array, 8);

} // namespace

TEST_CASE("numbers are put into registers by the shortest form that holds them", "[dsl]")
{
    check({
        {"r0 = 1\n", [](Dsl& b) { b.let<u64>("x", 1); }},
        {"r0 = -1\n", [](Dsl& b) { b.let<i64>("x", -1); }},
        {"r0 = 2147483647\n", [](Dsl& b) { b.let<u64>("x", 0x7fffffff); }},
        {"w0 = -2147483648\n", [](Dsl& b) { b.let<u64>("x", 0x80000000); }},
        {"w0 = -1\n", [](Dsl& b) { b.let<u32>("x", 0xffffffff); }},
        {"r0 = 0x100000000\n", [](Dsl& b) { b.let<u64>("x", 0x100000000); }},
        {"r0 = 0x9e3779b97f4a7c15\n", [](Dsl& b) { b.let<u64>("x", 0x9e3779b97f4a7c15); }},
        {"r6 = 5\n", [](Dsl& b) { b.keep<u32>("x", 5); }},
        {"r0 = 1\nr1 = r0\n",
         [](Dsl& b) {
             b.release_context();
             const auto x = b.let<u64>("x", 1);
             const auto y = b.let<u64>("y", x);
         }},
    });
}

TEST_CASE("arithmetic is of the variable's width, with immediates where they fit", "[dsl]")
{
    const auto with = [](auto number, auto body) {
        using T = decltype(number);
        return Body([=](Dsl& b) {
            b.release_context();
            auto x = b.let<T>("x", number);
            body(b, x);
        });
    };
    check({
        {"r0 = 7\nr0 += 1\n", with(u64{7}, [](Dsl&, auto& x) { x += 1; })},
        {"r0 = 7\nr0 -= -1\n", with(u64{7}, [](Dsl&, auto& x) { x -= -1; })},
        {"r0 = 7\nr0 *= 3\n", with(u64{7}, [](Dsl&, auto& x) { x *= 3; })},
        {"r0 = 7\nr0 /= 3\n", with(u64{7}, [](Dsl&, auto& x) { x /= 3; })},
        {"r0 = 7\nr0 %= 3\n", with(u64{7}, [](Dsl&, auto& x) { x %= 3; })},
        {"r0 = 7\nr0 <<= 3\n", with(u64{7}, [](Dsl&, auto& x) { x <<= 3; })},
        {"r0 = 7\nr0 >>= 3\n", with(u64{7}, [](Dsl&, auto& x) { x >>= 3; })},
        {"r0 = 7\nr0 s>>= 3\n", with(i64{7}, [](Dsl&, auto& x) { x >>= 3; })},
        {"r0 = 7\nr0 &= 255\n", with(u64{7}, [](Dsl&, auto& x) { x &= 255; })},
        {"r0 = 7\nr0 |= 8\n", with(u64{7}, [](Dsl&, auto& x) { x |= 8; })},
        {"r0 = 7\nr0 ^= 65535\n", with(u64{7}, [](Dsl&, auto& x) { x ^= 0xffff; })},
        {"r0 = 7\nw0 += 1\n", with(u32{7}, [](Dsl&, auto& x) { x += 1; })},
        {"r0 = 7\nw0 ^= -1\n", with(u32{7}, [](Dsl&, auto& x) { x ^= 0xffffffff; })},
        {"r0 = 7\nw0 s>>= 3\n", with(i32{7}, [](Dsl&, auto& x) { x >>= 3; })},
        {"r0 = 7\nw0 &= 15\n", with(u8{7}, [](Dsl&, auto& x) { x &= u8{15}; })},
        // Beyond 32 bits a constant takes a register; an all-ones half would be sign-extended.
        {"r0 = 7\nw1 = -1\nr0 &= r1\n", with(u64{7}, [](Dsl&, auto& x) { x &= u64{0xffffffff}; })},
        {"r0 = 7\nr1 = 0x100000000\nr0 += r1\n", with(u64{7}, [](Dsl&, auto& x) { x += u64{0x100000000}; })},
        {"r0 = 7\nr1 = 9\nr0 += r1\n",
         with(u64{7}, [](Dsl& b, auto& x) { x += b.let<u64>("y", 9).value(); })},
        {"r0 = 7\nr1 = 9\nr0 = r1\n", with(u64{7}, [](Dsl& b, auto& x) { x = b.let<u64>("y", 9).value(); })},
        {"r0 = 7\nr0 = be16 r0\n",
         [](Dsl& b) {
             auto x = b.let<u64>("x", 7);
             const auto port = b.to_network16(std::move(x));
         }},
    });
}

TEST_CASE("members are loaded and stored by their width, wherever they lie", "[dsl]")
{
    check({
        {"*(u64 *)(r10 -24) = 1\n", [](Dsl& b) { b.stack<Value>("v")(&Value::count) = u64{1}; }},
        {"*(u32 *)(r10 -16) = 1\n", [](Dsl& b) { b.stack<Value>("v")(&Value::number) = u32{1}; }},
        {"*(u32 *)(r10 -12) = 16777343\n",
         [](Dsl& b) { b.stack<Value>("v")(&Value::address) = be32{0x7f000001}; }},
        {"*(u16 *)(r10 -8) = 20480\n", [](Dsl& b) { b.stack<Value>("v")(&Value::port) = be16{80}; }},
        {"*(u8 *)(r10 -6) = 255\n", [](Dsl& b) { b.stack<Value>("v")(&Value::flags) = u8{255}; }},
        {"*(u32 *)(r10 -4) = -5\n", [](Dsl& b) { b.stack<Value>("v")(&Value::balance) = i32{-5}; }},
        {"w0 = -1\n*(u64 *)(r10 -24) = r0\n",
         [](Dsl& b) { b.stack<Value>("v")(&Value::count) = u64{0xffffffff}; }},
        {"r0 = 0x123456789\n*(u64 *)(r10 -24) = r0\n",
         [](Dsl& b) { b.stack<Value>("v")(&Value::count) = u64{0x123456789}; }},
        {"*(u32 *)(r10 -12) = 0\nr0 = *(u32 *)(r10 -12)\n*(u32 *)(r10 -32) = r0\n",
         [](Dsl& b) {
             const auto v = b.stack<Value>("v");
             const auto k = b.stack<Key>("k");
             v(&Value::address) = be32{};
             k(&Key::address) = v(&Value::address);
         }},
        {"*(u16 *)(r10 -8) = 0\nr0 = *(u16 *)(r10 -8)\nr0 = be16 r0\n",
         [](Dsl& b) {
             const auto v = b.stack<Value>("v");
             v(&Value::port) = be16{};
             b.let_host("port", v(&Value::port));
         }},
        {"*(u32 *)(r10 -12) = 0\nr0 = *(u32 *)(r10 -12)\nr0 = be32 r0\n",
         [](Dsl& b) {
             const auto v = b.stack<Value>("v");
             v(&Value::address) = be32{};
             b.let_host("address", v(&Value::address));
         }},
        {"*(u16 *)(r10 -8) = 0\nr0 = *(u16 *)(r10 -8)\n",
         [](Dsl& b) {
             const auto v = b.stack<Value>("v");
             v(&Value::port) = be16{};
             b.let_bits<u64>("port", v(&Value::port));
         }},
        {"*(u64 *)(r10 -24) = 0\n*(u64 *)(r10 -16) = 0\n*(u64 *)(r10 -8) = 0\n",
         [](Dsl& b) { b.stack<Value>("v").fill(0); }},
        {"*(u64 *)(r10 -8) = -1\n", [](Dsl& b) { b.stack<Key>("k").fill(0xff); }},
        {"*(u32 *)(r10 -8) = 3\n", [](Dsl& b) { b.local<u32>("n")() = 3; }},
    });
}

TEST_CASE("counters are raised atomically, or plainly where one CPU alone writes", "[dsl]")
{
    check({
        {"*(u64 *)(r10 -8) = 0\nr0 = 2\nlock *(u64 *)(r10 -8) += r0\n",
         [](Dsl& b) {
             const auto n = b.local<u64>("n");
             n() = u64{0};
             n().atomic_add(2);
         }},
        {"*(u64 *)(r10 -8) = 0\nr0 = *(u64 *)(r10 -8)\nr0 += 2\n*(u64 *)(r10 -8) = r0\n",
         [](Dsl& b) {
             const auto n = b.local<u64>("n");
             n() = u64{0};
             n().add(2);
         }},
        {"*(u32 *)(r10 -8) = 0\nr0 = 2\nlock *(u32 *)(r10 -8) += r0\n",
         [](Dsl& b) {
             const auto n = b.local<u32>("n");
             n() = 0;
             n().atomic_add(2);
         }},
    });
}

TEST_CASE("conditions compare the width and the sign of their type", "[dsl]")
{
    const auto when = [](auto number, auto condition) {
        using T = decltype(number);
        return Body([=](Dsl& b) {
            b.release_context();
            const Label out = b.label("out");
            auto x = b.let<T>("x", T{0});
            b.jump_if(condition(b, x), out);
            b.emit(mov64(r5, i64{0}));
            b.bind(out);
        });
    };
    const std::string set = "r0 = 0\n", skip = " goto pc+1\nr5 = 0\n";
    const std::vector<std::pair<std::string, Body>> rows{
        {"if r0 == 0x5", when(u64{}, [](Dsl&, auto& x) { return x == 5; })},
        {"if r0 != 0x5", when(u64{}, [](Dsl&, auto& x) { return x != 5; })},
        {"if r0 > 0x5", when(u64{}, [](Dsl&, auto& x) { return x > 5; })},
        {"if r0 >= 0x5", when(u64{}, [](Dsl&, auto& x) { return x >= 5; })},
        {"if r0 < 0x5", when(u64{}, [](Dsl&, auto& x) { return x < 5; })},
        {"if r0 <= 0x5", when(u64{}, [](Dsl&, auto& x) { return x <= 5; })},
        {"if r0 s> 0xfffffffb", when(i64{}, [](Dsl&, auto& x) { return x > -5; })},
        {"if r0 s>= 0x5", when(i64{}, [](Dsl&, auto& x) { return x >= 5; })},
        {"if r0 s< 0x5", when(i64{}, [](Dsl&, auto& x) { return x < 5; })},
        {"if w0 s<= 0x5", when(i32{}, [](Dsl&, auto& x) { return x <= 5; })},
        {"if w0 == 0x5", when(u32{}, [](Dsl&, auto& x) { return x == 5; })},
        {"if w0 == 0xffffffff", when(u32{}, [](Dsl&, auto& x) { return x == 0xffffffff; })},
        {"if w0 > 0xff", when(u8{}, [](Dsl&, auto& x) { return x > u8{255}; })},
        {"if w0 & 0x12", when(u8{}, [](Dsl&, auto& x) { return x.has(0x12); })},
        {"if r0 & 0x80", when(u64{}, [](Dsl&, auto& x) { return x.has(0x80); })},
        {"if w0 == 0x5000", when(be16{}, [](Dsl&, auto& x) { return x == be16{80}; })},
        {"if w0 != 0x100007f", when(be32{}, [](Dsl&, auto& x) { return x != be32{0x7f000001}; })},
        {"w1 = -1\nif r0 == r1", when(u64{}, [](Dsl&, auto& x) { return x == u64{0xffffffff}; })},
    };
    for (const auto& [text, body] : rows) CHECK(emitted(body) == set + text + skip);
    check(
        {{"r0 = 0\nr1 = 1\nif r0 > r1 goto pc+1\nr5 = 0\n",
          [](Dsl& b) {
              b.release_context();
              const Label out = b.label("out");
              const auto x = b.let<u64>("x", 0), y = b.let<u64>("y", 1);
              b.jump_if(x > y, out);
              b.emit(mov64(r5, i64{0}));
              b.bind(out);
          }},
         {"*(u16 *)(r10 -8) = 0\nr0 = *(u16 *)(r10 -8)\nif w0 & 0xff3f goto pc+1\nr5 = 0\n",
          [](Dsl& b) {
              b.release_context();
              const Label out = b.label("out");
              const auto n = b.local<be16>("n");
              n() = be16{};
              b.jump_if(n().has(be16{0x3fff}), out);
              b.emit(mov64(r5, i64{0}));
              b.bind(out);
          }},
         {"*(u32 *)(r10 -8) = 0\nr0 = 7\nr1 = *(u32 *)(r10 -8)\nif w1 < w0 goto pc+1\nr5 = 0\n", [](Dsl& b) {
              b.release_context();
              const Label out = b.label("out");
              const auto n = b.local<u32>("n");
              n() = 0;
              const auto x = b.let<u32>("x", 7);
              b.jump_if(x > n(), out); // turned round: one load
              b.emit(mov64(r5, i64{0}));
              b.bind(out);
          }}});
}

TEST_CASE("a body runs when its condition holds, for every comparison there is", "[dsl]")
{
    struct Opposite {
        Jmp op;
        const char* text;
    };
    for (const auto& [op, text] : {Opposite{Jmp::eq, "!="},
                                   {Jmp::ne, "=="},
                                   {Jmp::gt, "<="},
                                   {Jmp::le, ">"},
                                   {Jmp::ge, "<"},
                                   {Jmp::lt, ">="},
                                   {Jmp::sgt, "s<="},
                                   {Jmp::sle, "s>"},
                                   {Jmp::sge, "s<"},
                                   {Jmp::slt, "s>="}})
        CHECK(emitted([op = op](Dsl& b) {
                  b.if_({.op = op, .left = r1, .right = i64{3}}, [&] { b.emit(mov64(r5, i64{1})); });
              }) == "if r1 " + std::string(text) + " 0x3 goto pc+1\nr5 = 1\n");
    check({
        // `set` has no opposite.
        {"if r1 & 0x3 goto pc+1\ngoto pc+1\nr5 = 1\n",
         [](Dsl& b) {
             b.if_({.op = Jmp::set, .left = r1, .right = i64{3}}, [&] { b.emit(mov64(r5, i64{1})); });
         }},
        {"if r1 != 0x3 goto pc+2\nr5 = 1\ngoto pc+1\nr5 = 2\n",
         [](Dsl& b) {
             b.if_({.op = Jmp::eq, .left = r1, .right = i64{3}}, [&] {
                  b.emit(mov64(r5, i64{1}));
              }).else_([&] { b.emit(mov64(r5, i64{2})); });
         }},
        {"r6 = 3\nr5 = 1\nr6 -= 1\nif r6 != 0x0 goto pc-3\n",
         [](Dsl& b) { b.repeat(3, [&] { b.emit(mov64(r5, i64{1})); }); }},
        {"if w1 == <number> goto pc+1\nr5 = 1\n",
         [](Dsl& b) {
             const Label out = b.label("out");
             b.jump_if_symbol(Jmp::eq, r1, "number", out, Loc::current());
             b.emit(mov64(r5, i64{1}));
             b.bind(out);
         }},
    });
}

TEST_CASE("maps are looked up, updated and emptied with keys of their type", "[dsl]")
{
    const auto key = [](Dsl& b) {
        b.release_context();
        auto k = b.local<u32>("k");
        k() = 7;
        return k;
    };
    const std::string lookup = "*(u32 *)(r10 -8) = 7\nr1 = map[array]\nr2 = r10\nr2 += -8\n"
                               "call bpf_map_lookup_elem#1\nif r0 == 0x0 goto pc+";
    check({
        {(lookup + "2\nr6 = r0\nr0 = *(u32 *)(r6 +8)\n").c_str(),
         [&](Dsl& b) {
             const auto k = key(b);
             const Label none = b.label("none");
             {
                 const auto row = b.lookup(array, k, none);
                 b.let<u32>("n", row(&Value::number));
             }
             b.bind(none);
         }},
        {(lookup + "1\n*(u8 *)(r0 +18) = 1\n").c_str(),
         [&](Dsl& b) {
             const auto k = key(b);
             const Label none = b.label("none");
             b.lookup_brief(array, k, none)(&Value::flags) = u8{1};
             b.bind(none);
         }},
        {(lookup + "1\nr6 = r0\n").c_str(),
         [&](Dsl& b) {
             const auto k = key(b);
             const Label none = b.label("none");
             const auto row = b.pointer<Value>("row");
             b.lookup_to(row, array, k, none);
             b.bind(none);
         }},
        {"r6 = r10\nr6 += -24\n",
         [](Dsl& b) {
             const auto row = b.pointer<Value>("row");
             b.point(row, b.stack<Value>("v"));
         }},
        {"*(u64 *)(r10 -8) = 0\n*(u64 *)(r10 -32) = 0\n*(u64 *)(r10 -24) = 0\n*(u64 *)(r10 -16) = 0\n"
         "r1 = map[hash]\nr2 = r10\nr2 += -8\nr3 = r10\nr3 += -32\nr4 = 1\ncall bpf_map_update_elem#2\n",
         [](Dsl& b) {
             b.release_context();
             const auto k = b.stack<Key>("k");
             const auto v = b.stack<Value>("v");
             k.fill(0);
             v.fill(0);
             b.update(hash, k, v, UpdateFlag::no_exist);
         }},
        // Of the result the lower half counts: before Linux 6.4 the upper one is undefined.
        {"*(u64 *)(r10 -8) = 0\n*(u64 *)(r10 -32) = 0\n*(u64 *)(r10 -24) = 0\n*(u64 *)(r10 -16) = 0\n"
         "r1 = map[hash]\nr2 = r10\nr2 += -8\nr3 = r10\nr3 += -32\nr4 = 0\ncall bpf_map_update_elem#2\n"
         "if w0 != 0xffffffef goto pc+1\nr5 = 1\n",
         [](Dsl& b) {
             b.release_context();
             const auto k = b.stack<Key>("k");
             const auto v = b.stack<Value>("v");
             k.fill(0);
             v.fill(0);
             const auto result = b.update(hash, k, v, UpdateFlag::any);
             b.if_(result == -17, [&] { b.emit(mov64(r5, i64{1})); });
         }},
        {"*(u64 *)(r10 -8) = 0\nr1 = map[hash]\nr2 = r10\nr2 += -8\ncall bpf_map_delete_elem#3\n",
         [](Dsl& b) {
             b.release_context();
             const auto k = b.stack<Key>("k");
             k.fill(0);
             b.remove(hash, k);
         }},
        {"r1 = map[counts][0]+8\n", [](Dsl& b) { b.load_map_value(r1, counts, 8, Loc::current()); }},
    });
}

TEST_CASE("helpers get numbers, variables, maps and memory in r1 to r5", "[dsl]")
{
    check({
        {"call bpf_jiffies64#118\n",
         [](Dsl& b) {
             b.release_context();
             b.call(Helper::jiffies64, {});
         }},
        {"r0 = 4\n*(u32 *)(r10 -8) = 0\nr1 = map[counts]\nr2 = r10\nr2 += -8\nr3 = r0\nr4 = 0x100000000\n"
         "call bpf_ringbuf_output#130\nr6 = r0\n",
         [](Dsl& b) {
             b.release_context();
             auto number = b.let<u64>("n", 4);
             const auto k = b.local<u32>("k");
             k() = 0;
             auto result = b.call<i64>(Helper::ringbuf_output,
                                       {counts, k, std::move(number), u64{0x100000000}}, "result");
             b.keep<i64>("kept", result);
         }},
    });
    // A function of the program: r1.. are its arguments, r0 its result.
    Dsl b("t", ProgramType::xdp, AttachType::xdp);
    const Subprogram twice = b.subprogram("twice", 1);
    b.release_context();
    b.emit(mov64(r1, i64{21}));
    b.call(twice);
    b.exit(no_reason);
    b.begin(twice);
    b.emit(mov64(r0, r1));
    b.emit(alu64(Alu::add, r0, r1));
    b.exit(no_reason);
    const auto program = b.finish();
    REQUIRE(program.has_value());
    REQUIRE(program->functions.size() == 2);
    CHECK(program->functions[1].name == "twice");
    CHECK(program->functions[1].slot == 3);
    CHECK(lines_of(*program) == "r1 = 21\ncall pc+1\nexit\n\ntwice:\nr0 = r1\nr0 += r1\nexit\n");
}

TEST_CASE("a packet gives headers only behind one check of their whole length", "[dsl]")
{
    check({
        {"r6 = *(u32 *)(r1 +0)\nr7 = *(u32 *)(r1 +4)\nr0 = r6\nr0 += 34\nif r0 > r7 goto pc+2\n"
         "r0 = *(u16 *)(r6 +12)\nr0 = *(u8 *)(r6 +23)\n",
         [](Dsl& b) {
             XdpPacket packet(b);
             const Label out = b.label("out");
             const auto [ethernet, ip] = packet.claim<wire::Ethernet, wire::Ipv4>(out);
             b.let<be16>("type", ethernet(&wire::Ethernet::type));
             b.let<u8>("protocol", ip(&wire::Ipv4::protocol));
             b.bind(out);
         }},
        {"r6 = *(u32 *)(r1 +0)\nr7 = *(u32 *)(r1 +4)\nr0 = r6\nr0 += 42\nif r0 > r7 goto pc+1\n"
         "*(u16 *)(r6 +36) = 20480\n",
         [](Dsl& b) {
             XdpPacket packet(b);
             const Label out = b.label("out");
             packet.claim_at<wire::Udp>(34, out)(&wire::Udp::dport) = be16{80};
             b.bind(out);
         }},
        {"r6 = *(u32 *)(r1 +0)\nr7 = *(u32 *)(r1 +4)\nr0 = r7\nr0 -= r6\n",
         [](Dsl& b) {
             XdpPacket packet(b);
             packet.length("length");
         }},
    });
    check({{"r8 = r1\n*(u64 *)(r10 -8) = 0\nr6 = *(u32 *)(r8 +76)\nr7 = *(u32 *)(r8 +80)\nr0 = r6\nr0 += 8\n"
            "if r0 > r7 goto pc+1\ngoto pc+10\nr0 = *(u64 *)(r10 -8)\nif r0 != 0x0 goto pc+8\n"
            "*(u64 *)(r10 -8) = 1\nr0 = *(u32 *)(r8 +0)\nif w0 <= 0x36 goto pc+1\nr0 = 54\n"
            "r1 = r8\nr2 = r0\ncall bpf_skb_pull_data#39\ngoto pc-16\n",
            [](Dsl& b) {
                SkbPacket packet(b);
                const Label out = b.label("out");
                packet.claim<Key>(packet.too_short());
                b.jump(out);
                packet.emit_retry(54, out);
                b.bind(out);
            }}},
          ProgramType::sched_cls);
}

TEST_CASE("every way out has its reason and verdict, and one end counts them", "[dsl]")
{
    Dsl b("t", ProgramType::xdp, AttachType::xdp);
    Exits exits(b);
    b.release_context();
    b.jump_if({.op = Jmp::eq, .left = r1, .right = i64{0}}, exits.to(4, "zero", 1));
    b.jump_if({.op = Jmp::eq, .left = r1, .right = i64{1}}, exits.to(7, "one", 2));
    b.jump_if({.op = Jmp::eq, .left = r1, .right = i64{2}}, exits.to(4, "zero", 1)); // the same way
    exits.leave(9, "other", 3);
    exits.emit([&](Var<u32>& reason) { b.emit(mov64(r5, reason.reg())); });
    const auto program = b.finish();
    INFO((program ? "" : to_string(program.error())));
    REQUIRE(program.has_value());
    CHECK(lines_of(*program) ==
          "if r1 == 0x0 goto pc+4\nif r1 == 0x1 goto pc+6\nif r1 == 0x2 goto pc+2\nr0 = 3\nexit\n"
          "r6 = 4\nr7 = 1\ngoto pc+2\nr6 = 7\nr7 = 2\nr5 = r6\nr0 = r7\nexit\n");
    REQUIRE(program->exits.size() == 3);
    CHECK(program->exits[0].name == "other");
    CHECK(program->exits[1].name == "zero");
    CHECK(program->exits[1].verdict == 1);
    CHECK(program->exits[2].reason == 7);
}
