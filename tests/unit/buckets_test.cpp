// Token buckets in the generated program under a clock that the test turns: run by the interpreter, where
// time stands still but for what is said here.
#include <catch2/catch.hpp>

#include "datapath/generate.hpp"
#include "lab/packet.hpp"
#include "lb/asm/interpreter.hpp"
#include "model/config_reader.hpp"
#include "model/rate_limits.hpp"
#include "model/reason.hpp"

using namespace lb;
using model::Reason;

namespace {

constexpr u64 second = 1'000'000'000;

template <class T, class E> T must(std::expected<T, E> result)
{
    using bpf::to_string; // of a generator's error and of a fault
    if constexpr (std::is_same_v<E, Error>) {
        if (!result) throw std::runtime_error(result.error().message);
    } else {
        if (!result) throw std::runtime_error(to_string(result.error()));
    }
    return std::move(*result);
}

struct ProxyText {
    std::string limits = "{}";
    int port = 80;
};

std::string text_of(const std::vector<ProxyText>& proxies)
{
    std::string list;
    for (const auto& [limits, port] : proxies)
        list += (list.empty() ? "" : ", ") + ("{\"name\": \"at" + std::to_string(port)) +
                R"(", "listen": {"interfaces": ["eth0"], "address": "192.0.2.1", "port": )" +
                std::to_string(port) + R"(}, "default-target": {"ip": "10.0.0.)" + std::to_string(port) +
                R"(", "port": 8080}, "rate-limits": )" + limits + "}";
    return "{\"proxies\": [" + list + "]}";
}

/// A balancer of one target for each proxy, in memory, at a time of its own.
class Balancer {
public:
    explicit Balancer(const std::vector<ProxyText>& proxies, u64 start = 5 * second)
        : now(start),
          plan_(must(model::make_plan(must(model::read_config(text_of(proxies), "test"))))),
          maps_(plan_)
    {
        const KernelFeatures kernel = must(KernelFeatures::from_version("6.1"));
        program_ = must(machine_.load(must(datapath::make_ingress(plan_, maps_, kernel)), {}));
        for (const auto& proxy : plan_.proxies) {
            put("proxies", proxy.id, model::proxy_row(proxy));
            if (maps_.limits) put("limits", proxy.id, model::limits_row(proxy));
        }
        for (const auto& target : plan_.targets) {
            put("targets", target.id, model::target_row(target));
            put("slots", target.id, target.id);
            put("groups", target.id, model::GroupRow::of(target.id, 1));
        }
    }

    /// Whether the packet is let through; one that is not comes out as it went in.
    bool in(const lab::Packet& packet)
    {
        const auto frame = lab::build(packet);
        const auto outcome =
            must(machine_.run(program_, bpf::XdpInput{.frame = frame}, {.monotonic_ns = now}));
        const bool through = outcome.verdict() == static_cast<i32>(bpf::XdpAction::pass);
        if (through == (outcome.frame == frame)) throw std::runtime_error("neither one nor the other");
        return through;
    }
    /// Datagrams of a client, each from a port of its own (a connection) or all from one; how many get
    /// through.
    u32 connections(u32 count, const std::string& client = "198.51.100.7", u16 to = 80)
    {
        u32 through = 0;
        for (u32 i = 0; i < count; ++i) through += in(datagram(client, ++port_, to)) ? 1u : 0u;
        return through;
    }
    u32 packets(u32 count, const std::string& client = "198.51.100.7", u16 to = 80)
    {
        u32 through = 0;
        for (u32 i = 0; i < count; ++i) through += in(datagram(client, 7, to)) ? 1u : 0u;
        return through;
    }
    u64 count(Reason reason)
    {
        return machine_.map("exits").lookup<u32, u64>(static_cast<u32>(reason)).value_or(0);
    }
    std::size_t flows() { return machine_.map("flows4").entries().size(); }

    u64 now; ///< ns

private:
    static lab::Packet datagram(const std::string& client, u16 from, u16 to)
    {
        return {.saddr = lab::ip(client), .daddr = lab::ip("192.0.2.1"), .l4 = lab::Udp{from, to}};
    }
    template <class V> void put(const char* map, u32 key, const V& value)
    {
        if (machine_.map(map).update(key, value) != 0) throw std::runtime_error(map);
    }

    model::Plan plan_;
    datapath::Maps maps_;
    bpf::Machine machine_;
    bpf::LoadedProgram program_ = {};
    u16 port_ = 1000;
};

} // namespace

