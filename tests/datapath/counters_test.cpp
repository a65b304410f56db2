// What is counted, where, and that no count is lost or taken back, on two CPUs at once.
#include <set>

#include "bench.hpp"
#include "model/flow_state.hpp"
#include "runtime/events.hpp"
#include "two_cpus.hpp"

using namespace lb;
using namespace lb::test;
using lab::build;
using lab::ip;
using lab::Tcp;
using lab::Udp;
using model::Reason;

namespace {

const u32 client = ip("198.51.100.7"), vip = ip("192.0.2.1"), target_ip = ip("10.0.0.1");

Bytes request(u16 port, std::size_t payload, u16 to = 80)
{
    return build({.saddr = client,
                  .daddr = vip,
                  .l4 = Udp{.sport = port, .dport = to},
                  .payload = lab::pattern(payload)});
}
Bytes answer(u16 port, std::size_t payload)
{
    return build({.saddr = target_ip,
                  .daddr = client,
                  .l4 = Udp{.sport = 8080, .dport = port},
                  .payload = lab::pattern(payload)});
}

bool not_less(const model::TargetCounters& now, const model::TargetCounters& before)
{
    return now.connections >= before.connections && now.forward_packets >= before.forward_packets &&
           now.forward_bytes >= before.forward_bytes && now.reply_packets >= before.reply_packets &&
           now.reply_bytes >= before.reply_bytes;
}

} // namespace

TEST_CASE("every packet of a connection is counted once, on whichever CPU, and counts never fall",
          "[counters]")
{
    constexpr u32 rounds = 5000;
    const Bench bench(config_text({{}}));
    bench.in(request(1, 0));
    const auto key = key_of(request(1, 0));
    const auto reply_key = pair_key(key, *bench.flow(key));
    std::atomic<bool> over = false;
    u32 fell = 0, looks = 0;
    std::jthread watcher([&] {
        model::TargetCounters before;
        u64 packets = 0, bytes = 0, dropped = 0;
        for (; !over; ++looks) {
            const auto now = bench.counters();
            const auto entry = bench.flow(key);
            const auto exits = bench.exits();
            const auto none = exits.contains(Reason::no_listener) ? exits.at(Reason::no_listener) : 0;
            if (!not_less(now, before) || !entry || entry->packets < packets || entry->bytes < bytes ||
                none < dropped)
                ++fell;
            before = now;
            packets = entry ? entry->packets : 0;
            bytes = entry ? entry->bytes : 0;
            dropped = none;
        }
    });
    CHECK(on_two_cpus(rounds, [&](u32 cpu, u32) {
        // CPU 0 sends 10 bytes of payload, CPU 1 sends 20.
        const std::size_t size = 10 + 10 * cpu;
        return bench.ingress().run(request(1, size)) && bench.egress().run(answer(1, size)) &&
               bench.ingress().run(request(1, 0, 81));
    }));
    over = true;
    watcher.join();
    CHECK(fell == 0);
    CHECK(looks > 10);
    const auto sum = bench.counters();
    CHECK(sum.connections == 1);
    CHECK(sum.forward_packets == 2 * rounds + 1);
    CHECK(sum.forward_bytes == rounds * (38u + 48u) + 28); // IPv4 20, UDP 8
    CHECK(sum.reply_packets == 2 * rounds);
    CHECK(sum.reply_bytes == rounds * (38u + 48u));
    CHECK(bench.exits() == std::map<Reason, u64>{{Reason::no_listener, 2 * rounds}});
    const auto there = bench.flow(key), back = bench.flow(reply_key);
    REQUIRE((there && back));
    CHECK(there->packets == 2 * rounds + 1);
    CHECK(there->bytes == rounds * (38u + 48u) + 28);
    CHECK(back->packets == 2 * rounds);
    CHECK(back->bytes == rounds * (38u + 48u));
    // Each CPU has a row of its own.
    const auto rows = must(bench.map("counters").lookup_percpu<u32, model::TargetCounters>(0u));
    CHECK(rows.at(0).reply_packets == rounds);
    CHECK(rows.at(1).reply_packets == rounds);
}

TEST_CASE("each target is counted in its own row, and what is not translated in none", "[counters]")
{
    const Bench bench(
        config_text({{.name = "a"},
                     {.name = "b", .port = 81, .target = R"({"ip": "10.0.0.1", "port": 8081})"},
                     {.name = "c", .port = 82, .target = R"({"ip": "10.0.0.1", "port": 8080})"}}));
    bench.in(request(1, 100, 81));
    bench.in(request(1, 100, 81));
    bench.in(request(2, 7, 82));
    for (const u16 port : {u16{83}, u16{84}}) bench.in(request(1, 1000, port));
    bench.out(answer(9, 1000));
    const auto row = [&](const std::string& name) {
        return bench.counters(bench.plan().ids.targets.at(name));
    };
    CHECK(row("a/10.0.0.1:8080").forward_packets == 0);
    CHECK(row("b/10.0.0.1:8081").connections == 1);
    CHECK(row("b/10.0.0.1:8081").forward_packets == 2);
    CHECK(row("b/10.0.0.1:8081").forward_bytes == 2 * 128);
    CHECK(row("c/10.0.0.1:8080").connections == 1);
    CHECK(row("c/10.0.0.1:8080").forward_bytes == 35);
    for (const auto& [name, id] : bench.plan().ids.targets) CHECK(bench.counters(id).reply_packets == 0);
}

TEST_CASE("padding behind the packet is not counted on the way in", "[counters]")
{
    const Bench bench(config_text({{}}));
    Bytes padded = request(1, 1);
    padded.resize(60);
    bench.in(padded);
    CHECK(bench.counters().forward_bytes == 29);
    CHECK(bench.flow(key_of(padded))->bytes == 29);
}

