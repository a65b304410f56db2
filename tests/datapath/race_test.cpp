// Two CPUs at once on what belongs together: the two entries of a connection stay a pair, whatever comes
// between.
#include <chrono>
#include <set>

#include "bench.hpp"
#include "model/flow_state.hpp"
#include "runtime/collector.hpp"
#include "two_cpus.hpp"

using namespace lb;
using namespace lb::test;
using lab::build;
using lab::ip;
using lab::Tcp;
using lab::Udp;
using model::Direction;
using model::Flow4;
using model::FlowKey4;
using model::Reason;

namespace {

const u32 client = ip("198.51.100.7"), vip = ip("192.0.2.1"), target_ip = ip("10.0.0.1");

std::string vips(u32 count, const std::string& settings)
{
    std::string list;
    for (u32 i = 0; i < count; ++i) list += (i == 0 ? "\"" : ", \"") + lab::ip_text(vip + i) + "\"";
    return config_text({{.listen = "\"address\": [" + list + "]"}}, settings);
}

Bytes datagram(u16 port, u32 to = vip, u32 from = client)
{
    return build({.saddr = from, .daddr = to, .l4 = Udp{.sport = port}});
}

Bytes answer(u16 port)
{
    return build({.saddr = target_ip, .daddr = client, .l4 = Udp{.sport = 8080, .dport = port}});
}

/// How many entries have no other half that names them back, or one with another target.
u32 broken_pairs(const Bench& bench)
{
    std::map<std::array<u32, 4>, Flow4> all;
    const auto words = [](const FlowKey4& key) { return std::bit_cast<std::array<u32, 4>>(key); };
    for (const auto& [key, entry] : bench.flows()) all[words(key)] = entry;
    u32 broken = 0;
    for (const auto& [key_words, entry] : all) {
        const auto key = std::bit_cast<FlowKey4>(key_words);
        const auto other_key = pair_key(key, entry);
        const auto other = all.find(words(other_key));
        const bool good = other != all.end() && other->second.direction != entry.direction &&
                          other->second.target == entry.target && pair_key(other_key, other->second) == key;
        if (!good) ++broken;
    }
    return broken;
}

} // namespace

TEST_CASE("look-alike connections that begin on two CPUs at once get source ports of their own", "[race]")
{
    constexpr u16 rounds = 20000, ports = 1000; // of a client
    const Bench bench(vips(2, R"("max-connections": 100000)"));
    const auto port_of = [](u32 round) { return static_cast<u16>(1000 + round % ports); };
    std::array<std::vector<Bytes>, 2> out{std::vector<Bytes>(rounds), std::vector<Bytes>(rounds)};
    const bool good = on_two_cpus(rounds, [&](u32 cpu, u32 round) {
        const auto run = bench.ingress().run(datagram(port_of(round), vip + cpu, client + round / ports));
        if (run) out[cpu][round] = run->out;
        return run && run->retval == xdp_pass;
    });
    for (const auto& [reason, count] : bench.exits()) UNSCOPED_INFO(count << " " << model::info(reason).name);
    REQUIRE(good);
    u32 alike = 0, neither = 0;
    for (u32 round = 0; round < rounds; ++round) {
        const auto first = key_of(out[0][round]), second = key_of(out[1][round]);
        if (first.sport == second.sport) ++alike;
        if (first.sport.host() != port_of(round) && second.sport.host() != port_of(round)) ++neither;
    }
    CHECK(alike == 0);
    CHECK(neither == 0); // one of the two keeps the client's port
    CHECK(bench.flows().size() == 4u * rounds);
    CHECK(broken_pairs(bench) == 0);
    CHECK(bench.counters().connections == 2u * rounds);
}

