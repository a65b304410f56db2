// The algorithms: each shares connections out by weight, both families, alone and beside others in one
// program; and what is particular to each.
#include <set>

#include "judge.hpp"
#include "model/flow_hash.hpp"
#include "model/slot_tables.hpp"
#include "model/turns.hpp"
#include "shares.hpp"
#include "two_cpus.hpp"

using namespace lb;
using namespace lb::test;
using lab::build;
using model::Reason;

namespace {

std::string text_of(const std::vector<u32>& counts)
{
    std::string text;
    for (const u32 each : counts) text += std::to_string(each) + " ";
    return text;
}

// Lets a target of the only group take nothing new, as a change of weights does: by its tables.
void drain(const Bench& bench, u32 target, u32 other)
{
    const auto row = must(bench.map("groups").lookup<u32, model::GroupRow>(0));
    for (u32 slot = row->first(); slot < row->first() + row->slots(); ++slot)
        if (must(bench.map("slots").lookup<u32, u32>(slot)) == target)
            must(bench.map("slots").update(slot, other));
    if (datapath::Maps(bench.plan()).members)
        must(bench.map("members").update(model::MemberKey{.group = 0, .target = target}, u32{0}));
}

} // namespace

TEST_CASE("each algorithm shares connections out by weight, in both families", "[algorithm]")
{
    const std::vector<u32> weights{50, 30, 20};
    const std::string algorithm =
        GENERATE(as<std::string>(), "maglev", "source-hash", "random", "round-robin", "least-connections");
    const bool six = GENERATE(false, true);
    const Bench bench(config_text({proxy_by(algorithm, weights, six)}, R"("max-connections": 200000)"));
    const auto counts = counts_of(bench, 3, algorithm == "source-hash" ? 160000 : 10000, six);
    INFO(algorithm << (six ? ", IPv6: " : ", IPv4: ") << text_of(counts));
    if (algorithm == "round-robin")
        CHECK(counts == std::vector<u32>{5000, 3000, 2000});
    else if (algorithm == "source-hash")
        // Sixteen connections go with each client.
        CHECK(chi_square(counts, weights) / 16 < chi_square_bound(3));
    else
        CHECK(chi_square(counts, weights) < chi_square_bound(3));
    if (algorithm != "source-hash")
        for (u32 i = 0; i < 3; ++i) CHECK(bench.counters(i).connections == counts[i]);
}

TEST_CASE("each algorithm shares connections out by weight among many targets", "[algorithm]")
{
    std::vector<u32> weights;
    for (u32 i = 0; i < 40; ++i) weights.push_back(i * 7 % 5 + 1);
    weights[17] = 0;
    const std::string algorithm =
        GENERATE(as<std::string>(), "maglev", "random", "round-robin", "least-connections");
    const Bench bench(config_text({proxy_by(algorithm, weights)}));
    const auto counts = counts_of(bench, weights.size(), 20000);
    INFO(algorithm << ": " << text_of(counts));
    CHECK(counts[17] == 0);
    CHECK(chi_square(counts, weights) < chi_square_bound(weights.size() - 1));
    // The bound would find equal shares.
    std::vector<u32> equal(weights.size(), 1);
    equal[17] = 0;
    CHECK(chi_square(counts, equal) > chi_square_bound(weights.size() - 1));
}

TEST_CASE("round-robin takes turns in the order of its table, per group", "[algorithm]")
{
    const std::vector<u32> weights{5, 1, 1};
    auto text = proxy_by("round-robin", weights);
    text.more += R"(, "source-routes": [{"source": "198.18.0.0/32", "targets": [
        {"ip": "10.0.1.3", "port": 8080, "weight": 1}, {"ip": "10.0.1.4", "port": 8080, "weight": 1}]}])";
    const Bench bench(config_text({text}));
    const std::vector<u32> turns{0, 0, 1, 0, 2, 0, 0}; // nginx's example
    for (u32 i = 0; i < 21; ++i) {
        CHECK(target_of(bench.in(build(datagram_of(16 + i))).frame) == turns[i % 7]);
        if (i < 16) // clients that the route takes
            CHECK(target_of(bench.in(build(datagram_of(i))).frame) == 3 + i % 2);
    }
}

TEST_CASE("round-robin is exact on two CPUs at once", "[algorithm]")
{
    const std::vector<u32> weights{50, 30, 20};
    const Bench bench(config_text({proxy_by("round-robin", weights)}));
    constexpr u32 rounds = 5000;
    REQUIRE(on_two_cpus(rounds, [&](u32 cpu, u32 round) {
        const auto run = bench.ingress().run(build(datagram_of(cpu * rounds + round)));
        return run && run->retval == xdp_pass;
    }));
    CHECK(bench.counters(0).connections == 5000);
    CHECK(bench.counters(1).connections == 3000);
    CHECK(bench.counters(2).connections == 2000);
}

