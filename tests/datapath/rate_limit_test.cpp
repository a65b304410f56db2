// Token buckets in the kernel, of each kind and both families: exactly the burst at once, then what time has
// brought. tests/unit/buckets_test.cpp has their arithmetic, under a clock of its own.
#include <chrono>

#include "judge.hpp"

using namespace lb;
using namespace lb::test;
using lab::any_ip;
using lab::build;
using lab::Tcp;
using lab::Udp;
using model::Reason;

namespace {

struct Kind {
    const char *whose, *rate, *burst;
    Reason refused;
    bool connections;
};
constexpr Kind kinds[] = {
    {"per-source", "requests-per-sec", "burst", Reason::source_connection_rate, true},
    {"per-target", "requests-per-sec", "burst", Reason::target_connection_rate, true},
    {"per-source", "packets-per-sec", "packets-burst", Reason::source_packet_rate, false},
    {"per-target", "packets-per-sec", "packets-burst", Reason::target_packet_rate, false},
};

std::string limit(const Kind& kind, u32 rate, std::optional<u32> burst = {}, const std::string& more = "")
{
    return "\"" + std::string(kind.whose) + "\": {\"" + kind.rate + "\": " + std::to_string(rate) +
           (burst ? ", \"" + std::string(kind.burst) + "\": " + std::to_string(*burst) : "") + more + "}";
}

std::string config(bool six, const std::string& limits, const std::string& settings = "")
{
    return config_text(
        {{.listen = six ? R"("address": "2001:db8::1")" : R"("address": "192.0.2.1")",
          .target = six ? R"({"ip": "2001:db8:1::1", "port": 8080})" : R"({"ip": "10.0.0.1", "port": 8080})",
          .more = "\"rate-limits\": {" + limits + "}"}},
        settings);
}

Packet request(const std::string& client, const lab::L4& l4)
{
    const bool six = client.find(':') != std::string::npos;
    return {.saddr = any_ip(client), .daddr = any_ip(six ? "2001:db8::1" : "192.0.2.1"), .l4 = l4};
}

/// Sends, and keeps the time that it took: a slow machine gives a bucket time to fill.
class Sender {
public:
    explicit Sender(const Bench& bench) : bench_(bench) {}

    /// One that is refused comes out as it went in.
    bool send(const Packet& packet)
    {
        const Bytes frame = build(packet);
        const Passage passage = bench_.in(frame);
        CHECK((passage.verdict == xdp_drop) == (passage.frame == frame));
        return passage.verdict == xdp_pass;
    }
    u32 connections(const std::string& client, u32 count)
    {
        u32 through = 0;
        for (u32 i = 0; i < count; ++i, ++port_)
            through +=
                send(i % 2 == 0 ? request(client, Tcp{.sport = port_}) : request(client, Udp{.sport = port_}))
                    ? 1u
                    : 0u;
        return through;
    }
    u32 packets(const std::string& client, u32 count)
    {
        u32 through = 0;
        for (u32 i = 0; i < count; ++i)
            through +=
                send(i % 2 == 0 ? request(client, Tcp{.flags = Tcp::ack_flag}) : request(client, Udp{})) ? 1u
                                                                                                         : 0u;
        return through;
    }
    u32 of(const Kind& kind, const std::string& client, u32 count)
    {
        return kind.connections ? connections(client, count) : packets(client, count);
    }
    /// Whether so many are the burst and what has come since, at one a second.
    bool is_burst(u32 through, u32 burst) const
    {
        const auto seconds =
            std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - start_);
        INFO(through << " in " << seconds.count() << " s");
        return through >= burst && through <= burst + seconds.count();
    }

private:
    const Bench& bench_;
    u16 port_ = 1000;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

} // namespace

TEST_CASE("exactly the burst comes through at once, of each kind and both families", "[datapath][rate]")
{
    for (const Kind& kind : kinds)
        for (const char* client : {"198.51.100.7", "2001:db8:c::7"}) {
            const bool six = std::string_view(client).find(':') != std::string_view::npos;
            INFO(client << " " << model::info(kind.refused).name);
            const Bench bench(config(six, limit(kind, 1, 7)));
            Sender sender(bench);
            const u32 through = sender.of(kind, client, 50);
            CHECK(sender.is_burst(through, 7));
            const auto exits = bench.exits();
            CHECK(exits.size() == 1);
            CHECK(exits.at(kind.refused) == 50 - through);
            // What was refused has made no entry, and was not counted for the target.
            CHECK(bench.counters().forward_packets == through);
            CHECK(bench.counters().connections == (kind.connections ? through : 2));
        }
}

TEST_CASE("a burst that is not written is twice the rate", "[datapath][rate]")
{
    for (const Kind& kind : kinds) {
        const Bench bench(config(false, limit(kind, 1)));
        Sender sender(bench);
        CHECK(sender.is_burst(sender.of(kind, "198.51.100.7", 20), 2));
    }
}

