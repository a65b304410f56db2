// The configuration reader, what it accepts: every key with its default, its values and both ends of its
// range.
#include "config_text.hpp"

using namespace lb;
using namespace lb::model;
using namespace lb::test;

namespace {

ListenConfig listen_with(const std::string& members)
{
    return accepted(in_listen("{\"interfaces\": [\"eth0\"], \"port\": 80, " + members + "}"))
        .proxies[0]
        .listen;
}

Settings settings_with(const std::string& members)
{
    return accepted(in_settings("{" + members + "}")).settings;
}

u16 port_of(const std::string& port)
{
    return accepted(in_listen("{\"interfaces\": [\"eth0\"], \"port\": " + port + "}")).proxies[0].listen.port;
}

} // namespace

TEST_CASE("the smallest configuration has every default", "[config]")
{
    const Config config = accepted(in_proxy(good_proxy));
    REQUIRE(config.proxies.size() == 1);
    const ProxyConfig& proxy = config.proxies[0];
    CHECK(proxy.name == "web");
    CHECK(proxy.listen.interfaces == std::vector<std::string>{"eth0"});
    CHECK(proxy.listen.egress_interfaces.empty());
    CHECK(proxy.listen.port == 80);
    CHECK(proxy.listen.kind == AddressKind::own);
    CHECK(proxy.listen.addresses.empty());
    CHECK(proxy.listen.tcp);
    CHECK(proxy.listen.udp);
    REQUIRE(proxy.default_targets.size() == 1);
    CHECK(proxy.default_targets[0].endpoint.text() == "10.0.0.1:8080");
    CHECK(proxy.default_targets[0].weight == 100);
    CHECK(proxy.source_routes.empty());
    CHECK(proxy.weight_mode == WeightMode::percent);
    CHECK_FALSE(config.settings.stats_enabled);
    CHECK(config.settings.connection_timeout.count() == 300);
    CHECK(config.settings.max_connections == 100000);
    CHECK(config.settings.xdp_mode == XdpMode::automatic);
    CHECK(config.settings.instance == "default");
    CHECK(config.settings.on_exit == OnExit::detach);
    CHECK(config.settings.log_level == LogLevel::info);
    CHECK(config.settings.log_format == LogFormat::text);
}