TEST_CASE("source-hash goes by the client's address alone, as user space knows", "[algorithm]")
{
    const std::vector<u32> weights{5, 3, 2, 9};
    for (const bool six : {false, true}) {
        INFO((six ? "IPv6" : "IPv4"));
        auto other_port = proxy_by("source-hash", weights, six);
        other_port.name = "other";
        other_port.port = 81;
        const Bench bench(config_text({proxy_by("source-hash", weights, six), other_port}));
        const auto slots = model::SlotTables(bench.plan()).of(bench.plan().groups[0]);
        std::set<u32> seen;
        for (u32 client = 0; client < 200 * 16; ++client) {
            const Packet packet = datagram_of(client, six);
            u32 hash = 0;
            if (six)
                hash = model::source_hash(std::bit_cast<wire::Address6>(packet.saddr.octets));
            else
                hash = model::source_hash(be32(packet.saddr.v4()));
            const u32 wanted = slots[model::slot_of(hash, static_cast<u32>(slots.size()))];
            CHECK(target_of(bench.in(build(packet)).frame) == wanted);
            CHECK(target_of(bench.in(build(datagram_of(client, six, 81))).frame) == wanted);
            seen.insert(wanted);
        }
        CHECK(seen.size() == 4);
    }
}

TEST_CASE("random does not go by the packet", "[algorithm]")
{
    const std::vector<u32> weights{1, 1};
    const Bench bench(config_text({proxy_by("random", weights)}));
    const Bytes frame = build(datagram_of(1));
    std::vector<u32> counts(2);
    for (u32 i = 0; i < 2000; ++i) {
        const Bytes out = bench.in(frame).frame;
        ++counts.at(target_of(out));
        for (const auto& entry : bench.flows()) must(bench.map("flows4").remove(entry.key));
    }
    INFO(text_of(counts));
    CHECK(chi_square(counts, weights) < chi_square_bound(2));
}

TEST_CASE("every algorithm in one program, byte for byte", "[algorithm]")
{
    const std::vector<u32> weights{5, 3, 0, 2};
    std::vector<ProxyText> proxies;
    ModelFacts facts;
    for (const bool six : {false, true})
        for (u16 i = 0; i < std::size(algorithms); ++i) {
            auto proxy = proxy_by(algorithms[i], weights, six);
            proxy.name = algorithms[i] + std::string(six ? "6" : "4");
            proxy.port = 80 + i;
            ModelGroup group;
            for (const u32 target : {0u, 1u, 3u}) group.push_back({target_address(target, six), 8080});
            for (const u8 protocol : {u8{6}, u8{17}})
                facts.listeners.push_back({.proxy = proxies.size(),
                                           .protocol = protocol,
                                           .port = static_cast<u16>(80 + i),
                                           .address = datagram_of(0, six).daddr});
            facts.proxies.push_back({.group = group});
            proxies.push_back(proxy);
        }
    Judge judge(config_text(proxies), facts);
    std::map<std::pair<bool, u16>, std::map<u32, u32>> counts;
    for (u32 client = 0; client < 160; ++client)
        for (const bool six : {false, true})
            for (u16 i = 0; i < std::size(algorithms); ++i) {
                Packet packet = datagram_of(client, six, static_cast<u16>(80 + i));
                if (client % 2 == 0)
                    packet.l4 = lab::Tcp{.sport = static_cast<u16>(20000 + client),
                                         .dport = static_cast<u16>(80 + i)};
                ++counts[{six, i}][target_of(judge.in(build(packet)))];
                CHECK(judge.last() == Reason::forwarded);
            }
    for (const bool six : {false, true}) // each algorithm is the one of its own proxy
        CHECK(counts[{six, u16{3}}] == std::map<u32, u32>{{0, 80}, {1, 48}, {3, 32}});
}

TEST_CASE("a target whose weight becomes 0 takes nothing new and keeps what it has", "[algorithm]")
{
    const std::vector<u32> weights{1, 1};
    for (const std::string algorithm : algorithms) {
        INFO(algorithm);
        const Bench bench(config_text({proxy_by(algorithm, weights)}));
        std::vector<u32> chosen;
        for (u32 client = 0; client < 320; ++client)
            chosen.push_back(target_of(bench.in(build(datagram_of(client))).frame));
        drain(bench, 1, 0);
        u32 kept = 0;
        for (u32 client = 0; client < 320; ++client) {
            CHECK(target_of(bench.in(build(datagram_of(client))).frame) == chosen[client]);
            kept += chosen[client];
        }
        CHECK(kept > 0);
        for (u32 client = 320; client < 640; ++client)
            CHECK(target_of(bench.in(build(datagram_of(client))).frame) == 0);
    }
}

TEST_CASE("where no target of the group takes anything, each algorithm says so", "[algorithm]")
{
    const std::vector<u32> weights{1, 1};
    for (const std::string algorithm : algorithms) {
        INFO(algorithm);
        const Bench bench(config_text({proxy_by(algorithm, weights)}));
        must(bench.map("groups").update(u32{0}, model::GroupRow{}));
        CHECK(bench.in(build(datagram_of(1))).verdict == xdp_drop);
        CHECK(bench.exits() == std::map<Reason, u64>{{Reason::no_target, 1}});
    }
}