TEST_CASE("sources that have a prefix in common share a bucket, others do not", "[datapath][rate]")
{
    for (const Kind& kind : {kinds[0], kinds[2]}) {
        const Bench four(config(false, limit(kind, 1, 4, R"(, "prefix-length-ipv4": 30)")));
        Sender sender(four);
        const u32 first = sender.of(kind, "198.51.100.8", 10);
        CHECK(sender.is_burst(first + sender.of(kind, "198.51.100.11", 10), 4));
        CHECK(sender.is_burst(sender.of(kind, "198.51.100.12", 10), 4));
        CHECK(sender.is_burst(sender.of(kind, "198.51.100.7", 10), 4));

        for (const char* length : {"", R"(, "prefix-length-ipv6": 64)"}) { // the default
            const Bench six(config(true, limit(kind, 1, 4, length)));
            Sender sender6(six);
            const u32 first6 = sender6.of(kind, "2001:db8:c:1::7", 10);
            CHECK(sender6.is_burst(first6 + sender6.of(kind, "2001:db8:c:1:ffff::9", 10), 4));
            CHECK(sender6.is_burst(sender6.of(kind, "2001:db8:c:2::7", 10), 4));
        }
        const Bench whole(config(true, limit(kind, 1, 4, R"(, "prefix-length-ipv6": 128)")));
        Sender sender128(whole);
        CHECK(sender128.is_burst(sender128.of(kind, "2001:db8:c:1::7", 10), 4));
        CHECK(sender128.is_burst(sender128.of(kind, "2001:db8:c:1::8", 10), 4));
    }
}

TEST_CASE("all four limits of one proxy at once, and a proxy beside it that has none", "[datapath][rate]")
{
    const Bench bench(config_text(
        {{.more = R"("rate-limits": {"per-source": {"requests-per-sec": 1, "burst": 5, "packets-per-sec": 1,
                     "packets-burst": 8}, "per-target": {"requests-per-sec": 1, "burst": 7,
                     "packets-per-sec": 1, "packets-burst": 11}})"},
         {.name = "free", .port = 81, .target = R"({"ip": "10.0.0.2", "port": 8080})"}}));
    Sender sender(bench);
    CHECK(sender.is_burst(sender.connections("198.51.100.7", 20), 5)); // its own
    CHECK(sender.is_burst(sender.connections("198.51.100.8", 20), 2)); // what the target has left: 7
    // Seven packets of the target's eleven have come with them.
    CHECK(sender.is_burst(sender.packets("198.51.100.9", 20), 0)); // no connection is let through any more
    for (u32 i = 0; i < 500; ++i)
        CHECK(bench.in(build(request("198.51.100.7", Udp{.sport = static_cast<u16>(i), .dport = 81})))
                  .verdict == xdp_pass);
    for (u32 i = 0; i < 500; ++i)
        CHECK(bench.in(build(request("198.51.100.7", Udp{.sport = 3, .dport = 81}))).verdict == xdp_pass);
}

TEST_CASE("later fragments and ICMP errors take no token", "[datapath][rate]")
{
    for (const Kind& kind : {kinds[2], kinds[3]}) {
        const Bench bench(config(false, limit(kind, 1, 2)));
        Packet large = request("198.51.100.7", Udp{});
        large.payload = lab::pattern(3000);
        for (const Bytes& part : split(large, 200)) CHECK(bench.in(part).verdict == xdp_pass);
        const Bytes quoted = lab::quote(
            build({.saddr = any_ip("192.0.2.1"), .daddr = any_ip("198.51.100.7"), .l4 = Udp{80, 40000}}), 28);
        Packet error = request("198.51.100.7", lab::Icmp{.type = 3, .code = 4});
        error.payload = quoted;
        for (int i = 0; i < 20; ++i) CHECK(bench.in(build(error)).verdict == xdp_pass);
        CHECK(bench.exits()[Reason::icmp_forwarded] == 20);
        CHECK(bench.exits()[Reason::fragment_forwarded] == 15);
        Sender sender(bench);
        CHECK(sender.send(request("198.51.100.7", Udp{}))); // the second token
    }
}

TEST_CASE("more sources than there are buckets disturb no target's, and every source is let in",
          "[datapath][rate]")
{
    constexpr u32 sources = 50000, target_burst = 9000;
    const Bench bench(config(false, limit(kinds[0], 1, 1) + ", " + limit(kinds[1], 1, target_burst),
                             R"("max-connections": 20000)"));
    CHECK(bench.map("sources4").info().max_entries == 20000);
    Sender sender(bench);
    u32 through = 0;
    for (u32 i = 0; i < sources; ++i)
        through += sender.send(request(lab::ip_text(lab::ip("10.1.0.0") + i), Udp{.sport = 9})) ? 1u : 0u;
    CHECK(sender.is_burst(through, target_burst));
    CHECK(bench.exits()[Reason::target_connection_rate] == sources - through);
    CHECK(bench.exits()[Reason::source_connection_rate] == 0);
    CHECK(bench.map("sources4").info().max_entries < sources);
}

TEST_CASE("a connection of a proxy or target that is no more has no limit", "[datapath][rate]")
{
    const Bench bench(config(false, limit(kinds[2], 1, 1) + ", " + limit(kinds[3], 1, 1)));
    const Packet packet = request("198.51.100.7", Udp{});
    bench.in(build(packet));
    CHECK(bench.in(build(packet)).verdict == xdp_drop);
    const auto key = key_of(build(packet));
    auto entry = *bench.flow(key);
    entry.proxy = 1000; // as an earlier run may have left it
    entry.target = 1000;
    must(bench.map("flows4").update(key, entry));
    for (int i = 0; i < 20; ++i) CHECK(bench.in(build(packet)).verdict == xdp_pass);
}
