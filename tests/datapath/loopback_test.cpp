// Targets in 127/8: what else speaks of these addresses stays off the wire, whatever it looks like.
#include "judge.hpp"

using namespace lb;
using namespace lb::test;
using lab::build;
using lab::ip;
using lab::Tcp;
using lab::Udp;
using model::Reason;

namespace {

const u32 client = ip("198.51.100.7"), here = ip("127.0.0.1");
const std::string config = config_text({{.target = R"({"ip": "127.0.0.1", "port": 8080})"}});

using Change = void (*)(Packet&);
struct Row {
    const char* name;
    Change change;
};
constexpr Row rows[] = {
    {"TCP", [](Packet&) {}},
    {"UDP", [](Packet& p) { p.l4 = Udp{.dport = 9001}; }},
    {"ICMP", [](Packet& p) { p.l4 = lab::Icmp{}; }},
    {"another protocol", [](Packet& p) { p.l4 = lab::Raw{47}; }},
    {"IPv4 options",
     [](Packet& p) {
         p.options = {1, 1, 1, 0};
     }},
    {"a first fragment", [](Packet& p) { p.fragment = 0x2000; }},
    {"a later fragment", [](Packet& p) { p.fragment = 0x0003; }},
    {"UDP in fragments with options",
     [](Packet& p) {
         p.l4 = Udp{.dport = 9001};
         p.fragment = 0x2000;
         p.options = {1, 1, 1, 0};
     }},
};

} // namespace

TEST_CASE("whatever comes from the wire for 127/8 is dropped", "[datapath]")
{
    const Bench bench(config);
    for (const auto& row : rows) {
        INFO(row.name);
        for (const char* to : {"127.0.0.0", "127.0.0.1", "127.255.255.255"}) {
            Packet packet{.saddr = client, .daddr = ip(to), .l4 = Tcp{.dport = 9001}};
            packet.payload = lab::pattern(32);
            row.change(packet);
            const auto before = bench.exits()[Reason::martian_loopback];
            CHECK(bench.in(build(packet)).verdict == xdp_drop);
            CHECK(bench.exits()[Reason::martian_loopback] == before + 1);
            packet.daddr = ip("128.0.0.1");
            CHECK(bench.in(build(packet)).verdict == xdp_pass);
        }
    }
}

TEST_CASE("whatever leaves from 127/8 untranslated is dropped", "[datapath]")
{
    const Bench bench(config);
    for (const auto& row : rows) {
        INFO(row.name);
        Packet packet{.saddr = here, .daddr = client, .l4 = Tcp{.sport = 9001}};
        packet.payload = lab::pattern(32);
        row.change(packet);
        const auto before = bench.exits()[Reason::egress_loopback];
        CHECK(bench.out(build(packet)).verdict == tc_shot);
        CHECK(bench.exits()[Reason::egress_loopback] == before + 1);
        packet.saddr = ip("126.0.0.1");
        CHECK(bench.out(build(packet)).verdict == tc_unspec);
    }
}

TEST_CASE("on lo itself 127/8 comes and goes freely, also where lb listens there", "[datapath]")
{
    const std::string both =
        config_text({{.target = R"({"ip": "127.0.0.1", "port": 8080})", .interfaces = R"(["eth0", "lo"])"}});
    for (const bool on_lo : {true, false}) {
        INFO(on_lo);
        const Bench bench(both, {.arrives_on = on_lo ? "lo" : "eth0"});
        for (const auto& row : rows) {
            INFO(row.name);
            Packet there{.saddr = client, .daddr = here, .l4 = Tcp{.dport = 9001}};
            there.payload = lab::pattern(32);
            row.change(there);
            CHECK(bench.in(build(there)).verdict == (on_lo ? xdp_pass : xdp_drop));
            Packet back{.saddr = here, .daddr = client, .l4 = Tcp{.sport = 9001}};
            back.payload = lab::pattern(32);
            row.change(back);
            CHECK(bench.out(build(back)).verdict == (on_lo ? tc_unspec : tc_shot));
        }
        CHECK(bench.exits()[Reason::martian_loopback] == (on_lo ? 0 : std::size(rows)));
        CHECK(bench.exits()[Reason::egress_loopback] == (on_lo ? 0 : std::size(rows)));
    }
}
