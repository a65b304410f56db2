// What can't work together: refused at its place in the file, under the flags, and in a Config made by hand.
#include "model/contradictions.hpp"

#include <regex>

#include "config_text.hpp"
#include "model/overrides.hpp"
#include "model/plan.hpp"

using namespace lb;
using namespace lb::model;
using namespace lb::test;

namespace {

// A proxy "web" by its listener's members besides the interface, its targets, and more members, all on line
// 2; and the settings.
std::string file_of(const std::string& listen, const std::string& targets, const std::string& more = "",
                    const std::string& settings = "")
{
    return "{\"proxies\": [{\n" + good_name + R"(, "listen": {"interfaces": ["eth0"], )" + listen +
           R"(}, "default-target": )" + targets + (more.empty() ? "" : ", " + more) + "}],\n\"settings\": {" +
           settings + "}}";
}

std::string target(const std::string& ip, u32 port = 80)
{
    return "{\"ip\": \"" + ip + "\", \"port\": " + std::to_string(port) + "}";
}

std::string mode(const std::string& name) { return R"("forwarding": {"mode": ")" + name + "\"}"; }

// What is said, without the places: these are shown by a test of their own.
std::string said(const std::string& text)
{
    static const std::regex place("t\\.json:[0-9]+:[0-9]+: ");
    return std::regex_replace(refusal(text), place, "");
}

const std::string v4 = R"("port": 80, "address": "192.0.2.1")";
const std::string v6 = R"("port": 80, "address": "2001:db8::1")";
const std::string both = R"("port": 80, "address": ["192.0.2.1", "2001:db8::1"])";
const std::string own = R"("port": 80)";
const std::string two_families = R"([{"ip": "10.0.0.1", "port": 80, "weight": 50},
 {"ip": "2001:db8::2", "port": 80, "weight": 50}])";

} // namespace

TEST_CASE("a contradiction is refused at its own line and column", "[config]")
{
    CHECK(refusal(file_of(v4, "\n" + target("2001:db8::2"))) ==
          "t.json:3:8: proxies[0].default-target.ip: \"2001:db8::2\": IPv6, but the proxy listens on IPv4: "
          "mode nat forwards within one family");
    CHECK(refusal(file_of(v4, "\n[" + target("10.0.0.1", 8080) + "]", mode("dsr-l2"))) ==
          "t.json:3:29: proxies[0].default-target[0].port: 8080: in mode dsr-l2 the target gets packets as "
          "clients send them: expected the listener's port, 80");
}

TEST_CASE("nat and dsr-l2 take one family, on both sides", "[config]")
{
    for (const std::string name : {"nat", "dsr-l2"}) {
        const std::string within = "mode " + name + " forwards within one family";
        CHECK(said(file_of(v4, target("10.0.0.1"), mode(name))) == "accepted");
        CHECK(said(file_of(v6, target("2001:db8::2"), mode(name))) == "accepted");
        CHECK(said(file_of(own, target("2001:db8::2"), mode(name))) == "accepted");
        CHECK(said(file_of(own + R"(, "address": "any")", target("2001:db8::2"), mode(name))) == "accepted");
        CHECK(said(file_of(v4, target("2001:db8::2"), mode(name))) ==
              "proxies[0].default-target.ip: \"2001:db8::2\": IPv6, but the proxy listens on IPv4: " +
                  within);
        CHECK(said(file_of(v6, target("10.0.0.1"), mode(name))) ==
              "proxies[0].default-target.ip: \"10.0.0.1\": IPv4, but the proxy listens on IPv6: " + within);
        CHECK(said(file_of(both, target("10.0.0.1"), mode(name))) ==
              "proxies[0].listen.address[1]: \"2001:db8::1\": IPv6 beside IPv4: " + within +
                  ": expected one proxy for each");
        CHECK(refusal(file_of(own, two_families, mode(name))) ==
              "t.json:3:9: proxies[0].default-target[1].ip: \"2001:db8::2\": IPv6, but its first target is "
              "IPv4: " +
                  within);
    }
}

TEST_CASE("tunnels and full NAT take both families, on either side", "[config]")
{
    for (const std::string name : {"dsr-ipip", "dsr-gue", "full-nat"}) {
        for (const std::string& listen : {v4, v6, both, own}) {
            CHECK(said(file_of(listen, target("10.0.0.9"), mode(name))) == "accepted");
            CHECK(said(file_of(listen, target("2001:db8::9"), mode(name))) == "accepted");
            CHECK(said(file_of(listen, two_families, mode(name))) == "accepted");
        }
    }
}

