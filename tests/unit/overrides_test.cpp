// The flags -i, -p, -t and -s, over a configuration file and in place of one.
#include "model/overrides.hpp"

#include <catch2/catch.hpp>

using namespace lb;
using namespace lb::model;

namespace {

const Endpoint flag_target = *Endpoint::parse("10.9.9.9:99");

Config file_of(std::size_t proxies)
{
    Config config;
    for (std::size_t i = 0; i < proxies; ++i) {
        ProxyConfig proxy;
        proxy.name = "p" + std::to_string(i);
        proxy.listen.interfaces = {"eth0", "eth1"};
        proxy.listen.port = 443;
        proxy.listen.udp = false;
        proxy.weight_mode = WeightMode::relative;
        proxy.default_targets = {{.endpoint = *Endpoint::parse("10.0.0.1:8443"), .weight = 3},
                                 {.endpoint = *Endpoint::parse("10.0.0.2:8443"), .weight = 5}};
        proxy.source_routes = {{.source = *Prefix::parse("192.168.0.0/16"),
                                .targets = {{.endpoint = *Endpoint::parse("10.0.1.1:8443")}}}};
        config.proxies.push_back(proxy);
    }
    config.settings.instance = "of the file";
    return config;
}

Config applied(std::optional<Config> file, const Overrides& flags)
{
    const auto config = apply_overrides(std::move(file), flags);
    if (!config) FAIL(config.error().message);
    return *config;
}

std::string refusal(std::optional<Config> file, const Overrides& flags)
{
    const auto config = apply_overrides(std::move(file), flags);
    if (config) return "accepted";
    CHECK(config.error().kind == ErrorKind::usage);
    return config.error().message;
}

} // namespace

TEST_CASE("without a file the flags make the configuration, with defaults for what they don't say",
          "[overrides]")
{
    const Config config = applied({}, {.interfaces = {"eth0"}});
    REQUIRE(config.proxies.size() == 1);
    const ProxyConfig& proxy = config.proxies[0];
    CHECK(proxy.name == "default");
    CHECK(proxy.listen.interfaces == std::vector<std::string>{"eth0"});
    CHECK(proxy.listen.egress_interfaces.empty());
    CHECK(proxy.listen.port == 80);
    CHECK(proxy.listen.kind == AddressKind::own);
    CHECK(proxy.listen.tcp);
    CHECK(proxy.listen.udp);
    REQUIRE(proxy.default_targets.size() == 1);
    CHECK(proxy.default_targets[0].endpoint.text() == "127.0.0.1:8080");
    CHECK(proxy.default_targets[0].weight == 100);
    CHECK(proxy.source_routes.empty());
    CHECK(config.settings.instance == "default");
    CHECK_FALSE(config.settings.stats_enabled);

    const Config all =
        applied({}, {.interfaces = {"eth1", "eth0"}, .port = u16{53}, .target = flag_target, .stats = true});
    CHECK(all.proxies[0].listen.interfaces == std::vector<std::string>{"eth1", "eth0"});
    CHECK(all.proxies[0].listen.port == 53);
    CHECK(all.proxies[0].default_targets[0].endpoint.text() == "10.9.9.9:99");
    CHECK(all.settings.stats_enabled);
}

TEST_CASE("without a file an interface is required", "[overrides]")
{
    const std::string required =
        "-i is required without a configuration file: the interface that connections arrive at";
    CHECK(refusal({}, {}) == required);
    CHECK(refusal({}, {.port = u16{80}, .target = flag_target, .stats = true}) == required);
}

