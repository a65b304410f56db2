// Addresses that nobody can have: nothing begins with them, and their packets stay as they are.
#include "judge.hpp"

using namespace lb;
using namespace lb::test;
using lab::any_ip;
using lab::build;
using model::Reason;

namespace {

constexpr const char* vip4 = "192.0.2.1";
constexpr const char* vip6 = "2001:db8::80";

// Listeners on the VIPs at port 80, and on any address at port 81.
Judge judge_of()
{
    ModelFacts facts;
    facts.proxies = {{.group = {{any_ip("10.0.0.1"), 8080}}},
                     {.group = {{any_ip("2001:db8:a::1"), 8080}}},
                     {.group = {{any_ip("10.0.0.1"), 8080}}},
                     {.group = {{any_ip("2001:db8:a::1"), 8080}}}};
    for (const u8 protocol : {u8{6}, u8{17}}) {
        facts.listeners.push_back({.proxy = 0, .protocol = protocol, .address = any_ip(vip4)});
        facts.listeners.push_back({.proxy = 1, .protocol = protocol, .address = any_ip(vip6)});
        for (const bool six : {false, true})
            facts.listeners.push_back({.proxy = six ? 3u : 2u,
                                       .protocol = protocol,
                                       .port = 81,
                                       .kind = ModelKind::any,
                                       .address = any_ip(six ? "::" : "0.0.0.0")});
    }
    const std::string target6 = R"({"ip": "2001:db8:a::1", "port": 8080})", any = R"("address": "any")";
    return Judge(config_text({{.name = "four"},
                              {.name = "six", .listen = R"("address": "2001:db8::80")", .target = target6},
                              {.name = "any4", .listen = any, .port = 81},
                              {.name = "any6", .listen = any, .port = 81, .target = target6}}),
                 facts);
}

Bytes packet(const char* from, const std::string& to, u8 protocol, u16 port)
{
    Packet made{.saddr = any_ip(from), .daddr = any_ip(to)};
    if (protocol == 6)
        made.l4 = lab::Tcp{.dport = port};
    else
        made.l4 = lab::Udp{.dport = port};
    return build(made);
}

void check(Judge& judge, const char* from, const std::string& to, u16 port, bool martian)
{
    for (const u8 protocol : {u8{6}, u8{17}}) {
        INFO(from << " to " << to << ", protocol " << int{protocol});
        const Bytes frame = packet(from, to, protocol, port);
        const Bytes out = judge.in(frame); // and by the model
        CHECK((judge.last() == Reason::martian_address) == martian);
        CHECK((out == frame) == martian);
    }
}

} // namespace

TEST_CASE("from an address that no client can have nothing begins", "[martian]")
{
    Judge judge = judge_of();
    for (const char* from : {"0.0.0.0", "0.255.255.255", "127.0.0.1", "127.255.255.255", "224.0.0.1",
                             "239.255.255.255", "240.0.0.1", "255.255.255.255", vip4})
        check(judge, from, vip4, 80, true);
    for (const char* from :
         {"1.0.0.0", "126.255.255.255", "128.0.0.0", "223.255.255.255", "169.254.1.1", "10.0.0.1"})
        check(judge, from, vip4, 80, false);
    for (const char* from :
         {"::", "::1", "::ffff:10.0.0.1", "fe80::1", "febf:ffff::1", "ff00::1", "ff02::1", "ffff::", vip6})
        check(judge, from, vip6, 80, true);
    for (const char* from : {"::2", "::fffe:10.0.0.1", "::1:0:0", "fec0::1", "fe7f::1", "fd00::1", "feff::1",
                             "0:0:0:1::", "2001:db8:1::7"})
        check(judge, from, vip6, 80, false);
}

TEST_CASE("a listener on any address takes nothing to one that is nobody's", "[martian]")
{
    Judge judge = judge_of();
    for (const char* to : {"224.0.0.251", "255.255.255.255", "240.0.0.1", "0.0.0.0"})
        check(judge, "198.51.100.7", to, 81, true);
    check(judge, "198.51.100.7", "223.255.255.255", 81, false);
    for (const char* to : {"ff02::fb", "ff0e::1"}) check(judge, "2001:db8:1::7", to, 81, true);
    check(judge, "2001:db8:1::7", "fd00::1", 81, false);
}
