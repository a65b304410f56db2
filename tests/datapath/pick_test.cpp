// Who gets a connection: source routes, groups, weights, and that it is always the same.
#include <cmath>

#include "judge.hpp"
#include "model/flow_hash.hpp"
#include "model/maglev.hpp"

using namespace lb;
using namespace lb::test;
using lab::build;
using lab::ip;
using lab::Udp;
using model::Reason;

namespace {

std::string target(const std::string& address, int weight = 0)
{
    return R"({"ip": ")" + address + R"(", "port": 8080)" +
           (weight > 0 ? ", \"weight\": " + std::to_string(weight) : "") + "}";
}

Packet datagram(u32 from, u16 port)
{
    return {.saddr = from, .daddr = ip("192.0.2.1"), .l4 = Udp{.sport = port}};
}

} // namespace

TEST_CASE("the longest source prefix of the packet's own proxy chooses, at every length's edges",
          "[datapath]")
{
    ModelFacts facts;
    std::string routes;
    std::vector<ModelRoute> rows;
    for (const char* prefix :
         {"0.0.0.0/1", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.128/25", "10.1.2.252/30",
          "10.1.2.254/31", "10.1.2.255", "223.255.255.255/32", "192.168.0.0/16"}) {
        const auto network = Prefix::parse(prefix);
        REQUIRE(network.has_value());
        const u32 to = ip("10.9.0.1") + static_cast<u32>(rows.size());
        rows.push_back(
            {.network = network->address.v4().host(), .length = network->length, .group = {{to, 8080}}});
        routes += (routes.empty() ? "" : ", ") + (R"({"source": ")" + std::string(prefix)) +
                  R"(", "target": )" + target(lab::ip_text(to)) + "}";
    }
    // Another proxy's route of the same source must not be taken.
    facts.proxies = {
        {.group = {{ip("10.8.0.1"), 8080}}, .routes = rows},
        {.group = {{ip("10.8.0.2"), 8080}},
         .routes = {{.network = ip("10.1.2.0"), .length = 24, .group = {{ip("10.8.0.3"), 8080}}}}}};
    for (const u8 protocol : {u8{6}, u8{17}}) {
        facts.listeners.push_back({.proxy = 0, .protocol = protocol, .address = ip("192.0.2.1")});
        facts.listeners.push_back({.proxy = 1, .protocol = protocol, .port = 81, .address = ip("192.0.2.1")});
    }
    Judge judge(config_text({{.target = target("10.8.0.1"), .more = "\"source-routes\": [" + routes + "]"},
                             {.name = "other",
                              .port = 81,
                              .target = target("10.8.0.2"),
                              .more = R"("source-routes": [{"source": "10.1.2.0/24", "target": )" +
                                      target("10.8.0.3") + "}]"}}),
                facts);
    std::set<u32> clients;
    for (const auto& row : rows)
        for (const u64 edge : {u64{row.network.v4()} - 1, u64{row.network.v4()},
                               row.network.v4() + (u64{1} << (32 - row.length)) - 1,
                               row.network.v4() + (u64{1} << (32 - row.length))})
            if (const u32 first = static_cast<u32>(edge) >> 24; first != 0 && first != 127 && first < 224)
                clients.insert(static_cast<u32>(edge)); // others are nobody's: see martian_test.cpp
    for (const u32 from : clients)
        for (const u16 port : {u16{80}, u16{81}}) {
            Packet packet = datagram(from, 1000);
            packet.l4 = Udp{.sport = 1000, .dport = port};
            judge.in(build(packet));
            CHECK(judge.last() == Reason::forwarded);
        }
    CHECK(judge.model().connections() == 2 * clients.size());
}

TEST_CASE("a route of length 0 takes every source that no longer prefix takes", "[datapath]")
{
    ModelFacts facts;
    facts.listeners = {{.protocol = 17, .address = ip("192.0.2.1")}};
    facts.proxies = {
        {.group = {{ip("10.8.0.1"), 8080}},
         .routes = {{.network = 0, .length = 0, .group = {{ip("10.8.0.2"), 8080}}},
                    {.network = ip("198.51.100.7"), .length = 32, .group = {{ip("10.8.0.3"), 8080}}}}}};
    Judge judge(
        config_text({{.listen = R"("address": "192.0.2.1", "protocol": "udp")",
                      .target = target("10.8.0.1"),
                      .more = R"("source-routes": [{"source": "0.0.0.0/0", "target": )" + target("10.8.0.2") +
                              R"(}, {"source": "198.51.100.7", "target": )" + target("10.8.0.3") + "}]"}}),
        facts);
    for (const char* from : {"1.0.0.0", "126.255.255.255", "128.0.0.0", "198.51.100.6", "198.51.100.7",
                             "198.51.100.8", "223.255.255.255"}) {
        judge.in(build(datagram(ip(from), 1)));
        CHECK(judge.last() == Reason::forwarded);
    }
    CHECK(judge.bench().counters(0).connections == 0); // the default target's
}

