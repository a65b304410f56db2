// Connections between IPv4 and IPv6 in the tables: one entry in each family's, which live and die together.
#include <chrono>

#include "runtime/collector.hpp"
#include "siit.hpp"
#include "two_cpus.hpp"

using namespace lb;
using namespace lb::test;
using lab::build;
using lab::Tcp;
using model::Flow6;
using model::FlowKey4;
using model::FlowKey6;
using model::Reason;

namespace {

// Entries of IPv4 and of IPv6 packets.
std::vector<kernel::Entry<FlowKey4, Flow6>> entries4(const Bench& bench)
{
    return must(kernel::read_all<FlowKey4, Flow6>(bench.map("flows46")));
}
std::vector<kernel::Entry<FlowKey6, Flow6>> entries6(const Bench& bench)
{
    return must(kernel::read_all<FlowKey6, Flow6>(bench.map("flows6")));
}

// Each entry's pair is in the other table, says the same connection, and leads back. Returns how many there
// are.
std::size_t check_pairs(const Bench& bench)
{
    const auto four = entries4(bench);
    CHECK(entries6(bench).size() == four.size());
    for (const auto& [key, entry] : four) {
        CHECK(entry.carried == model::carried_across);
        const auto other_key = model::other_key<FlowKey6>(key.protocol, entry);
        const auto other = must(bench.map("flows6").lookup<FlowKey6, Flow6>(other_key));
        REQUIRE(other);
        CHECK(other->carried == model::carried_across);
        CHECK(other->target == entry.target);
        CHECK(other->direction != entry.direction);
        CHECK(model::other_key<FlowKey4>(key.protocol, *other) == key);
    }
    return four.size();
}

Packet with_flags(Packet packet, u8 flags)
{
    std::get<Tcp>(packet.l4).flags = flags;
    return packet;
}

// Until the system's first jiffies, or nearly so.
template <class Key> void age(const Bench& bench, const char* map, const Key& key, Flow6 entry)
{
    entry.last_seen -= 1u << 28;
    must(bench.map(map).update(key, entry));
}

struct Passes {
    runtime::Collected four = {}, six = {};
    std::vector<runtime::Ended> ended = {};
};
Passes collect(const Bench& bench)
{
    const auto clock = must(runtime::JiffiesClock::create());
    Passes passes;
    const auto each = [&](const runtime::Ended& ended) { passes.ended.push_back(ended); };
    passes.six = must(runtime::collect<model::Address6>(bench.map("flows6"), clock, model::Timeouts{}, each,
                                                        nullptr, &bench.map("flows46")));
    passes.four = must(runtime::collect<be32, model::Address6>(bench.map("flows46"), clock, model::Timeouts{},
                                                               each, nullptr, &bench.map("flows6")));
    return passes;
}

} // namespace

TEST_CASE("a connection between IP versions has an entry in each table", "[datapath][siit]")
{
    const Bench bench(across_config());
    for (u16 port = 1; port <= 100; ++port)
        for (const bool six : {false, true})
            for (const u8 protocol : {u8{6}, u8{17}}) {
                const Across across(bench, six, protocol, port);
                bench.in(build(across.reply()));
            }
    CHECK(check_pairs(bench) == 400);
    for (const u32 target : {0u, 1u}) {
        const auto counters = bench.counters(target);
        CHECK(counters.connections == 200);
        CHECK(counters.forward_packets == 200);
        CHECK(counters.reply_packets == 200);
        // TCP's headers without payload and UDP's, each with 16 bytes, as they arrive.
        const u64 header = target == 0 ? 20 : 40, back = target == 0 ? 40 : 20;
        CHECK(counters.forward_bytes == 100 * (2 * (header + 16) + 20 + 8));
        CHECK(counters.reply_bytes == 100 * (2 * (back + 16) + 20 + 8));
    }
    CHECK(bench.exits()[Reason::reply_translated] == 400);
}

TEST_CASE("a SYN begins a connection between IP versions anew that has ended", "[datapath][siit]")
{
    for (const u8 ends : {Tcp::fin, Tcp::rst}) {
        const Bench bench(across_config());
        for (const bool six : {false, true}) {
            const Across across(bench, six, 6);
            const u8 flags = ends | Tcp::ack_flag;
            const Bytes syn = build(across.request());
            // While it lives, another SYN is the target's to answer, by the same entry.
            CHECK(*ports_of(lab::parse(bench.in(syn).frame)->l4).first == across.source_port);
            bench.in(build(with_flags(across.reply(), flags)));
            if (ends == Tcp::fin) {
                CHECK(*ports_of(lab::parse(bench.in(syn).frame)->l4).first == across.source_port);
                bench.in(build(with_flags(across.request(), flags)));
            }
            CHECK(bench.counters(six).connections == 1);
            const auto out = lab::parse(bench.in(syn).frame);
            REQUIRE(out);
            CHECK(out->daddr == across.target);
            CHECK(bench.counters(six).connections == 2);
        }
        CHECK(check_pairs(bench) == 2);
        CHECK(bench.exits().contains(Reason::siit_lost) == false);
    }
}