TEST_CASE("a connection of full NAT that begins on two CPUs at once has one source", "[race][full-nat]")
{
    constexpr u16 rounds = 20000;
    const Bench bench(config_text({{.more = R"("forwarding": {"mode": "full-nat"})"}},
                                  R"("max-connections": 100000, "full-nat": {"addresses": ["10.0.0.254"],
                                     "ports": "10000-59999"})"));
    std::array<std::vector<Bytes>, 2> out{std::vector<Bytes>(rounds), std::vector<Bytes>(rounds)};
    REQUIRE(on_two_cpus(rounds, [&](u32 cpu, u32 round) {
        const auto run = bench.ingress().run(datagram(static_cast<u16>(1000 + round)));
        if (run) out[cpu][round] = run->out;
        return run && run->retval == xdp_pass;
    }));
    CHECK((out[0] == out[1]));
    std::set<u16> ports;
    for (const Bytes& each : out[0]) ports.insert(key_of(each).sport.host());
    CHECK(ports.size() == rounds);
    CHECK(bench.flows().size() == 2u * rounds);
    CHECK(broken_pairs(bench) == 0);
    CHECK(bench.counters().connections == rounds);
}

TEST_CASE("a SYN on an ended connection that comes to two CPUs at once begins one connection", "[race]")
{
    constexpr u16 rounds = 20000;
    const Bench bench(vips(1, R"("max-connections": 100000)"));
    const auto syn = [](u32 round) {
        return build({.saddr = client, .daddr = vip, .l4 = Tcp{.sport = static_cast<u16>(1000 + round)}});
    };
    for (u32 round = 0; round < rounds; ++round) {
        bench.in(syn(round));
        bench.out(build({.saddr = target_ip,
                         .daddr = client,
                         .l4 = Tcp{.sport = 8080,
                                   .dport = static_cast<u16>(1000 + round),
                                   .flags = Tcp::rst | Tcp::ack_flag}}));
    }
    std::array<std::vector<Bytes>, 2> out{std::vector<Bytes>(rounds), std::vector<Bytes>(rounds)};
    REQUIRE(on_two_cpus(rounds, [&](u32 cpu, u32 round) {
        const auto run = bench.ingress().run(syn(round));
        if (run) out[cpu][round] = run->out;
        return run && run->retval == xdp_pass;
    }));
    u32 wrong = 0;
    for (u32 round = 0; round < rounds; ++round) {
        auto wanted = lab::parse(syn(round));
        wanted->daddr = target_ip;
        std::get<Tcp>(wanted->l4).dport = 8080;
        for (const auto& each : out)
            if (each[round] != build(*wanted)) {
                if (++wrong < 5)
                    UNSCOPED_INFO("round " << round << ": " << lab::describe(each[round]) << " "
                                           << lab::checksum_fault(each[round]));
            }
    }
    CHECK(wrong == 0);
    CHECK(broken_pairs(bench) == 0);
    CHECK(bench.flows().size() == 2u * rounds);
    u32 ended = 0;
    for (const auto& [key, entry] : bench.flows())
        if ((entry.tcp_flags & Tcp::rst) != 0) ++ended;
    CHECK(ended == 0); // of the earlier connections nothing is left
}

TEST_CASE("a connection has one target, also where two CPUs choose differently", "[race]")
{
    // As if the weights were changing right then: CPU 0 finds the first target in every slot, CPU 1 the
    // second.
    constexpr u16 rounds = 20000;
    const Bench bench(config_text({{.target = R"([{"ip": "10.0.0.1", "port": 8080, "weight": 50},
                                                  {"ip": "10.0.0.2", "port": 8080, "weight": 50}])"}},
                                  R"("max-connections": 100000)"),
                      {.slots_per_cpu = true});
    std::vector<u32> of_cpu(must(kernel::possible_cpus()));
    of_cpu.at(1) = 1;
    for (u32 slot = 0; slot < bench.plan().groups[0].slots; ++slot)
        must(bench.map("slots").update_percpu<u32, u32>(slot, of_cpu));
    std::array<std::vector<Bytes>, 2> out{std::vector<Bytes>(rounds), std::vector<Bytes>(rounds)};
    REQUIRE(on_two_cpus(rounds, [&](u32 cpu, u32 round) {
        const auto run = bench.ingress().run(datagram(static_cast<u16>(1000 + round)));
        if (run) out[cpu][round] = run->out;
        return run && run->retval == xdp_pass;
    }));
    CHECK((out[0] == out[1]));
    CHECK(bench.flows().size() == 2u * rounds);
    CHECK(broken_pairs(bench) == 0);
    // Otherwise the test shows nothing: each of the two must have been first at times.
    std::array<u64, 2> connections{bench.counters(0).connections, bench.counters(1).connections};
    CHECK(connections[0] + connections[1] == rounds);
    CHECK(std::ranges::min(connections) > 0);
}

