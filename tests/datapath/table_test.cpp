// What the flow table holds after what: no entry without its other half, none of an earlier connection.
#include "bench.hpp"
#include "model/flow_state.hpp"

using namespace lb;
using namespace lb::test;
using lab::build;
using lab::ip;
using lab::Tcp;
using model::Reason;

namespace {

constexpr u32 nowhere = 9999; // an index that no map has
const u32 client = ip("198.51.100.7"), vip = ip("192.0.2.1");

Bytes request(u16 port, u8 flags = Tcp::syn)
{
    return build({.saddr = client, .daddr = vip, .l4 = Tcp{.sport = port, .flags = flags}});
}
Bytes answer(u32 from, u16 port, u8 flags)
{
    return build({.saddr = from, .daddr = client, .l4 = Tcp{.sport = 8080, .dport = port, .flags = flags}});
}

const std::string two_targets = config_text({{.target = R"([{"ip": "10.0.0.1", "port": 8080, "weight": 50},
                                                            {"ip": "10.0.0.2", "port": 8080, "weight": 50}])"}});

void establish(const Bench& bench, u16 port)
{
    CHECK(bench.in(request(port)).verdict == xdp_pass);
    bench.out(answer(ip("10.0.0.1"), port, Tcp::syn | Tcp::ack_flag));
    bench.in(request(port, Tcp::ack_flag));
}

void send_all_to(const Bench& bench, u32 target)
{
    for (u32 slot = 0; slot < bench.plan().groups[0].slots; ++slot)
        must(bench.map("slots").update(slot, target));
}

} // namespace

TEST_CASE("where only one of two entries fits, none is left behind", "[table]")
{
    const Bench bench(config_text({{}}, R"("max-connections": 2)")); // and one that is half-open
    // Somebody's single entry makes the room odd.
    must(bench.map("flows4").update(model::FlowKey4{.protocol = 255}, model::Flow4{}));
    for (u16 port = 1; port <= 2; ++port) establish(bench, port);
    for (u16 port = 3; port <= 5; ++port) {
        const auto refused = bench.in(request(port));
        CHECK(refused.verdict == xdp_drop);
        CHECK(refused.frame == request(port)); // and never half translated
    }
    CHECK(bench.exits() == std::map<Reason, u64>{{Reason::table_full, 3}});
    CHECK(bench.flows().size() == 5);
    must(bench.map("flows4").remove(model::FlowKey4{.protocol = 255}));
    CHECK(bench.in(request(6)).verdict == xdp_pass);
    CHECK(bench.flows().size() == 6);
}

TEST_CASE("a connection that begins anew with another target leaves nothing of the earlier one", "[table]")
{
    const Bench bench(two_targets);
    send_all_to(bench, 0);
    bench.in(request(1));
    const auto earlier = bench.flow(key_of(request(1)));
    REQUIRE(earlier.has_value());
    bench.out(answer(ip("10.0.0.1"), 1, Tcp::rst));
    send_all_to(bench, 1);
    bench.in(request(1));
    const auto now = bench.flow(key_of(request(1)));
    REQUIRE(now.has_value());
    CHECK(now->target == 1);
    CHECK(bench.flows().size() == 2);
    CHECK_FALSE(bench.flow(pair_key(key_of(request(1)), *earlier)).has_value());
    // The earlier target's late words are nobody's now.
    CHECK(bench.out(answer(ip("10.0.0.1"), 1, Tcp::rst)).frame == answer(ip("10.0.0.1"), 1, Tcp::rst));
    CHECK(bench.exits() == std::map<Reason, u64>{{Reason::egress_no_flow, 1}});
    CHECK(bench.out(answer(ip("10.0.0.2"), 1, Tcp::syn | Tcp::ack_flag)).frame !=
          answer(ip("10.0.0.2"), 1, Tcp::syn | Tcp::ack_flag));
}

TEST_CASE("a retransmitted SYN stays with its target, also after the weights have changed", "[table]")
{
    const Bench bench(two_targets);
    send_all_to(bench, 0);
    const auto first = bench.in(request(1)).frame;
    send_all_to(bench, 1);
    CHECK(bench.in(request(1)).frame == first);
    CHECK(bench.in(request(1, Tcp::ack_flag)).frame[33] == first[33]); // the last byte of its address
    CHECK(bench.counters(0).connections == 1);
    CHECK(bench.counters(1).connections == 0);
}

TEST_CASE("a missing row anywhere on the way to a target drops the packet as internal", "[table]")
{
    struct Row {
        const char* name;
        void (*take_away)(const Bench&);
    };
    for (const auto& row :
         {Row{"the group that a route names",
              [](const Bench& bench) {
                  must(bench.map("routes4").update(model::RouteKey4{.prefix_length = 33}, nowhere));
              }},
          Row{"the group's slots",
              [](const Bench& bench) {
                  must(bench.map("groups").update(0u, model::GroupRow::of(nowhere, 1)));
              }},
          Row{"the slot's target",
              [](const Bench& bench) { must(bench.map("slots").update(0u, nowhere)); }}}) {
        INFO(row.name);
        const Bench bench(config_text(
            {{.more =
                  R"("source-routes": [{"source": "0.0.0.0/1", "target": {"ip": "10.0.0.2", "port": 1}}])"}}));
        const auto to_default = request(1);
        auto to_route = lab::parse(to_default);
        to_route->saddr = ip("10.1.1.1");
        CHECK(bench.in(to_default).verdict == xdp_pass);
        CHECK(bench.in(build(*to_route)).verdict == xdp_pass);
        row.take_away(bench);
        CHECK(bench.in(to_default).verdict == xdp_pass); // it is known
        const bool route = row.name == std::string("the group that a route names");
        to_route->l4 = Tcp{.sport = 2};
        CHECK(bench.in(build(*to_route)).verdict == (route ? xdp_drop : xdp_pass));
        CHECK(bench.in(request(2)).verdict == (route ? xdp_pass : xdp_drop));
        CHECK(bench.exits() == std::map<Reason, u64>{{Reason::internal, 1}});
        CHECK(bench.flows().size() == 6); // the refused one has left nothing
    }
}