TEST_CASE("a source route is of a family that clients can have, and so are its targets", "[config]")
{
    const auto route = [](const std::string& source, const std::string& ip) {
        return R"("source-routes": [{"source": ")" + source + R"(", "target": )" + target(ip) + "}]";
    };
    CHECK(said(file_of(v6, target("2001:db8::2"), route("2001:db8::/32", "2001:db8::3"))) == "accepted");
    CHECK(
        said(file_of(v4, target("10.0.0.1"), route("2001:db8::/32", "10.0.0.2"))) ==
        "proxies[0].source-routes[0].source: \"2001:db8::/32\": IPv6: the proxy listens on IPv4 only, where "
        "no client has such an address");
    CHECK(
        said(file_of(own, target("2001:db8::2"), route("10.0.0.0/8", "2001:db8::3"))) ==
        "proxies[0].source-routes[0].source: \"10.0.0.0/8\": IPv4: the proxy listens on IPv6 only, where no "
        "client has such an address");
    CHECK(said(file_of(v4, target("10.0.0.1"), route("10.0.0.0/8", "2001:db8::3"))) ==
          "proxies[0].source-routes[0].target.ip: \"2001:db8::3\": IPv6, but the proxy listens on IPv4: mode "
          "nat forwards within one family");
    for (const std::string name : {"dsr-ipip", "dsr-gue", "full-nat"}) {
        CHECK(said(file_of(v4, target("10.0.0.1"), route("10.0.0.0/8", "2001:db8::3") + ", " + mode(name))) ==
              "accepted");
        CHECK(said(file_of(both, target("10.0.0.1"),
                           route("2001:db8::/32", "2001:db8::3") + ", " + mode(name))) == "accepted");
        CHECK(said(file_of(v4, target("10.0.0.1"),
                           route("2001:db8::/32", "2001:db8::3") + ", " + mode(name))) ==
              "proxies[0].source-routes[0].source: \"2001:db8::/32\": IPv6: the proxy listens on IPv4 only, "
              "where no client has such an address");
    }
    const std::string list = R"("source-routes": [{"source": "10.0.0.0/8", "targets":
[{"ip": "10.0.0.2", "port": 80, "weight": 50}, {"ip": "10.0.0.3", "port": 81, "weight": 50}]}])";
    CHECK(refusal(file_of(v4, target("10.0.0.1"), list + ", " + mode("dsr-gue"))) ==
          "t.json:3:75: proxies[0].source-routes[0].targets[1].port: 81: in mode dsr-gue the target gets "
          "packets as clients send them: expected the listener's port, 80");
}

TEST_CASE("dsr is refused what it cannot do", "[config]")
{
    for (const std::string name : {"dsr-l2", "dsr-ipip", "dsr-gue"}) {
        CHECK(said(file_of(v4, target("10.0.0.1"), mode(name))) == "accepted");
        CHECK(said(file_of(v4, target("10.0.0.1", 8080), mode(name))) ==
              "proxies[0].default-target.port: 8080: in mode " + name +
                  " the target gets packets as clients send them: expected the listener's port, 80");
        CHECK(said(file_of(v4 + R"(, "egress-interfaces": ["eth1"])", target("10.0.0.1"), mode(name))) ==
              "proxies[0].listen.egress-interfaces: [...]: replies do not come back here in mode " + name +
                  ": expected none");
    }
    CHECK(said(file_of(v4, target("10.0.0.1"), R"("forwarding": {"mode": "dsr-l2", "path": "stack"})")) ==
          "proxies[0].forwarding.path: \"stack\": dsr-l2 writes the target's Ethernet address, and the stack "
          "routes by IP: expected \"auto\" or \"fast\"");
    for (const std::string name : {"dsr-ipip", "dsr-gue", "full-nat"})
        for (const std::string path : {"auto", "stack", "fast"})
            CHECK(said(file_of(v4, target("10.0.0.1"),
                               R"("forwarding": {"mode": ")" + name + R"(", "path": ")" + path + "\"}")) ==
                  "accepted");
    const std::string gue = R"("port": 6080)";
    CHECK(said(file_of(gue + R"(, "protocol": "tcp")", target("10.0.0.1", 6080), mode("dsr-gue"))) ==
          "accepted");
    CHECK(said(file_of(gue, target("10.0.0.1", 6080),
                       R"("forwarding": {"mode": "dsr-gue", "port": 6081})")) == "accepted");
    CHECK(said(file_of(gue, target("10.0.0.1", 6080), mode("dsr-gue"))) ==
          "proxies[0].listen.port: 6080: targets take this UDP port for the tunnel's (forwarding.port): "
          "expected two that differ");
}

