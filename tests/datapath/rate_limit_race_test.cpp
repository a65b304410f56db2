// Token buckets that two CPUs share: over a time, what both let through together is the rate times that time,
// and the burst. Time is read from the clock that the program reads; what is checked is how many packets came
// through in the time that it took, however long that was.
#include <chrono>
#include <cstdlib>

#include "bench.hpp"
#include "two_cpus.hpp"

using namespace lb;
using namespace lb::test;
using lab::build;
using lab::ip;
using lab::Udp;
using model::Reason;

namespace {

using Clock = std::chrono::steady_clock; // CLOCK_MONOTONIC, as bpf_ktime_get_ns

// LB_TEST_SECONDS=N looks for another time.
std::chrono::seconds how_long()
{
    const char* seconds = std::getenv("LB_TEST_SECONDS");
    return std::chrono::seconds(seconds ? std::atoi(seconds) : 10);
}

// The target is the VIP itself, so that a packet stays the same and one test run can send it many times.
// `members`: of the limits of that kind.
std::string config(const std::string& kind, const std::string& members)
{
    return config_text({{.listen = R"("address": "192.0.2.1", "protocol": "udp")",
                         .target = R"({"ip": "192.0.2.1", "port": 80})",
                         .more = "\"rate-limits\": {\"" + kind + "\": {" + members + "}}"}},
                       R"("max-connections": 500000)");
}

// Where sources are limited, all of one /8 are one.
std::string one_source(const std::string& kind)
{
    return kind == "per-source" ? R"(, "prefix-length-ipv4": 8)" : "";
}

/// Both CPUs send for as long as how_long() says, `burst(cpu, round)` at a time; the seconds that it took.
double send(const std::function<bool(u32 cpu, u32 round)>& burst)
{
    const auto start = Clock::now(), end = start + how_long();
    bool good = true;
    CHECK(on_two_cpus(1, [&](u32 cpu, u32) {
        for (u32 round = 0; Clock::now() < end; ++round)
            if (!burst(cpu, round)) good = false;
        return true;
    }));
    CHECK(good);
    return std::chrono::duration<double>(Clock::now() - start).count();
}

void check_rate(const Bench& bench, Reason refused, u64 through, u32 per_sec, double seconds)
{
    const double expected = 2.0 * per_sec + per_sec * seconds;
    const u64 kept_out = bench.exits()[refused];
    INFO(through << " came through in " << seconds << " s, " << expected << " expected; " << kept_out
                 << " were refused");
    CHECK(static_cast<double>(through) > expected * 0.95);
    CHECK(static_cast<double>(through) < expected * 1.05);
    CHECK(kept_out > through / 10); // else nobody wanted more than there was
}

} // namespace

TEST_CASE("two CPUs share the packets of one source or target", "[race][rate]")
{
    const std::string kind = GENERATE(as<std::string>(), "per-source", "per-target");
    constexpr u32 per_sec = 100000;
    const Bench bench(config(kind, "\"packets-per-sec\": " + std::to_string(per_sec)));
    const double seconds = send([&](u32 cpu, u32) {
        // Of one client by two ports; of the target whoever sends.
        const Bytes frame = build({.saddr = ip("198.51.100.7"),
                                   .daddr = ip("192.0.2.1"),
                                   .l4 = Udp{.sport = static_cast<u16>(1000 + cpu)}});
        return bench.ingress().run(frame, {.repeat = 5000}).has_value();
    });
    check_rate(bench, kind == "per-source" ? Reason::source_packet_rate : Reason::target_packet_rate,
               bench.counters().forward_packets, per_sec, seconds);
}

TEST_CASE("two CPUs share the new connections of one source or target", "[race][rate]")
{
    const std::string kind = GENERATE(as<std::string>(), "per-source", "per-target");
    constexpr u32 per_sec = 10000;
    const Bench bench(config(kind, "\"requests-per-sec\": " + std::to_string(per_sec) + one_source(kind)));
    const double seconds = send([&](u32 cpu, u32 round) {
        // Each of an address and a port that no other has, of one /8.
        const u32 number = 2 * round + cpu;
        const Bytes frame = build({.saddr = ip("198.0.0.0") + number / 50000,
                                   .daddr = ip("192.0.2.1"),
                                   .l4 = Udp{.sport = static_cast<u16>(1000 + number % 50000)}});
        return bench.ingress().run(frame).has_value();
    });
    check_rate(bench, kind == "per-source" ? Reason::source_connection_rate : Reason::target_connection_rate,
               bench.counters().connections, per_sec, seconds);
}

TEST_CASE("of a bucket that two CPUs make at once, not one token more is given than it has", "[race][rate]")
{
    constexpr u32 rounds = 20000;
    const Bench bench(config("per-source", R"("requests-per-sec": 1)"));
    std::array<u32, 2> through{};
    const auto start = Clock::now();
    // Each round is a client that nobody has seen; it has a burst of two, and both CPUs ask for two.
    REQUIRE(on_two_cpus(rounds, [&](u32 cpu, u32 round) {
        for (u32 port = 0; port < 2; ++port) {
            const auto run =
                bench.ingress().run(build({.saddr = ip("10.0.0.0") + round,
                                           .daddr = ip("192.0.2.1"),
                                           .l4 = Udp{.sport = static_cast<u16>(1000 + 2 * port + cpu)}}));
            if (!run) return false;
            through[cpu] += run->retval == xdp_pass ? 1u : 0u;
        }
        return true;
    }));
    INFO(through[0] << " and " << through[1] << " in "
                    << std::chrono::duration<double>(Clock::now() - start).count() << " s");
    // A round that a busy machine stretches beyond a second has a token more.
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - start).count();
    CHECK(through[0] + through[1] >= 2 * rounds);
    CHECK(through[0] + through[1] <= 2 * rounds + static_cast<u64>(2 * seconds));
}

TEST_CASE("a first packet that another CPU's overtakes takes one token of packets, not two", "[race][rate]")
{
    constexpr u32 rounds = 20000;
    const std::string kind = GENERATE(as<std::string>(), "per-source", "per-target");
    const Bench bench(config(kind, R"("packets-per-sec": 1, "packets-burst": 50000)" + one_source(kind)));
    const auto full_at = [&] {
        const auto buckets = kind == "per-source"
                                 ? must(bench.map("sources4")
                                            .lookup<model::SourceKey<be32>, model::Buckets>(
                                                {.address = be32(ip("198.0.0.0"))}))
                                 : must(bench.map("target_buckets").lookup<u32, model::Buckets>(0));
        return buckets.value().packets;
    };
    const auto packet = [](u32 client) {
        return build({.saddr = ip("198.0.0.0") + client, .daddr = ip("192.0.2.1"), .l4 = Udp{}});
    };
    // A thousand seconds ahead of time: from here on each token moves it by a second, however long that
    // takes.
    for (u32 i = 0; i < 1000; ++i) bench.in(packet(rounds));
    const u64 before = full_at();
    REQUIRE(on_two_cpus(rounds, [&](u32, u32 round) {
        const auto run = bench.ingress().run(packet(round));
        return run && run->retval == xdp_pass;
    }));
    CHECK((full_at() - before) / (1'000'000'000ull << model::rate_time_bits) == 2 * rounds);
    CHECK(bench.counters().forward_packets == 1000 + 2 * rounds);
}