TEST_CASE("the collector takes out both entries of a connection between IP versions", "[datapath][siit]")
{
    const Bench bench(across_config());
    for (u16 port = 1; port <= 3; ++port)
        for (const bool six : {false, true}) {
            const Across across(bench, six, 17, port);
            bench.in(build(across.reply()));
        }
    // Both entries of the clients with port 1 are old, of those with port 2 what goes toward the target is.
    for (const auto& [key, entry] : entries4(bench)) {
        const bool forward = entry.direction == model::Direction::forward;
        const u16 client = (forward ? key.sport : entry.dport).host();
        if (client == 1 || (client == 2 && forward)) age(bench, "flows46", key, entry);
    }
    for (const auto& [key, entry] : entries6(bench)) {
        const bool forward = entry.direction == model::Direction::forward;
        const u16 client = (forward ? key.sport : entry.dport).host();
        if (client == 1 || (client == 2 && forward)) age(bench, "flows6", key, entry);
    }
    auto passes = collect(bench);
    CHECK(passes.four.removed == 1); // the forward entries of IPv4 clients are in this table
    CHECK(passes.four.connections == 2);
    CHECK(passes.six.removed == 1);
    CHECK(passes.six.connections == 2);
    CHECK(check_pairs(bench) == 4);
    REQUIRE(passes.ended.size() == 2);
    CHECK(passes.ended[0].client.text() == "[2001:db8:7::7]:1");
    CHECK(passes.ended[0].listener.text() == "[2001:db8::80]:80");
    CHECK(passes.ended[0].target.text() == "10.0.0.1:8080");
    CHECK(passes.ended[0].reply_packets == 1);
    CHECK(passes.ended[1].client.text() == "198.51.100.7:1");
    CHECK(passes.ended[1].listener.text() == "192.0.2.1:80");
    CHECK(passes.ended[1].target.text() == "[2001:db8:a::1]:8080");

    // What has lost its forward entry goes, when it is old.
    for (const auto& [key, entry] : entries4(bench)) {
        if (entry.direction == model::Direction::forward) {
            must(bench.map("flows46").remove(key));
            continue;
        }
        age(bench, "flows46", key, entry);
    }
    for (const auto& [key, entry] : entries6(bench)) {
        if (entry.direction == model::Direction::forward) {
            must(bench.map("flows6").remove(key));
            continue;
        }
        age(bench, "flows6", key, entry);
    }
    passes = collect(bench);
    CHECK(entries4(bench).empty());
    CHECK(entries6(bench).empty());
}

TEST_CASE("a flood of SYNs between IP versions evicts half-open connections alone", "[datapath][siit]")
{
    const Bench bench(across_config(R"("max-connections": 64)"));
    std::vector<Across> live;
    for (const bool six : {false, true})
        for (u16 port = 1; port <= 20; ++port) {
            live.emplace_back(bench, six, 6, port);
            bench.in(build(with_flags(live.back().reply(), Tcp::syn | Tcp::ack_flag)));
            bench.in(build(with_flags(live.back().request(), Tcp::ack_flag)));
        }
    for (const bool six : {false, true})
        for (u16 port = 1000; port < 3000; ++port) {
            Packet packet = live[six ? 20 : 0].request();
            *ports_of(packet.l4).first = port;
            bench.in(build(packet));
        }
    CHECK_FALSE(bench.exits().contains(Reason::table_full));
    CHECK(bench.counters(0).connections == 2020);
    CHECK(check_pairs(bench) == 40 + 2 * 32); // half of max-connections may be half-open, of either kind
    for (const auto& each : live) {
        auto out = lab::parse(bench.in(build(with_flags(each.request(), Tcp::ack_flag))).frame);
        REQUIRE(out);
        CHECK(*ports_of(out->l4).first == each.source_port);
    }
}

