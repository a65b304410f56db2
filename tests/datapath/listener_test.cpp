// Which listener takes a packet: address, port, protocol, interface, and who goes before whom.
#include "judge.hpp"

using namespace lb;
using namespace lb::test;
using lab::build;
using lab::ip;
using lab::Tcp;
using lab::Udp;
using model::Reason;

namespace {

constexpr u8 tcp = 6, udp = 17;
const u32 client = ip("198.51.100.7");

std::string target(const std::string& address) { return R"({"ip": ")" + address + R"(", "port": 8080})"; }

Packet request(const std::string& to, const std::variant<Tcp, Udp, lab::Icmp, lab::Raw>& l4)
{
    return {.saddr = client, .daddr = ip(to), .l4 = l4};
}

} // namespace

TEST_CASE("a given address goes before own addresses, and these before any", "[datapath]")
{
    ModelFacts facts;
    facts.own_addresses = {ip("192.0.2.1"), ip("192.0.2.2")};
    for (const u8 protocol : {tcp, udp}) {
        facts.listeners.push_back({.proxy = 0, .protocol = protocol, .kind = ModelKind::any});
        facts.listeners.push_back({.proxy = 1, .protocol = protocol, .kind = ModelKind::own});
        facts.listeners.push_back({.proxy = 2, .protocol = protocol, .address = ip("192.0.2.1")});
        facts.listeners.push_back({.proxy = 2, .protocol = protocol, .address = ip("203.0.113.9")});
    }
    for (const char* to : {"10.0.0.1", "10.0.0.2", "10.0.0.3"}) facts.proxies.push_back({{{ip(to), 8080}}});
    Judge judge(config_text({{.name = "any", .listen = R"("address": "any")", .target = target("10.0.0.1")},
                             {.name = "own", .listen = "", .target = target("10.0.0.2")},
                             {.name = "given",
                              .listen = R"("address": ["192.0.2.1", "203.0.113.9"])",
                              .target = target("10.0.0.3")}}),
                facts);
    const auto goes_to = [&](const char* address, u16 port, const char* wanted) {
        for (const auto& l4 : {request(address, Tcp{.sport = port}), request(address, Udp{.sport = port})}) {
            const auto out = lab::parse(judge.in(build(l4)));
            REQUIRE(out.has_value());
            CHECK(lab::ip_text(out->daddr) == wanted);
        }
    };
    goes_to("192.0.2.1", 1, "10.0.0.3");
    goes_to("203.0.113.9", 1, "10.0.0.3");
    goes_to("192.0.2.2", 1, "10.0.0.2");
    goes_to("203.0.113.10", 1, "10.0.0.1");
    goes_to("8.8.8.8", 1, "10.0.0.1");
}

TEST_CASE("without an address only the host's own are taken, and what passes through is left alone",
          "[datapath]")
{
    ModelFacts facts;
    facts.own_addresses = {ip("192.0.2.1"), ip("192.0.2.2")};
    facts.listeners = {{.protocol = tcp, .kind = ModelKind::own}};
    facts.proxies = {{{{ip("10.0.0.1"), 8080}}}};
    Judge judge(config_text({{.listen = R"("protocol": "tcp")"}}), facts);
    for (const char* own : {"192.0.2.1", "192.0.2.2"}) {
        judge.in(build(request(own, Tcp{})));
        CHECK(judge.last() == Reason::forwarded);
        judge.in(build(request(own, Udp{})));
        CHECK(judge.last() == Reason::no_listener);
    }
    for (const char* other : {"192.0.2.3", "10.0.0.1", "255.255.255.255", "224.0.0.1"}) {
        judge.in(build(request(other, Tcp{})));
        CHECK(judge.last() == Reason::other_address);
    }
}