TEST_CASE("twenty thousand connections are shared by weight, and weight 0 gets none", "[datapath]")
{
    const std::vector<u32> weights{50, 30, 15, 5, 0};
    std::string list;
    for (std::size_t i = 0; i < weights.size(); ++i)
        list += (i == 0 ? "" : ", ") + (R"({"ip": "10.0.0.)" + std::to_string(i + 1)) +
                R"(", "port": 8080, "weight": )" + std::to_string(weights[i]) + "}";
    const Bench bench(config_text({{.target = "[" + list + "]", .more = R"("weight-mode": "relative")"}}));
    constexpr u32 connections = 20000;
    std::vector<u32> got(weights.size());
    for (u32 i = 0; i < connections; ++i) {
        const auto out = lab::parse(
            bench.in(build(datagram(ip("198.51.100.0") + i / 1000, static_cast<u16>(1024 + i % 1000))))
                .frame);
        REQUIRE(out.has_value());
        ++got[out->daddr.v4() - ip("10.0.0.1")];
    }
    CHECK(got[4] == 0);
    double chi_square = 0;
    for (std::size_t i = 0; i < 4; ++i) {
        const double expected = connections * weights[i] / 100.0;
        chi_square += std::pow(got[i] - expected, 2) / expected;
        CHECK(bench.counters(static_cast<u32>(i)).connections == got[i]);
    }
    INFO(got[0] << " " << got[1] << " " << got[2] << " " << got[3]);
    CHECK(chi_square <
          16.27); // 3 degrees of freedom: a fair pick passes 999 times of 1000; this one is always the same
}

TEST_CASE("the program picks by the hash and the table that user space knows", "[datapath]")
{
    std::string list;
    std::vector<model::GroupMember> members;
    std::vector<std::string> keys;
    for (u32 i = 0; i < 8; ++i) {
        const std::string address = "10.0.0." + std::to_string(i + 1);
        list += (i == 0 ? "" : ", ") + target(address, static_cast<int>(i == 0 ? 16 : 12));
        members.push_back({.target = i, .weight = i == 0 ? 16u : 12u});
        keys.push_back(address + ":8080");
    }
    const Bench bench(config_text({{.target = "[" + list + "]"}}));
    const auto slots = model::make_slots(members, keys, model::slots_for(members.size()));
    for (u32 i = 0; i < 3000; ++i) {
        const Bytes frame = build(datagram(ip("203.0.113.7") + i * 7919, static_cast<u16>(i * 31)));
        const u32 hash = model::flow_hash(key_of(frame));
        const u32 wanted = slots[model::slot_of(hash, static_cast<u32>(slots.size()))];
        const auto out = lab::parse(bench.in(frame).frame);
        REQUIRE(out.has_value());
        CHECK(out->daddr == ip("10.0.0.1") + wanted);
    }
}

TEST_CASE(
    "a connection keeps its target when the table is written anew, and a lost entry is picked again alike",
    "[datapath]")
{
    const Bench bench(
        config_text({{.target = "[" + target("10.0.0.1", 50) + "," + target("10.0.0.2", 50) + "]"}}));
    std::map<u16, u32> chosen;
    for (u16 port = 1; port <= 200; ++port) {
        const Bytes frame = build(datagram(ip("198.51.100.7"), port));
        chosen[port] = lab::parse(bench.in(frame).frame)->daddr.v4();
        if (port % 2 == 0) must(bench.map("flows4").remove(key_of(frame)));
        CHECK(lab::parse(bench.in(frame).frame)->daddr == chosen[port]);
    }
    // Everything new to the second target from here on.
    for (u32 slot = 0; slot < bench.plan().groups[0].slots; ++slot)
        must(bench.map("slots").update(slot, u32{1}));
    for (u16 port = 1; port <= 200; ++port)
        CHECK(lab::parse(bench.in(build(datagram(ip("198.51.100.7"), port))).frame)->daddr == chosen[port]);
    for (u16 port = 201; port <= 250; ++port)
        CHECK(lab::parse(bench.in(build(datagram(ip("198.51.100.7"), port))).frame)->daddr == ip("10.0.0.2"));
}