TEST_CASE("a configuration with every key is read as it is written", "[config]")
{
    const Config config = accepted(R"(
        # a comment of each kind: /* this */ and // that
        {"proxies": [{
            "name": "Web.1_a-b",
            "listen": {"interfaces": ["eth1", "eth0"], "egress-interfaces": ["eth2"], "port": 443,
                       "address": ["192.0.2.1", "192.0.2.2"], "protocol": "tcp"},
            "weight-mode": "relative",
            "default-target": [{"ip": "10.0.0.1", "port": 8443, "weight": 7}, {"ip": "10.0.0.2", "port": 8444,
                                "weight": 0}],
            "source-routes": [{"source": "192.168.0.0/16", "target": {"ip": "10.0.1.1", "port": 1}},
                              {"source": "10.1.1.1", "targets": [{"ip": "10.0.1.2", "port": 2, "weight": 3}]}],
          },
          {"name": "dns", "listen": {"interfaces": ["eth0"], "port": 53, "address": "any", "protocol": "udp"},
           "default-target": {"ip": "127.0.0.1", "port": 5353}}],
         "settings": {"stats-enabled": true, "connection-timeout-sec": 10, "max-connections": 20,
                      "xdp-mode": "generic", "instance": "two", "on-exit": "keep",
                      "log": {"level": "warn", "format": "json"}},
        })");
    REQUIRE(config.proxies.size() == 2);
    const ProxyConfig& web = config.proxies[0];
    CHECK(web.name == "Web.1_a-b");
    CHECK(web.listen.interfaces == std::vector<std::string>{"eth1", "eth0"});
    CHECK(web.listen.egress_interfaces == std::vector<std::string>{"eth2"});
    CHECK(web.listen.port == 443);
    CHECK(web.listen.kind == AddressKind::given);
    REQUIRE(web.listen.addresses.size() == 2);
    CHECK(web.listen.addresses[0].text() == "192.0.2.1");
    CHECK(web.listen.addresses[1].text() == "192.0.2.2");
    CHECK(web.listen.tcp);
    CHECK_FALSE(web.listen.udp);
    CHECK(web.weight_mode == WeightMode::relative);
    REQUIRE(web.default_targets.size() == 2);
    CHECK(web.default_targets[0].endpoint.text() == "10.0.0.1:8443");
    CHECK(web.default_targets[0].weight == 7);
    CHECK(web.default_targets[1].endpoint.text() == "10.0.0.2:8444");
    CHECK(web.default_targets[1].weight == 0);
    REQUIRE(web.source_routes.size() == 2);
    CHECK(web.source_routes[0].source.text() == "192.168.0.0/16");
    REQUIRE(web.source_routes[0].targets.size() == 1);
    CHECK(web.source_routes[0].targets[0].endpoint.text() == "10.0.1.1:1");
    CHECK(web.source_routes[0].targets[0].weight == 100);
    CHECK(web.source_routes[1].source.text() == "10.1.1.1/32");
    REQUIRE(web.source_routes[1].targets.size() == 1);
    CHECK(web.source_routes[1].targets[0].endpoint.text() == "10.0.1.2:2");
    CHECK(web.source_routes[1].targets[0].weight == 3);
    CHECK(config.proxies[1].listen.kind == AddressKind::any);
    CHECK_FALSE(config.proxies[1].listen.tcp);
    CHECK(config.proxies[1].listen.udp);
    CHECK(config.proxies[1].default_targets[0].endpoint.text() == "127.0.0.1:5353");
    CHECK(config.settings.stats_enabled);
    CHECK(config.settings.connection_timeout.count() == 10);
    CHECK(config.settings.max_connections == 20);
    CHECK(config.settings.xdp_mode == XdpMode::generic);
    CHECK(config.settings.instance == "two");
    CHECK(config.settings.on_exit == OnExit::keep);
    CHECK(config.settings.log_level == LogLevel::warn);
    CHECK(config.settings.log_format == LogFormat::json);
}

TEST_CASE("every word of a choice has its meaning", "[config]")
{
    CHECK(listen_with(R"("protocol": "tcp")").tcp);
    CHECK_FALSE(listen_with(R"("protocol": "tcp")").udp);
    CHECK_FALSE(listen_with(R"("protocol": "udp")").tcp);
    CHECK(listen_with(R"("protocol": "udp")").udp);
    CHECK(listen_with(R"("protocol": "both")").tcp);
    CHECK(listen_with(R"("protocol": "both")").udp);
    CHECK(settings_with(R"("xdp-mode": "auto")").xdp_mode == XdpMode::automatic);
    CHECK(settings_with(R"("xdp-mode": "native")").xdp_mode == XdpMode::native);
    CHECK(settings_with(R"("xdp-mode": "generic")").xdp_mode == XdpMode::generic);
    CHECK(settings_with(R"("on-exit": "detach")").on_exit == OnExit::detach);
    CHECK(settings_with(R"("on-exit": "keep")").on_exit == OnExit::keep);
    CHECK(settings_with(R"("log": {"format": "text"})").log_format == LogFormat::text);
    CHECK(settings_with(R"("log": {"format": "json"})").log_format == LogFormat::json);
    CHECK(settings_with(R"("log": {"level": "trace"})").log_level == LogLevel::trace);
    CHECK(settings_with(R"("log": {"level": "debug"})").log_level == LogLevel::debug);
    CHECK(settings_with(R"("log": {"level": "info"})").log_level == LogLevel::info);
    CHECK(settings_with(R"("log": {"level": "warn"})").log_level == LogLevel::warn);
    CHECK(settings_with(R"("log": {"level": "error"})").log_level == LogLevel::error);
    CHECK(accepted(in_good_proxy(R"("weight-mode": "percent")")).proxies[0].weight_mode ==
          WeightMode::percent);
    CHECK(accepted(in_good_proxy(R"("weight-mode": "relative")")).proxies[0].weight_mode ==
          WeightMode::relative);
    CHECK_FALSE(settings_with(R"("stats-enabled": false)").stats_enabled);
    CHECK(settings_with(R"("stats-enabled": true)").stats_enabled);
}

