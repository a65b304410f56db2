// From a configuration to a plan: the listeners and their order.
#include "model/plan.hpp"

#include <catch2/catch.hpp>

using namespace lb;
using namespace lb::model;

namespace {

struct Listen {
    std::vector<std::string> interfaces = {"eth0"};
    u16 port = 80;
    const char* address = "own"; // "own", "any" or addresses with blanks between them
    const char* protocol = "both";
};

ProxyConfig proxy(std::size_t number, const Listen& listen)
{
    ProxyConfig made;
    made.name = "p" + std::to_string(number);
    made.listen.interfaces = listen.interfaces;
    made.listen.port = listen.port;
    made.listen.tcp = std::string_view(listen.protocol) != "udp";
    made.listen.udp = std::string_view(listen.protocol) != "tcp";
    std::string_view rest = listen.address;
    if (rest == "any") made.listen.kind = AddressKind::any;
    if (rest != "any" && rest != "own") {
        made.listen.kind = AddressKind::given;
        while (!rest.empty()) {
            const auto end = std::min(rest.find(' '), rest.size());
            made.listen.addresses.push_back(*IpAddress::parse(rest.substr(0, end)));
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
    }
    made.default_targets = {{.endpoint = *Endpoint::parse("10.0.0.1:80")}};
    return made;
}

// "proxy protocol port address [interfaces]" of every listener of the plan.
std::vector<std::string> planned(std::initializer_list<Listen> listens)
{
    Config config;
    for (const Listen& listen : listens) config.proxies.push_back(proxy(config.proxies.size(), listen));
    const auto plan = make_plan(config);
    REQUIRE(plan);
    std::vector<std::string> lines;
    for (const PlanListener& each : plan->listeners) {
        std::string line = std::to_string(each.proxy) + (each.protocol == Protocol::tcp ? " tcp " : " udp ") +
                           std::to_string(each.port) + " " +
                           (each.kind == AddressKind::given ? each.address.text()
                            : each.kind == AddressKind::own ? "own"
                                                            : "any");
        for (const auto& name : each.interfaces) line += " " + name;
        lines.push_back(line);
    }
    return lines;
}

using Lines = std::vector<std::string>;

} // namespace

TEST_CASE("a proxy listens once per protocol and address", "[plan]")
{
    CHECK(planned({{.protocol = "both"}}) == Lines{"0 tcp 80 own", "0 udp 80 own"});
    CHECK(planned({{.protocol = "tcp"}}) == Lines{"0 tcp 80 own"});
    CHECK(planned({{.protocol = "udp"}}) == Lines{"0 udp 80 own"});
    CHECK(planned({{.address = "any", .protocol = "udp"}}) == Lines{"0 udp 80 any"});
    CHECK(planned({{.address = "192.0.2.2 192.0.2.1"}}) ==
          Lines{"0 tcp 80 192.0.2.1", "0 tcp 80 192.0.2.2", "0 udp 80 192.0.2.1", "0 udp 80 192.0.2.2"});
}

TEST_CASE("listeners are ordered by port, protocol, and then given before own before any", "[plan]")
{
    CHECK(planned({{.port = 443, .address = "any", .protocol = "tcp"},
                   {.port = 443, .address = "own", .protocol = "tcp"},
                   {.port = 443, .address = "203.0.113.1", .protocol = "tcp"},
                   {.port = 443, .address = "9.0.0.200", .protocol = "tcp"},
                   {.port = 443, .address = "192.0.2.1", .protocol = "udp"},
                   {.port = 80, .address = "any", .protocol = "udp"},
                   {.port = 80, .address = "any", .protocol = "tcp"}}) ==
          Lines{"6 tcp 80 any", "5 udp 80 any", "3 tcp 443 9.0.0.200", "2 tcp 443 203.0.113.1",
                "1 tcp 443 own", "0 tcp 443 any", "4 udp 443 192.0.2.1"});
}

TEST_CASE("a listener on every interface of the plan compares none, another names its own, sorted", "[plan]")
{
    CHECK(planned({{.interfaces = {"eth1", "eth0"}, .port = 80, .protocol = "tcp"},
                   {.interfaces = {"eth0", "eth1"}, .port = 81, .protocol = "tcp"}}) ==
          Lines{"0 tcp 80 own", "1 tcp 81 own"});
    CHECK(planned({{.interfaces = {"eth2", "eth0"}, .port = 80, .protocol = "tcp"},
                   {.interfaces = {"eth1", "eth0", "eth2"}, .port = 81, .protocol = "tcp"},
                   {.interfaces = {"eth1"}, .port = 82, .protocol = "tcp"}}) ==
          Lines{"0 tcp 80 own eth0 eth2", "1 tcp 81 own", "2 tcp 82 own eth1"});
}

TEST_CASE("listeners of the same port and kind on different interfaces stay in the configuration's order",
          "[plan]")
{
    CHECK(
        planned({{.interfaces = {"eth1"}, .protocol = "tcp"}, {.interfaces = {"eth0"}, .protocol = "tcp"}}) ==
        Lines{"0 tcp 80 own eth1", "1 tcp 80 own eth0"});
}
