// Loads and stores of members and of variables: every right side on every left side that the types allow.
// Members are those of a struct that r1 points at.
#include "dsl_misuse.hpp"

using namespace lb;
using namespace lb::bpf;
using namespace lb::test;

namespace {

using Statement = std::function<void(Dsl&, const View<Value>&)>;

struct Row {
    const char* text;
    Statement statement;
};

void check_rows(const std::vector<Row>& rows)
{
    for (const auto& row : rows) {
        INFO("expected:\n" << row.text);
        CHECK(emitted([&](Dsl& b) { row.statement(b, View<Value>(b, r1, 0)); }) == row.text);
    }
}

const Map<u32, u64> counts("counts", MapType::array, 8);
const Map<be32, be16> ports("ports", MapType::hash, 8);
const Map<Key, Value> flows("flows", MapType::hash, 8);

} // namespace

TEST_CASE("a member takes a constant, a variable, or a member of its type", "[dsl]")
{
    check_rows({
        {"*(u8 *)(r1 +18) = 7\n", [](Dsl&, auto& v) { v(&Value::flags) = u8{7}; }},
        {"*(u32 *)(r1 +8) = -1\n", [](Dsl&, auto& v) { v(&Value::number) = 0xffffffffu; }},
        {"*(u64 *)(r1 +0) = -1\n", [](Dsl&, auto& v) { v(&Value::count) = ~u64{0}; }},
        {"r0 = 9\n*(u64 *)(r1 +0) = r0\n", [](Dsl& b, auto& v) { v(&Value::count) = b.let<u64>("x", 9); }},
        {"r0 = 20480\n*(u16 *)(r1 +16) = r0\n",
         [](Dsl& b, auto& v) { v(&Value::port) = b.let<be16>("x", be16{80}); }},
        {"r0 = *(u8 *)(r1 +19)\n*(u8 *)(r1 +18) = r0\n",
         [](Dsl&, auto& v) { v(&Value::flags) = v(&Value::rest); }},
    });
}

TEST_CASE("a compare-and-exchange takes what was seen in r0, and what was there comes back in it", "[dsl]")
{
    check_rows({
        {"r6 = 9\nr0 = *(u64 *)(r1 +0)\nr0 = atomic64_cmpxchg((u64 *)(r1 +0), r0, r6)\n",
         [](Dsl& b, auto& v) {
             const auto next = b.keep<u64>("next", 9);
             const auto seen = b.let<u64>("seen", v(&Value::count));
             v(&Value::count).compare_exchange(seen, next);
         }},
        {"error: what a compare-and-exchange has seen must be in r0\n",
         [](Dsl& b, auto& v) {
             const auto next = b.let<u64>("next", 9);
             const auto seen = b.let<u64>("seen", v(&Value::count));
             v(&Value::count).compare_exchange(seen, next);
         }},
    });
}

TEST_CASE("what is added to a member may be a constant, a variable, or a member", "[dsl]")
{
    check_rows({
        {"r0 = 1\nlock *(u64 *)(r1 +0) += r0\n", [](Dsl&, auto& v) { v(&Value::count).atomic_add(1); }},
        {"r0 = -1\nlock *(u32 *)(r1 +20) += r0\n", [](Dsl&, auto& v) { v(&Value::balance).atomic_add(-1); }},
        {"r0 = 1\nr0 = atomic64_fetch_add((u64 *)(r1 +0), r0)\n",
         [](Dsl&, auto& v) { v(&Value::count).fetch_add(1); }},
        {"r0 = *(u32 *)(r1 +8)\nr0 = atomic_xchg((u32 *)(r1 +8), r0)\n",
         [](Dsl&, auto& v) { v(&Value::number).exchange(v(&Value::number)); }},
        {"r6 = 9\nlock *(u64 *)(r1 +0) += r6\n",
         [](Dsl& b, auto& v) { v(&Value::count).atomic_add(b.keep<u64>("x", 9)); }},
        {"r0 = *(u32 *)(r1 +8)\nlock *(u64 *)(r1 +0) += r0\n",
         [](Dsl&, auto& v) { v(&Value::count).atomic_add(v(&Value::number)); }},
        {"r0 = *(u32 *)(r1 +8)\nw0 += 1\n*(u32 *)(r1 +8) = r0\n",
         [](Dsl&, auto& v) { v(&Value::number).add(1); }},
        {"r6 = 9\nr0 = *(u64 *)(r1 +0)\nr0 += r6\n*(u64 *)(r1 +0) = r0\n",
         [](Dsl& b, auto& v) { v(&Value::count).add(b.keep<u64>("x", 9)); }},
        {"*(u16 *)(r10 -8) = r1\nr0 = *(u64 *)(r1 +0)\nr2 = *(u16 *)(r10 -8)\nr0 += r2\n*(u64 *)(r1 +0) = "
         "r0\n",
         [](Dsl& b, auto& v) {
             const auto n = b.local<u16>("n");
             b.emit(store(Width::w16, fp, -8, r1)); // so that it has been written
             v(&Value::count).add(n());
         }},
    });
}