TEST_CASE("each new connection is told of once, by whichever CPU made it", "[counters]")
{
    constexpr u32 rounds = 3000;
    const Bench bench(config_text({{}}, R"("stats-enabled": true)"));
    auto events = must(runtime::OpenedEvents::open(bench.map("events"), bench.map("events_lost")));
    REQUIRE(on_two_cpus(rounds, [&](u32, u32 round) {
        return bench.ingress().run(request(static_cast<u16>(1000 + round), 0)).has_value();
    }));
    std::set<u16> ports;
    u32 told = 0, wrong = 0;
    events.read(bench.plan(), [&](const runtime::ConnectionOpened& event) {
        ++told;
        ports.insert(event.client.port);
        if (runtime::to_text(event) != "new udp 198.51.100.7:" + std::to_string(event.client.port) +
                                           " -> 192.0.2.1:80 proxy=web target=10.0.0.1:8080")
            ++wrong;
    });
    CHECK(told == rounds);
    CHECK(ports.size() == rounds);
    CHECK(wrong == 0);
    CHECK(must(events.lost()) == 0);
    CHECK(bench.counters().connections == rounds);
}

TEST_CASE("connections that find no room in the ring buffer are made and counted as lost", "[counters]")
{
    constexpr u32 connections = 12000;
    const Bench bench(config_text({{}}, R"("stats-enabled": true)"));
    auto events = must(runtime::OpenedEvents::open(bench.map("events"), bench.map("events_lost")));
    for (u32 i = 0; i < connections; ++i)
        CHECK(bench.in(request(static_cast<u16>(1000 + i), 0)).verdict == xdp_pass);
    u32 told = 0;
    events.read(bench.plan(), [&](const auto&) { ++told; });
    CHECK(told > 8000); // 256 KiB, 32 bytes each
    CHECK(must(events.lost()) == connections - told);
    CHECK(bench.counters().connections == connections);
    // With room again, it goes on.
    bench.in(request(999, 0));
    told = 0;
    events.read(bench.plan(), [&](const auto&) { ++told; });
    CHECK(told == 1);
}

TEST_CASE("a connection that was refused is not told of", "[counters]")
{
    const Bench bench(config_text({{}}, R"("stats-enabled": true, "max-connections": 1)"));
    auto events = must(runtime::OpenedEvents::open(bench.map("events"), bench.map("events_lost")));
    for (u16 port = 1; port <= 5; ++port) {
        bench.in(request(port, 0));
        bench.out(answer(port, 0)); // established: it is not pushed out by the next one
    }
    u32 told = 0;
    events.read(bench.plan(), [&](const auto&) { ++told; });
    CHECK(told == 2); // one, and one that may be half-open
    CHECK(must(events.lost()) == 0);
}

TEST_CASE("a refusal is counted for the proxy that the packet was for", "[counters]")
{
    using Refused = std::map<std::pair<u32, Reason>, u64>;
    // With an algorithm that asks for the proxies' rows, and without.
    const std::string algorithm = GENERATE(R"("algorithm": "maglev")", R"("algorithm": "random")");
    const Bench bench(config_text({{.name = "a", .more = algorithm},
                                   {.name = "b", .port = 81, .target = R"({"ip": "10.0.0.1", "port": 81})"},
                                   {.name = "c", .port = 82, .target = R"({"ip": "10.0.0.1", "port": 82})"}},
                                  R"("max-connections": 1)"));
    for (const u16 port : {u16{1}, u16{2}}) {
        bench.in(request(port, 0));
        bench.out(answer(port, 0));
    }
    bench.in(request(3, 0, 82));
    bench.in(request(4, 0, 82));
    bench.in(request(5, 0, 81));
    CHECK(bench.refused() == Refused{{{2, Reason::table_full}, 2}, {{1, Reason::table_full}, 1}});
    CHECK(bench.exits() == std::map<Reason, u64>{{Reason::table_full, 3}});
    must(bench.map("groups").update(bench.plan().proxies.at(1).default_group, model::GroupRow{}));
    bench.in(request(6, 0, 81));
    CHECK(bench.refused() ==
          Refused{{{2, Reason::table_full}, 2}, {{1, Reason::table_full}, 1}, {{1, Reason::no_target}, 1}});
}

TEST_CASE("the same between IP versions, and where a client's source route leads elsewhere", "[counters]")
{
    using Refused = std::map<std::pair<u32, Reason>, u64>;
    const std::string mode = R"("forwarding": {"mode": "full-nat"})";
    const Bench bench(config_text(
        {{.name = "four", .port = 81, .more = mode},
         {.name = "six",
          .target = R"({"ip": "2001:db8:a::1", "port": 8080})",
          .more = mode + R"(, "source-routes": [{"source": "198.51.100.0/24",
                                                 "target": {"ip": "2001:db8:a::2", "port": 8080}}])"}},
        R"("full-nat": {"addresses": ["10.0.0.254", "2001:db8:a::fe"], "ports": "20000-20000"})"));
    bench.in(request(1, 0));
    // The only port is taken; one that is half-open would give it to the next.
    bench.in(build({.saddr = lab::ip6("2001:db8:a::2"),
                    .daddr = lab::ip6("2001:db8:a::fe"),
                    .l4 = Udp{.sport = 8080, .dport = 20000}}));
    REQUIRE(bench.refused() == Refused{});
    CHECK(bench.in(request(2, 0)).verdict == xdp_drop);
    CHECK(bench.refused() == Refused{{{1, Reason::no_source_port}, 1}});
}