TEST_CASE("live connections between IP versions are counted", "[datapath][siit][live]")
{
    const Bench bench(config_text({{.listen = R"("address": ["192.0.2.1", "2001:db8::80"])",
                                    .target = R"([{"ip": "2001:db8:a::1", "port": 8080, "weight": 50},
                                                  {"ip": "10.0.0.1", "port": 8080, "weight": 50}])",
                                    .more = R"("forwarding": {"mode": "full-nat"},
                                               "algorithm": "least-connections")"}},
                                  R"("full-nat": {"addresses": ["10.0.0.254", "2001:db8:a::fe"]})"));
    const auto live = [&] {
        return must(bench.map("live").lookup<u32, i64>(0u)).value() +
               must(bench.map("live").lookup<u32, i64>(1u)).value();
    };
    // Clients of either version, targets of both: some connections are within one, some between.
    std::vector<std::pair<Bytes, Packet>> opened;
    for (const char* client : {"198.51.100.7", "2001:db8:7::7"})
        for (u16 port = 1; port <= 20; ++port) {
            const bool six = lab::any_ip(client).six();
            const Packet syn{.saddr = lab::any_ip(client),
                             .daddr = lab::any_ip(six ? "2001:db8::80" : "192.0.2.1"),
                             .l4 = Tcp{.sport = port}};
            opened.emplace_back(build(syn), *lab::parse(bench.in(build(syn)).frame));
        }
    CHECK(live() == 40);
    std::size_t between = 0;
    for (auto& [syn, seen] : opened) {
        if (seen.saddr.six() != lab::parse(syn)->saddr.six()) ++between;
        Packet reply = seen;
        std::swap(reply.saddr, reply.daddr);
        reply.l4 = Tcp{.sport = 8080, .dport = *ports_of(seen.l4).first, .flags = Tcp::rst | Tcp::ack_flag};
        bench.in(build(reply));
    }
    CHECK(between >= 10);
    CHECK(between <= 30);
    CHECK(live() == 0);
}

TEST_CASE("connections of both IP versions to one target do not get one port", "[datapath][siit]")
{
    const std::string more = R"("forwarding": {"mode": "full-nat"})";
    const Bench bench(config_text({{.name = "four", .more = more},
                                   {.name = "six",
                                    .listen = R"("address": "2001:db8::80")",
                                    .target = R"({"ip": "10.0.0.1", "port": 8080})",
                                    .more = more}},
                                  R"("full-nat": {"addresses": ["10.0.0.254"], "ports": "10000-10999"})"));
    std::map<u16, int> within, between;
    // At two fifths of a family's ports, seventeen draws find a free one in all but one of five million
    // tries.
    for (u16 port = 1; port <= 200; ++port)
        for (const bool six : {false, true}) {
            const Packet syn{.saddr = lab::any_ip(six ? "2001:db8:7::7" : "198.51.100.7"),
                             .daddr = lab::any_ip(six ? "2001:db8::80" : "192.0.2.1"),
                             .l4 = Tcp{.sport = port}};
            auto seen = lab::parse(bench.in(build(syn)).frame);
            REQUIRE(seen);
            ++(six ? between : within)[*ports_of(seen->l4).first];
        }
    CHECK(within.size() == 200);
    CHECK(between.size() == 200);
    for (const auto& [port, count] : within) {
        CHECK(count == 1);
        CHECK(port % 2 == 0);
        CHECK_FALSE(between.contains(port));
    }
    CHECK(between.begin()->first >= 10000);
    CHECK(between.rbegin()->first <= 10999);
}

TEST_CASE("two CPUs with one connection between IP versions agree on its entries", "[datapath][siit][race]")
{
    const Bench bench(across_config(R"("max-connections": 100000)"));
    constexpr u32 rounds = 3000;
    std::array<std::vector<u16>, 2> ports;
    const bool good = on_two_cpus(rounds, [&](u32 cpu, u32 round) {
        const bool six = round % 2 == 1;
        const Packet syn{.saddr = lab::any_ip(six ? "2001:db8:7::7" : "198.51.100.7"),
                         .daddr = lab::any_ip(six ? "2001:db8::80" : "192.0.2.1"),
                         .l4 = Tcp{.sport = static_cast<u16>(1 + round)}};
        auto seen = lab::parse(bench.in(build(syn)).frame);
        if (!seen) return false;
        ports[cpu].push_back(*ports_of(seen->l4).first);
        return true;
    });
    REQUIRE(good);
    CHECK(ports[0] == ports[1]);
    CHECK(check_pairs(bench) == rounds);
    CHECK(bench.counters(0).connections + bench.counters(1).connections == rounds);
    CHECK(bench.counters(0).forward_packets + bench.counters(1).forward_packets == 2 * rounds);
}