TEST_CASE("a variable begins as a constant, a member, or a variable, as wide as it is or narrower", "[dsl]")
{
    check_rows({
        {"r0 = *(u64 *)(r1 +0)\n", [](Dsl& b, auto& v) { b.let<u64>("x", v(&Value::count)); }},
        {"r0 = *(u8 *)(r1 +18)\n", [](Dsl& b, auto& v) { b.let<u64>("x", v(&Value::flags)); }},
        {"r6 = *(u16 *)(r1 +16)\n", [](Dsl& b, auto& v) { b.keep<be16>("x", v(&Value::port)); }},
        {"r0 = *(u32 *)(r1 +20)\n", [](Dsl& b, auto& v) { b.let<i32>("x", v(&Value::balance)); }},
        {"r0 = 9\nw2 = w0\n",
         [](Dsl& b, auto&) {
             const auto x = b.let<u32>("x", 9);
             b.let<u32>("y", x);
         }},
        {"r0 = 9\nr2 = r0\n",
         [](Dsl& b, auto&) {
             const auto x = b.let<u16>("x", 9);
             b.let<i64>("y", x);
         }},
        {"r0 = 256\nw6 = w0\n",
         [](Dsl& b, auto&) {
             const auto x = b.let<be16>("x", be16{1});
             b.keep<be16>("y", x);
         }},
        {"r0 = 9\nr0 = *(u32 *)(r1 +8)\n",
         [](Dsl& b, auto& v) {
             auto x = b.let<u64>("x", 9);
             x = v(&Value::number);
         }},
    });
}

TEST_CASE("arithmetic with a member loads it first, as wide as it is", "[dsl]")
{
    check_rows({
        {"r0 = 1\nr2 = *(u64 *)(r1 +0)\nr0 += r2\n",
         [](Dsl& b, auto& v) {
             auto x = b.let<u64>("x", 1);
             x += v(&Value::count);
         }},
        {"r0 = 1\nr2 = *(u8 *)(r1 +18)\nw0 ^= w2\n",
         [](Dsl& b, auto& v) {
             auto x = b.let<u32>("x", 1);
             x ^= v(&Value::flags);
         }},
        {"r0 = 1\nr2 = *(u32 *)(r1 +12)\nw0 &= w2\n",
         [](Dsl& b, auto& v) {
             auto x = b.let<be32>("x", be32::from_raw(1));
             x &= v(&Value::address);
         }},
        {"r0 = 1\nw0 |= -1\n",
         [](Dsl& b, auto&) {
             auto x = b.let<be32>("x", be32::from_raw(1));
             x |= be32{0xffffffff};
         }},
        {"r0 = 8\nw0 >>= 3\n",
         [](Dsl& b, auto&) {
             auto x = b.let<u16>("x", 8);
             x >>= 3;
         }},
        {"r0 = 8\nr2 = 3\nr0 <<= r2\n",
         [](Dsl& b, auto&) {
             auto x = b.let<u64>("x", 8);
             const auto by = b.let<u64>("by", 3);
             x <<= by;
         }},
    });
}

TEST_CASE("between network and host order stands a conversion, or a word that says there is none", "[dsl]")
{
    struct Wide {
        be64 id{};
    };
    check_rows({
        {"r0 = *(u64 *)(r1 +0)\nr0 = be64 r0\n",
         [](Dsl& b, auto&) { b.let_host("id", View<Wide>(b, r1, 0)(&Wide::id)); }},
        {"r0 = *(u16 *)(r1 +16)\n", [](Dsl& b, auto& v) { b.let_bits<u16>("port", v(&Value::port)); }},
        {"r0 = *(u32 *)(r1 +12)\n", [](Dsl& b, auto& v) { b.let_bits<u64>("address", v(&Value::address)); }},
        {"r0 = *(u32 *)(r1 +12)\nw0 += 1\n",
         [](Dsl& b, auto& v) {
             auto sum = b.bits(b.let<be32>("address", v(&Value::address)));
             sum += 1;
         }},
        {"r0 = 80\nr0 = be16 r0\n*(u16 *)(r1 +16) = r0\n",
         [](Dsl& b, auto& v) { v(&Value::port) = b.to_network16(b.let<u16>("x", 80)); }},
    });
}