TEST_CASE("a listener on one interface does not take what comes in by another", "[datapath]")
{
    const std::string config = config_text(
        {{.name = "a", .target = target("10.0.0.1"), .interfaces = R"(["eth0"])"},
         {.name = "b", .target = target("10.0.0.2"), .interfaces = R"(["eth1"])"},
         {.name = "c", .port = 81, .target = target("10.0.0.3"), .interfaces = R"(["eth1"])"},
         {.name = "d", .port = 82, .target = target("10.0.0.4"), .interfaces = R"(["eth0", "eth1"])"}});
    ModelFacts facts;
    const std::array<std::pair<u16, std::set<std::string>>, 4> rows{
        {{u16{80}, {"eth0"}}, {u16{80}, {"eth1"}}, {u16{81}, {"eth1"}}, {u16{82}, {"eth0", "eth1"}}}};
    for (std::size_t i = 0; i < rows.size(); ++i) {
        for (const u8 protocol : {tcp, udp})
            facts.listeners.push_back({.proxy = i,
                                       .protocol = protocol,
                                       .port = rows[i].first,
                                       .address = ip("192.0.2.1"),
                                       .interfaces = rows[i].second});
        facts.proxies.push_back({{{ip("10.0.0.1") + static_cast<u32>(i), 8080}}});
    }
    for (const std::string& arrives : {std::string("eth0"), std::string("eth1")}) {
        Judge judge(config, facts, {.arrives_on = arrives});
        const auto reason = [&](u16 port) {
            judge.in(build(request("192.0.2.1", Tcp{.dport = port})));
            const Reason tcp_reason = judge.last();
            judge.in(build(request("192.0.2.1", Udp{.dport = port})));
            CHECK(judge.last() == tcp_reason);
            return tcp_reason;
        };
        CHECK(reason(80) == Reason::forwarded);
        CHECK(reason(81) == (arrives == "eth1" ? Reason::forwarded : Reason::other_address));
        CHECK(reason(82) == Reason::forwarded);
        CHECK(reason(83) == Reason::no_listener);
    }
}

TEST_CASE("each of many ports finds its own listener, and no port between finds one", "[datapath]")
{
    std::vector<ProxyText> proxies;
    ModelFacts facts;
    const std::vector<int> ports = {1, 22, 80, 255, 256, 443, 8080, 32767, 32768, 49152, 65280, 65535};
    for (std::size_t i = 0; i < ports.size(); ++i) {
        const std::string to = "10.0.1." + std::to_string(i + 1);
        proxies.push_back({.name = "p" + std::to_string(i), .port = ports[i], .target = target(to)});
        facts.proxies.push_back({{{ip(to), 8080}}});
        for (const u8 protocol : {tcp, udp})
            facts.listeners.push_back({.proxy = i,
                                       .protocol = protocol,
                                       .port = static_cast<u16>(ports[i]),
                                       .address = ip("192.0.2.1")});
    }
    Judge judge(config_text(proxies), facts);
    for (const int port : ports)
        for (const int near : {port - 1, port, port + 1}) {
            if (near < 0 || near > 65535) continue;
            judge.in(build(request("192.0.2.1", Tcp{.dport = static_cast<u16>(near)})));
            judge.in(build(request("192.0.2.1", Udp{.dport = static_cast<u16>(near)})));
            const bool listed = std::ranges::find(ports, near) != ports.end();
            CHECK((judge.last() == Reason::forwarded) == listed);
        }
}

TEST_CASE("with a target in 127/8 nothing else for 127/8 comes in, and nothing else from it leaves",
          "[datapath]")
{
    ModelFacts facts;
    facts.listeners = {{.protocol = tcp, .address = ip("192.0.2.1")},
                       {.protocol = udp, .address = ip("192.0.2.1")}};
    facts.proxies = {{{{ip("127.0.0.1"), 8080}}}};
    facts.loopback_targets = true;
    // Packets arrive by another interface than lo, which is free to carry loopback addresses.
    Judge judge(config_text({{.target = target("127.0.0.1")}}), facts);
    judge.in(build(request("192.0.2.1", Tcp{.sport = 9})));
    CHECK(judge.last() == Reason::forwarded);
    for (const char* to : {"127.0.0.0", "127.0.0.1", "127.255.255.255"}) {
        judge.in(build(request(to, Tcp{.sport = 9, .dport = 8080})));
        CHECK(judge.last() == Reason::martian_loopback);
        judge.in(build(request(to, lab::Icmp{})));
        CHECK(judge.last() == Reason::martian_loopback);
    }
    judge.in(build(request("126.255.255.255", Tcp{.dport = 81})));
    CHECK(judge.last() == Reason::no_listener);
    judge.out(build({.saddr = ip("127.0.0.1"), .daddr = client, .l4 = Tcp{.sport = 8080, .dport = 9}}));
    CHECK(judge.last() == Reason::reply_forwarded);
    judge.out(build({.saddr = ip("127.0.0.1"), .daddr = client, .l4 = Tcp{.sport = 8081, .dport = 9}}));
    CHECK(judge.last() == Reason::egress_loopback);

    ModelFacts without = facts;
    without.loopback_targets = false;
    without.proxies = {{{{ip("10.0.0.1"), 8080}}}};
    Judge plain(config_text({{}}), without);
    plain.in(build(request("127.0.0.1", Tcp{.sport = 9})));
    CHECK(plain.last() == Reason::other_address); // the kernel's own rule stands
}