TEST_CASE("two CPUs that fill the table leave no half connection, and use all of it", "[race]")
{
    constexpr u32 most = 1000, room = most + 512, rounds = 2000;
    const Bench bench(vips(1, "\"max-connections\": " + std::to_string(most)));
    std::array<u32, 2> passed{}, refused{};
    REQUIRE(on_two_cpus(rounds, [&](u32 cpu, u32 round) {
        const auto port = static_cast<u16>(1000 + 2 * round + cpu);
        const auto run = bench.ingress().run(datagram(port));
        if (!run || !bench.egress().run(answer(port))) return false; // established, else it would give way
        ++(run->retval == xdp_pass ? passed : refused)[cpu];
        return true;
    }));
    const u32 connections = passed[0] + passed[1];
    INFO(connections << " connections");
    CHECK(bench.flows().size() == 2 * connections);
    CHECK(broken_pairs(bench) == 0);
    CHECK(bench.exits()[Reason::table_full] == refused[0] + refused[1]);
    CHECK(connections <= room);
    // Where both fail at the last place, each has taken its own half away again: one more fits then.
    bench.in(datagram(60000));
    CHECK(bench.flows().size() == 2 * room);
}

TEST_CASE("a connection that speaks while it is being collected stays whole, or goes whole", "[race]")
{
    using Clock = std::chrono::steady_clock;
    constexpr u32 rounds = 5000;
    const Bench bench(vips(1, R"("max-connections": 10)"));
    const auto& flows = bench.map("flows4");
    const auto jiffies = must(runtime::JiffiesClock::create());
    const u64 long_ago = u64{1} << 32 | (must(jiffies.now()) - 100 * jiffies.per_second());
    const Bytes packet = datagram(1000);
    u32 broken = 0, removed = 0, removed_before = 0;
    std::chrono::nanoseconds wait{0};
    const auto prepare = [&] {
        // The packet's time runs after the moment at which the collector takes the connection out, and stays
        // about there.
        wait = std::max(wait + std::chrono::nanoseconds(removed > removed_before ? -150 : 150), {});
        removed_before = removed;
        const auto left = bench.flows();
        if (left.size() % 2 != 0 || broken_pairs(bench) > 0) ++broken;
        for (const auto& each : left) must(flows.remove(each.key));
        bench.in(packet);
        for (auto [key, entry] : bench.flows()) {
            entry.last_seen = long_ago;
            must(flows.update(key, entry));
        }
    };
    REQUIRE(on_two_cpus(2 * rounds, [&](u32 cpu, u32 round) {
        if (round % 2 == 0) {
            if (cpu == 0) prepare();
            return true;
        }
        if (cpu == 1) {
            const auto collected = runtime::collect(flows, jiffies, {});
            if (collected) removed += static_cast<u32>(collected->removed);
            return collected.has_value();
        }
        for (const auto start = Clock::now(); Clock::now() < start + wait;) {
        }
        const auto run = bench.ingress().run(packet);
        return run && run->retval == xdp_pass;
    }));
    CHECK(broken == 0);
    INFO(removed << " removed, at last after " << wait.count() << " ns");
    CHECK(removed > 0);      // otherwise the packet always was first,
    CHECK(removed < rounds); // or the collector
}