TEST_CASE("a target on this host is reached by nat through the stack only", "[config]")
{
    const auto forwarding = [](const std::string& name, const std::string& path) {
        return R"("forwarding": {"mode": ")" + name + R"(", "path": ")" + path + "\"}";
    };
    for (const std::string path : {"auto", "stack"})
        CHECK(said(file_of(own, target("127.0.0.1"), forwarding("nat", path))) == "accepted");
    CHECK(
        said(file_of(own, target("127.0.0.1"), forwarding("nat", "fast"))) ==
        "proxies[0].default-target.ip: \"127.0.0.1\": on this host, where only the stack delivers: expected "
        "forwarding path auto or stack");
    for (const std::string name : {"full-nat", "dsr-l2", "dsr-ipip", "dsr-gue"}) {
        CHECK(said(file_of(own, target("127.0.0.1"), mode(name))) ==
              "proxies[0].default-target.ip: \"127.0.0.1\": mode " + name +
                  " does not reach this host itself: expected mode nat or another machine's address");
        CHECK(said(file_of(v4, target("192.0.2.1"), mode(name))) ==
              "proxies[0].default-target.ip: \"192.0.2.1\": the proxy listens on it: mode " + name +
                  " needs an address of another machine");
    }
    CHECK(said(file_of(v4, target("192.0.2.1"))) == "accepted");
}

TEST_CASE("full-nat needs sources of its targets' families", "[config]")
{
    const auto pool = [](const std::string& members) { return "\"full-nat\": {" + members + "}"; };
    const std::string pool4 = R"("addresses": ["192.0.2.7"])", pool6 = R"("addresses": ["2001:db8::7"])";
    const std::string full = mode("full-nat");
    const std::string none = " address, which is needed toward targets of that family";
    CHECK(said(file_of(v4, target("10.0.0.1"), full, pool(pool4))) == "accepted");
    CHECK(said(file_of(v6, target("2001:db8::9"), full, pool(pool6))) == "accepted");
    CHECK(said(file_of(v4, target("10.0.0.1"), full, pool(pool6))) ==
          "proxies[0].forwarding.mode: \"full-nat\": settings.full-nat.addresses has no IPv4" + none);
    CHECK(said(file_of(v6, target("2001:db8::9"), full, pool(pool4))) ==
          "proxies[0].forwarding.mode: \"full-nat\": settings.full-nat.addresses has no IPv6" + none);
    CHECK(said(file_of(v4, target("10.0.0.1"), mode("nat"), pool(pool6))) == "accepted");
    CHECK(said(file_of(v4, target("192.0.2.7"), full, pool(pool4))) ==
          "proxies[0].default-target.ip: \"192.0.2.7\": one of settings.full-nat.addresses: expected an "
          "address of another machine");
    // A port of the range may be a listener's as well: replies are known by their whole tuple.
    CHECK(said(file_of(R"("port": 11211)", target("10.0.0.1"), full)) == "accepted");
}

TEST_CASE("a list that allows none of the clients is refused", "[config]")
{
    CHECK(said(file_of(v4, target("10.0.0.1"), R"("allow": ["2001:db8::/32"])")) ==
          "proxies[0].allow: [...]: no IPv4 prefix: none of the proxy's clients could connect; expected one, "
          "or an empty list");
    CHECK(said(file_of(v4, target("10.0.0.1"), R"("allow": ["2001:db8::/32", "10.0.0.0/8"])")) == "accepted");
    CHECK(said(file_of(v4, target("10.0.0.1"), R"("deny": ["2001:db8::/32"])")) == "accepted");
    CHECK(said(file_of(both, target("10.0.0.1"), R"("allow": ["::/0"], )" + mode("dsr-ipip"))) == "accepted");
}