TEST_CASE("a map's key and value may be plain numbers, of either order", "[dsl]")
{
    check_rows({
        {"*(u32 *)(r10 -8) = 7\nr1 = map[counts]\nr2 = r10\nr2 += -8\ncall bpf_map_lookup_elem#1\n"
         "if r0 == 0x0 goto pc+2\nr1 = 1\nlock *(u64 *)(r0 +0) += r1\n",
         [](Dsl& b, auto&) {
             b.release_context();
             const auto index = b.local<u32>("index");
             const Label none = b.label("none");
             index() = 7;
             b.lookup_brief(counts, index, none).value().atomic_add(1);
             b.bind(none);
         }},
        {"*(u32 *)(r10 -8) = 7\nr1 = map[counts]\nr2 = r10\nr2 += -8\ncall bpf_map_lookup_elem#1\n"
         "if r0 == 0x0 goto pc+2\nr1 = r0\nr0 = *(u64 *)(r1 +0)\n",
         [](Dsl& b, auto&) {
             b.release_context();
             const auto index = b.local<u32>("index");
             const Label none = b.label("none");
             index() = 7;
             const auto count = b.beside(b.lookup_brief(counts, index, none));
             const auto seen = b.let<u64>("seen", count.value());
             b.bind(none);
         }},
        {"*(u32 *)(r10 -8) = 16777343\nr1 = map[ports]\nr2 = r10\nr2 += -8\ncall bpf_map_lookup_elem#1\n"
         "if r0 == 0x0 goto pc+2\nr6 = r0\n*(u16 *)(r6 +0) = 20480\n",
         [](Dsl& b, auto&) {
             b.release_context();
             const auto address = b.local<be32>("address");
             const Label none = b.label("none");
             address() = be32{0x7f000001};
             b.lookup(ports, address, none).value() = be16{80};
             b.bind(none);
         }},
    });
}

TEST_CASE("an update says whether the key may, must or must not be there", "[dsl]")
{
    for (const auto& [flag, number] :
         {std::pair{UpdateFlag::any, "0"}, {UpdateFlag::no_exist, "1"}, {UpdateFlag::exist, "2"}})
        CHECK(emitted([flag = flag](Dsl& b) {
                  b.release_context();
                  const auto key = b.stack<Key>("key");
                  const auto value = b.stack<Value>("value");
                  key.fill(0);
                  value.fill(0);
                  b.update(flows, key, value, flag);
              }).ends_with("r4 = " + std::string(number) + "\ncall bpf_map_update_elem#2\n"));
}

TEST_CASE("several paths may leave a pointer in one register: to a map's value, or to the frame", "[dsl]")
{
    CHECK(emitted([](Dsl& b) {
              b.release_context();
              const auto key = b.stack<Key>("key");
              const auto value = b.stack<Value>("value");
              const auto flow = b.pointer<Value>("flow");
              const Label missing = b.label("missing"), found = b.label("found");
              key.fill(0);
              value.fill(0);
              b.lookup_to(flow, flows, key, missing);
              b.jump(found);
              b.bind(missing);
              b.point(flow, value);
              b.bind(found);
              flow(&Value::flags) = u8{1};
          })
              .ends_with("if r0 == 0x0 goto pc+2\nr6 = r0\ngoto pc+2\nr6 = r10\nr6 += -32\n"
                         "*(u8 *)(r6 +18) = 1\n"));
}

TEST_CASE("a packet's end may be given back when no more is claimed", "[dsl]")
{
    CHECK(emitted([](Dsl& b) {
              XdpPacket packet(b);
              packet.release_end();
              CHECK(packet.data() == r6);
              b.keep<u64>("x", 5);
          }) == "r6 = *(u32 *)(r1 +0)\nr7 = *(u32 *)(r1 +4)\nr7 = 5\n");
    check(Errc::offset_out_of_range, "offset 40002 needs 16 bits", [](Dsl& b, u32& line) {
        XdpPacket packet(b);
        const Label out = b.label("out");
        const auto key = packet.claim_at<Key>(39998, out);
        line = __LINE__, b.let<be16>("port", key(&Key::port));
        b.bind(out);
    });
}