TEST_CASE("a burst at once, then one by one as time passes, then a burst again", "[buckets]")
{
    const std::string kind = GENERATE(as<std::string>(), "per-source", "per-target");
    Balancer lb({{"{\"" + kind + R"(": {"requests-per-sec": 4, "burst": 5}})"}});
    const Reason refused =
        kind == "per-source" ? Reason::source_connection_rate : Reason::target_connection_rate;
    CHECK(lb.connections(20) == 5);
    CHECK(lb.flows() == 10); // a refused one leaves no entry
    CHECK(lb.count(refused) == 15);
    lb.now += second / 4 - 1;
    CHECK(lb.connections(3) == 0);
    lb.now += 1;
    CHECK(lb.connections(3) == 1);
    lb.now += 3 * second / 4;
    CHECK(lb.connections(9) == 3);
    lb.now += 3600 * second;
    CHECK(lb.connections(20) == 5); // not more, however long the pause
    CHECK(lb.count(refused) == 15 + 3 + 2 + 6 + 15);
}

TEST_CASE("packets of a connection take tokens of packets, its first one too", "[buckets]")
{
    const std::string kind = GENERATE(as<std::string>(), "per-source", "per-target");
    Balancer lb({{"{\"" + kind + R"(": {"packets-per-sec": 10, "packets-burst": 3}})"}});
    CHECK(lb.packets(10) == 3);
    CHECK(lb.count(kind == "per-source" ? Reason::source_packet_rate : Reason::target_packet_rate) == 7);
    CHECK(lb.connections(5) == 0);
    CHECK(lb.flows() == 2);
    lb.now += second / 10;
    CHECK(lb.connections(5) == 1);
    CHECK(lb.flows() == 4);
    lb.now += second / 10;
    CHECK(lb.packets(5) == 1);
}

TEST_CASE("connections and packets have buckets of their own; refused connections cost no packets",
          "[buckets]")
{
    const std::string kind = GENERATE(as<std::string>(), "per-source", "per-target");
    Balancer lb({{"{\"" + kind +
                  R"(": {"requests-per-sec": 1, "burst": 2, "packets-per-sec": 1, "packets-burst": 8}})"}});
    CHECK(lb.packets(1) == 1);
    CHECK(lb.connections(50) == 1);
    CHECK(lb.packets(50) == 6);
}

TEST_CASE("each source prefix has a bucket, and each target; who has none of one gets no other's",
          "[buckets]")
{
    Balancer by_source(
        {{R"({"per-source": {"requests-per-sec": 1, "burst": 2, "prefix-length-ipv4": 24}})"}});
    CHECK(by_source.connections(5, "198.51.100.7") == 2);
    CHECK(by_source.connections(5, "198.51.100.255") == 0); // the same 24 bits
    CHECK(by_source.connections(5, "198.51.101.7") == 2);
    CHECK(by_source.connections(5, "198.51.99.255") == 2);

    Balancer by_target({{R"({"per-target": {"requests-per-sec": 1, "burst": 3}})", 80},
                        {R"({"per-target": {"requests-per-sec": 1, "burst": 4}})", 81}});
    CHECK(by_target.connections(2, "198.51.100.7", 80) == 2);
    CHECK(by_target.connections(5, "198.51.100.8", 80) == 1); // whoever comes
    CHECK(by_target.connections(9, "198.51.100.7", 81) == 4);
}

TEST_CASE("proxies of one program have limits of their own, or none", "[buckets]")
{
    Balancer lb({{R"({"per-source": {"requests-per-sec": 1, "burst": 2, "packets-per-sec": 1000}})", 80},
                 {R"({"per-source": {"requests-per-sec": 1, "burst": 6}})", 81},
                 {"{}", 82},
                 {R"({"per-target": {"packets-per-sec": 1, "packets-burst": 9}})", 83}});
    CHECK(lb.connections(20, "198.51.100.7", 80) == 2);
    CHECK(lb.connections(20, "198.51.100.7", 81) == 6);
    CHECK(lb.connections(20, "198.51.100.7", 82) == 20);
    CHECK(lb.packets(2000, "198.51.100.8", 80) == 2000);
    CHECK(lb.packets(3000, "198.51.100.8", 81) == 3000);
    CHECK(lb.packets(3000, "198.51.100.8", 82) == 3000);
    CHECK(lb.packets(20, "198.51.100.8", 83) == 9);
}

TEST_CASE("over a long time a rate is what it is, whatever the packets' own rhythm", "[buckets]")
{
    struct Row {
        u32 rate, burst;
        u64 step; ///< ns between packets
    };
    for (const Row& row : {Row{1000, 10, 300'000}, Row{7'000'000, 10, 100}, Row{9'999'999, 1, 90},
                           Row{3, 1, 100'000'001}, Row{777, 1554, 400'000}}) {
        INFO(row.rate << " per second, burst " << row.burst << ", one every " << row.step << " ns");
        Balancer lb({{R"({"per-target": {"packets-per-sec": )" + std::to_string(row.rate) +
                      ", \"packets-burst\": " + std::to_string(row.burst) + "}}"}},
                    30ull * 365 * 24 * 3600 * second);
        constexpr u32 packets = 10000;
        u32 through = 0;
        for (u32 i = 0; i < packets; ++i, lb.now += row.step) through += lb.packets(1);
        const double time = static_cast<double>(packets - 1) * static_cast<double>(row.step) / second;
        const double expected = row.burst + row.rate * time;
        // A bucket of one token wastes what comes between packets: the rate is an upper limit then.
        CHECK(through <= expected * 1.0004);
        CHECK(through >= std::min<double>(packets, row.burst > 1 ? expected * 0.9996 - 1 : expected / 2));
    }
}