TEST_CASE("each flag changes its part of a file with one proxy, and nothing else", "[overrides]")
{
    const Config by_interface = applied(file_of(1), {.interfaces = {"eth9"}});
    CHECK(by_interface.proxies[0].listen.interfaces == std::vector<std::string>{"eth9"});
    CHECK(by_interface.proxies[0].listen.port == 443);
    CHECK(by_interface.proxies[0].default_targets.size() == 2);

    const Config by_port = applied(file_of(1), {.port = u16{80}});
    CHECK(by_port.proxies[0].listen.port == 80);
    CHECK(by_port.proxies[0].listen.interfaces == std::vector<std::string>{"eth0", "eth1"});
    CHECK(by_port.proxies[0].default_targets.size() == 2);

    const Config by_target = applied(file_of(1), {.target = flag_target});
    REQUIRE(by_target.proxies[0].default_targets.size() == 1);
    CHECK(by_target.proxies[0].default_targets[0].endpoint.text() == "10.9.9.9:99");
    CHECK(by_target.proxies[0].default_targets[0].weight == 100);
    CHECK(by_target.proxies[0].listen.port == 443);
    CHECK_FALSE(by_target.settings.stats_enabled);

    for (const Config& config : {by_interface, by_port, by_target}) {
        CHECK(config.proxies[0].name == "p0");
        CHECK_FALSE(config.proxies[0].listen.udp);
        CHECK(config.proxies[0].source_routes.size() == 1);
        CHECK(config.settings.instance == "of the file");
    }
}

TEST_CASE("over a file with no or several proxies, what concerns one proxy is refused", "[overrides]")
{
    const auto said = [](const char* count) {
        return "-i, -p and -t change the file's proxy where it has exactly one; this one has " +
               std::string(count) + ": change the file instead";
    };
    CHECK(refusal(file_of(2), {.interfaces = {"eth9"}}) == said("2"));
    CHECK(refusal(file_of(2), {.port = u16{80}}) == said("2"));
    CHECK(refusal(file_of(3), {.target = flag_target}) == said("3"));
    CHECK(refusal(file_of(0), {.port = u16{80}}) == said("0"));
}

TEST_CASE("-s goes over any file, and never turns statistics off", "[overrides]")
{
    CHECK(applied(file_of(2), {.stats = true}).settings.stats_enabled);
    CHECK_FALSE(applied(file_of(2), {}).settings.stats_enabled);
    Config file = file_of(1);
    file.settings.stats_enabled = true;
    CHECK(applied(file, {}).settings.stats_enabled);
}

TEST_CASE("a flag's value is held to the rules of the file", "[overrides]")
{
    const std::string name_form =
        ": expected the name of an interface: 1..15 bytes without blanks, '/' and ':'";
    struct Row {
        Overrides flags;
        std::string message;
    };
    const Row rows[] = {
        {{.interfaces = {""}}, "-i \"\"" + name_form},
        {{.interfaces = {"eth0", "a b"}}, "-i \"a b\"" + name_form},
        {{.interfaces = {"eth0.1234567890x"}}, "-i \"eth0.1234567890x\"" + name_form},
        {{.interfaces = {"eth0", "eth1", "eth0"}}, "-i eth0: the same interface twice"},
        {{.interfaces = {"eth0"}, .port = u16{0}}, "-p 0: expected an integer 1..65535"},
        {{.interfaces = {"eth0"}, .target = Endpoint{flag_target.ip, 0}},
         "-t 10.9.9.9:0: expected a port 1..65535"},
        {{.interfaces = {"eth0"}, .target = Endpoint::parse("0.0.0.0:80")},
         "-t 0.0.0.0:80: the unspecified address: expected the address of a host"},
        {{.interfaces = {"eth0"}, .target = Endpoint::parse("224.0.0.1:80")},
         "-t 224.0.0.1:80: a multicast address: expected the address of a host"},
        {{.interfaces = {"eth0"}, .target = Endpoint::parse("[::1]:80")},
         "-t [::1]:80: IPv6 has no way to route to its loopback address: expected another address of this "
         "host"},
    };
    for (const Row& row : rows) {
        CHECK(refusal({}, row.flags) == row.message);
        CHECK(refusal(file_of(1), row.flags) == row.message);
    }
    Overrides many;
    for (int i = 0; i < 64; ++i) many.interfaces.push_back("eth" + std::to_string(i));
    CHECK(applied({}, many).proxies[0].listen.interfaces.size() == 64);
    many.interfaces.emplace_back("eth64");
    CHECK(refusal({}, many) == "-i: 65 interfaces: expected at most 64");
}