TEST_CASE("numbers are taken at both ends of their ranges", "[config]")
{
    CHECK(port_of("1") == 1);
    CHECK(port_of("65535") == 65535);
    CHECK(
        accepted(in_target(R"({"ip": "10.0.0.1", "port": 1})")).proxies[0].default_targets[0].endpoint.port ==
        1);
    CHECK(accepted(in_target(R"({"ip": "10.0.0.1", "port": 65535})"))
              .proxies[0]
              .default_targets[0]
              .endpoint.port == 65535);
    CHECK(settings_with(R"("connection-timeout-sec": 1)").connection_timeout.count() == 1);
    CHECK(settings_with(R"("connection-timeout-sec": 604800)").connection_timeout.count() ==
          604800); // a week
    CHECK(settings_with(R"("max-connections": 1)").max_connections == 1);
    CHECK(settings_with(R"("max-connections": 10000000)").max_connections == 10000000);
}

TEST_CASE("lists are taken up to their greatest length", "[config]")
{
    const auto interface = [](std::size_t i) { return "\"eth" + std::to_string(i) + "\""; };
    const auto address = [](std::size_t i) { return "\"192.0.2." + std::to_string(i) + "\""; };
    CHECK(accepted(in_interfaces(list_of(64, interface))).proxies[0].listen.interfaces.size() == 64);
    CHECK(listen_with("\"egress-interfaces\": " + list_of(64, interface)).egress_interfaces.size() == 64);
    CHECK(accepted(in_address(list_of(256, address))).proxies[0].listen.addresses.size() == 256);
    const auto proxy = [](std::size_t i) {
        return R"({"name": "p)" + std::to_string(i) + R"(", "listen": {"interfaces": ["eth0"], "port": )" +
               std::to_string(i + 1) + "}, " + good_target + "}";
    };
    CHECK(accepted(in_proxies(list_of(1024, proxy))).proxies.size() == 1024);
}

TEST_CASE("names are taken up to their greatest length", "[config]")
{
    CHECK(accepted(in_name("\"" + std::string(63, 'n') + "\"")).proxies[0].name.size() == 63);
    CHECK(accepted(in_name("\"AZaz09._-\"")).proxies[0].name == "AZaz09._-");
    CHECK(settings_with("\"instance\": \"" + std::string(31, 'i') + "\"").instance.size() == 31);
    CHECK(settings_with(R"("instance": "-AZaz09._")").instance == "-AZaz09._");
    CHECK(accepted(in_interfaces(R"(["eth0.123456-789"])")).proxies[0].listen.interfaces[0].size() == 15);
    // What the kernel allows: anything but blanks, '/' and ':'.
    CHECK(accepted(in_interfaces("[\"a@b!\xc3\xa4\", \"...\"]")).proxies[0].listen.interfaces[0] ==
          "a@b!\xc3\xa4");
}

TEST_CASE("an address is one, a list of them, or any", "[config]")
{
    CHECK(listen_with(R"("address": "192.0.2.1")").kind == AddressKind::given);
    CHECK(listen_with(R"("address": "192.0.2.1")").addresses[0].text() == "192.0.2.1");
    CHECK(listen_with(R"("address": ["192.0.2.1"])").addresses.size() == 1);
    CHECK(listen_with(R"("address": "any")").kind == AddressKind::any);
    CHECK(listen_with(R"("address": "any")").addresses.empty());
    CHECK(listen_with(R"("address": "127.0.0.1")").addresses[0].text() == "127.0.0.1");
}

TEST_CASE("a target may be of this host, 127.0.0.1 too", "[config]")
{
    for (const char* ip : {"127.0.0.1", "127.255.255.254", "1.0.0.0", "223.255.255.255", "240.0.0.1"}) {
        const Config config = accepted(in_target("{\"ip\": \"" + std::string(ip) + "\", \"port\": 80}"));
        CHECK(config.proxies[0].default_targets[0].endpoint.ip.text() == ip);
    }
}

TEST_CASE("an empty section changes nothing", "[config]")
{
    CHECK(accepted(in_settings("{}")).settings.instance == "default");
    CHECK(settings_with("\"log\": {}").log_level == LogLevel::info);
    CHECK(accepted(in_routes("[]")).proxies[0].source_routes.empty());
}