TEST_CASE("a Maglev table has a slot for each target, and is there to be looked into", "[config]")
{
    const std::string three = R"([{"ip": "10.0.0.1", "port": 80, "weight": 30},
{"ip": "10.0.0.2", "port": 80, "weight": 30}, {"ip": "10.0.0.3", "port": 80, "weight": 40}])";
    const std::string small = R"("maglev-table-size": 2)";
    const std::string message =
        "proxies[0].default-target: [...]: 3 targets for a table of 2 slots: expected a larger "
        "maglev-table-size";
    CHECK(said(file_of(own, three, small)) == message);
    CHECK(said(file_of(own, three, "", small)) == message);
    CHECK(said(file_of(own, three, R"("maglev-table-size": "auto")", small)) == "accepted");
    CHECK(said(file_of(own, three, R"("maglev-table-size": 3)", small)) == "accepted");
    CHECK(said(file_of(own, target("10.0.0.1"), small)) == "accepted"); // no table at all
    CHECK(said(file_of(own, three, R"("algorithm": "random")", small)) == "accepted");
    CHECK(said(file_of(own, three, R"("algorithm": "source-hash", "maglev-table-size": 3)")) == "accepted");
    for (const std::string algorithm : {"round-robin", "random", "least-connections"}) {
        CHECK(said(file_of(own, three, R"("maglev-table-size": 3, "algorithm": ")" + algorithm + "\"")) ==
              "proxies[0].maglev-table-size: 3: algorithm " + algorithm +
                  " does not pick by hash: expected algorithm maglev or source-hash, or no size");
        CHECK(
            said(file_of(own, three, R"("maglev-table-size": "auto", "algorithm": ")" + algorithm + "\"")) ==
            "accepted");
    }
}

TEST_CASE("own and any addresses of two families are two listeners", "[config]")
{
    const auto two = [](const std::string& address, const std::string& first, const std::string& second) {
        const std::string listen = R"("listen": {"interfaces": ["eth0"], "port": 80)" + address + "}, ";
        return "{\"proxies\": [{\"name\": \"a\", " + listen + first + "},\n{\"name\": \"b\", " + listen +
               second + "}]}";
    };
    const std::string to4 = R"("default-target": {"ip": "10.0.0.1", "port": 80})";
    const std::string to6 = R"("default-target": {"ip": "2001:db8::2", "port": 80})";
    const std::string any = R"(, "address": "any")", there = " twice: proxies[0] listens there already";
    CHECK(said(two("", to4, to6)) == "accepted");
    CHECK(said(two(any, to4, to6)) == "accepted");
    CHECK(refusal(two("", to6, to6)) ==
          "t.json:2:1: proxies[1]: the host's own IPv6 addresses, tcp port 80 on \"eth0\"" + there);
    CHECK(refusal(two(any, to4, to6 + ", " + mode("dsr-gue"))) ==
          "t.json:2:1: proxies[1]: any IPv4 address, tcp port 80 on \"eth0\"" + there);
    CHECK(refusal(two("", to6, to4 + ", " + mode("dsr-ipip"))) ==
          "t.json:2:1: proxies[1]: the host's own IPv6 addresses, tcp port 80 on \"eth0\"" + there);
}

TEST_CASE("where a proxy has other errors, its contradictions are left out", "[config]")
{
    CHECK(said(file_of(v4, target("2001:db8::2", 0))) ==
          "proxies[0].default-target.port: 0: expected an integer 1..65535");
}

TEST_CASE("the flags are held to the same rules", "[overrides]")
{
    const Config file = accepted(file_of(v4, target("10.0.0.1"), mode("dsr-gue")));
    const auto with = [&](const Overrides& flags) {
        const auto config = apply_overrides(file, flags);
        return config ? "accepted" : config.error().message;
    };
    CHECK(with({.target = Endpoint::parse("10.0.0.2:80")}) == "accepted");
    CHECK(
        with({.target = Endpoint::parse("10.0.0.2:81")}) ==
        "with these flags: default-target.port: 81: in mode dsr-gue the target gets packets as clients send "
        "them: expected the listener's port, 80");
    CHECK(
        with({.port = u16{443}}) ==
        "with these flags: default-target.port: 80: in mode dsr-gue the target gets packets as clients send "
        "them: expected the listener's port, 443");
    const auto v6 =
        apply_overrides({}, {.interfaces = {"eth0"}, .target = Endpoint::parse("[2001:db8::1]:8080")});
    REQUIRE(v6);
    CHECK(v6->proxies[0].default_targets[0].endpoint.text() == "[2001:db8::1]:8080");
}

TEST_CASE("a Config that was made by hand is held to them too", "[plan]")
{
    Config config = accepted(file_of(v4, target("10.0.0.1")));
    CHECK(make_plan(config));
    config.proxies[0].source_routes = {
        {.source = *Prefix::parse("10.0.0.0/8"),
         .targets = {{.endpoint = *Endpoint::parse("10.0.0.2:80"), .weight = 50},
                     {.endpoint = *Endpoint::parse("[2001:db8::2]:80"), .weight = 50}}}};
    const auto plan = make_plan(config);
    REQUIRE_FALSE(plan);
    CHECK(plan.error().kind == ErrorKind::config);
    CHECK(plan.error().message ==
          "proxy web: source-routes[0].targets[1].ip: \"2001:db8::2\": IPv6, but the proxy listens on IPv4: "
          "mode nat forwards within one family");
}
