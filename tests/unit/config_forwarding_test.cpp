// The configuration reader: how a proxy picks and forwards, and the settings that go with it.
#include "config_text.hpp"

using namespace lb;
using namespace lb::model;
using namespace lb::test;
using namespace std::chrono_literals;

namespace {

// A proxy that every mode and algorithm takes: its target has the listener's port.
std::string in_plain_proxy(const std::string& part)
{
    return one_proxy(
        good_name + ", " + good_listen + R"(, "default-target": {"ip": "10.0.0.1", "port": 80},)", part);
}

ProxyConfig proxy_with(const std::string& part) { return accepted(in_plain_proxy(part)).proxies[0]; }

Settings settings_with(const std::string& members)
{
    return accepted(in_settings("{" + members + "}")).settings;
}

} // namespace

TEST_CASE("what is not said of picking and forwarding has its default", "[config]")
{
    const Config config = accepted(in_proxy(good_proxy));
    const ProxyConfig& proxy = config.proxies[0];
    CHECK(proxy.algorithm == Algorithm::maglev);
    CHECK_FALSE(proxy.maglev_table_size);
    CHECK_FALSE(proxy.persistence);
    CHECK(proxy.forwarding.mode == ForwardingMode::nat);
    CHECK(proxy.forwarding.path == ForwardingPath::automatic);
    CHECK(config.settings.maglev_table_size == 0);
    CHECK_FALSE(config.settings.timeouts.tcp_half_open);
    CHECK_FALSE(config.settings.timeouts.tcp_closing);
    CHECK_FALSE(config.settings.timeouts.tcp_closed);
    CHECK_FALSE(config.settings.timeouts.udp);
    CHECK_FALSE(config.settings.timeouts.udp_one_way);
    CHECK(config.settings.full_nat.addresses.empty());
    CHECK(config.settings.full_nat.port_first == 10000);
    CHECK(config.settings.full_nat.port_last == 29999);
}

TEST_CASE("every algorithm, mode and path is read by its word", "[config]")
{
    const std::pair<const char*, Algorithm> algorithms[] = {
        {"maglev", Algorithm::maglev},
        {"round-robin", Algorithm::round_robin},
        {"random", Algorithm::random},
        {"least-connections", Algorithm::least_connections},
        {"source-hash", Algorithm::source_hash}};
    for (const auto& [word, algorithm] : algorithms) {
        CHECK(proxy_with("\"algorithm\": \"" + std::string(word) + "\"").algorithm == algorithm);
        CHECK(name_of(algorithm) == word);
    }
    const std::pair<const char*, ForwardingMode> modes[] = {{"nat", ForwardingMode::nat},
                                                            {"full-nat", ForwardingMode::full_nat},
                                                            {"dsr-l2", ForwardingMode::dsr_l2},
                                                            {"dsr-ipip", ForwardingMode::dsr_ipip},
                                                            {"dsr-gue", ForwardingMode::dsr_gue}};
    for (const auto& [word, mode] : modes) {
        CHECK(proxy_with(R"("forwarding": {"mode": ")" + std::string(word) + "\"}").forwarding.mode == mode);
        CHECK(name_of(mode) == word);
    }
    const auto path = [](const std::string& word) {
        return proxy_with(R"("forwarding": {"path": ")" + word + "\"}").forwarding.path;
    };
    CHECK(path("auto") == ForwardingPath::automatic);
    CHECK(path("stack") == ForwardingPath::stack);
    CHECK(path("fast") == ForwardingPath::fast);
}

TEST_CASE("session-persistence is off, on for an hour, or on for a time", "[config]")
{
    CHECK_FALSE(proxy_with(R"("session-persistence": false)").persistence);
    CHECK(proxy_with(R"("session-persistence": true)").persistence == 3600s);
    CHECK(proxy_with(R"("session-persistence": {})").persistence == 3600s);
    CHECK(proxy_with(R"("session-persistence": {"timeout-sec": 1})").persistence == 1s);
    CHECK(proxy_with(R"("session-persistence": {"timeout-sec": 604800})").persistence == 604800s);
}

TEST_CASE("the port of dsr-gue is 6080 or what is written, and no other mode has one", "[config]")
{
    CHECK(proxy_with(R"("forwarding": {"mode": "dsr-gue"})").forwarding.gue_port == 6080);
    CHECK(proxy_with(R"("forwarding": {"mode": "dsr-gue", "port": 1})").forwarding.gue_port == 1);
    CHECK(proxy_with(R"("forwarding": {"mode": "dsr-gue", "port": 65535})").forwarding.gue_port == 65535);
    const std::string none = R"(: expected no port, or "mode": "dsr-gue", which alone has one)";
    check_refusals(in_plain_proxy,
                   {{R"("forwarding": {"mode": "dsr-ipip", "port": 6080})",
                     "44: proxies[0].forwarding.port: 6080" + none},
                    {R"("forwarding": {"port": 7})", "24: proxies[0].forwarding.port: 7" + none}});
}

TEST_CASE("a table size is a prime or auto, for all proxies or for one", "[config]")
{
    for (const u32 size : {2u, 3u, 251u, 8191u, 65537u, 131071u}) {
        const std::string part = R"("maglev-table-size": )" + std::to_string(size);
        CHECK(proxy_with(part).maglev_table_size == size);
        CHECK(settings_with(part).maglev_table_size == size);
    }
    CHECK(proxy_with(R"("maglev-table-size": "auto")").maglev_table_size == 0u); // whatever the settings say
    CHECK(settings_with(R"("maglev-table-size": "auto")").maglev_table_size == 0);
    const std::string prime = R"(: expected a prime from 2 to 131071, or "auto": the nearest are )";
    check_refusals(
        in_settings,
        {{R"({"maglev-table-size": 8192})", "23: settings.maglev-table-size: 8192" + prime + "8191 and 8209"},
         {R"({"maglev-table-size": 4})", "23: settings.maglev-table-size: 4" + prime + "3 and 5"},
         {R"({"maglev-table-size": 131070})",
          "23: settings.maglev-table-size: 131070" + prime + "131063 and 131071"},
         {R"({"maglev-table-size": 1})", "23: settings.maglev-table-size: 1: expected an integer 2..131071"},
         {R"({"maglev-table-size": 131101})",
          "23: settings.maglev-table-size: 131101: expected an integer 2..131071"},
         {R"({"maglev-table-size": "8191"})",
          R"(23: settings.maglev-table-size: "8191": expected a prime from 2 to )"
          R"(131071, or "auto")"}});
}

TEST_CASE("each timeout is read on its own", "[config]")
{
    const TimeoutsConfig all =
        settings_with(R"("timeouts": {"tcp-half-open-sec": 1, "tcp-closing-sec": 2, "tcp-closed-sec": 3,
                         "udp-sec": 4, "udp-one-way-sec": 604800})")
            .timeouts;
    CHECK(all.tcp_half_open == 1s);
    CHECK(all.tcp_closing == 2s);
    CHECK(all.tcp_closed == 3s);
    CHECK(all.udp == 4s);
    CHECK(all.udp_one_way == 604800s);
    const TimeoutsConfig one = settings_with(R"("timeouts": {"udp-sec": 9})").timeouts;
    CHECK(one.udp == 9s);
    CHECK_FALSE(one.tcp_half_open);
    CHECK_FALSE(one.udp_one_way);
}

TEST_CASE("full-nat has addresses of both families and a range of ports", "[config]")
{
    const FullNatConfig pool =
        settings_with(R"("full-nat": {"addresses": ["192.0.2.7", "2001:db8::7"], "ports": "1024-65535"})")
            .full_nat;
    REQUIRE(pool.addresses.size() == 2);
    CHECK(pool.addresses[0].text() == "192.0.2.7");
    CHECK(pool.addresses[1].text() == "2001:db8::7");
    CHECK(pool.port_first == 1024);
    CHECK(pool.port_last == 65535);
    const FullNatConfig one = settings_with(R"("full-nat": {"ports": "40000-40000"})").full_nat;
    CHECK(one.port_first == 40000);
    CHECK(one.port_last == 40000);
    CHECK(one.addresses.empty());
}

TEST_CASE("an address or a range of ports that full-nat can't use is refused", "[config]")
{
    const std::string form =
        ": expected two ports from 1024 to 65535, the lower first, such as \"32768-60999\"";
    for (const char* ports : {"60999-32768", "1023-2000", "2000-65536", "2000", "2000-", "-2000", "", "-",
                              "2000-3000-4000", " 2000-3000", "02000-3000", "+2000-3000", "2000 - 3000"}) {
        CHECK(refusal(in_settings(R"({"full-nat": {"ports": ")" + std::string(ports) + "\"}}")) ==
              "t.json:2:24: settings.full-nat.ports: \"" + std::string(ports) + "\"" + form);
    }
    const std::string answer = ": expected an address that targets can answer";
    const Refusal rows[] = {{"0.0.0.0", ": the unspecified address" + answer},
                            {"::", ": the unspecified address" + answer},
                            {"127.0.0.1", ": a loopback address" + answer},
                            {"::1", ": a loopback address" + answer},
                            {"fe80::1", ": a link-local address" + answer},
                            {"224.0.0.1", ": a multicast address" + answer},
                            {"::ffff:10.0.0.1", ": an IPv4-mapped address" + answer},
                            {"10.0.0.0/8", ": expected an IP address"}};
    for (const Refusal& row : rows)
        CHECK(refusal(in_settings(R"({"full-nat": {"addresses": [")" + row.part + "\"]}}")) ==
              "t.json:2:29: settings.full-nat.addresses[0]: \"" + row.part + "\"" + row.message);
    check_refusals(in_settings,
                   {{R"({"full-nat": {"addresses": ["10.0.0.1", "10.0.0.1"]}})",
                     R"(41: settings.full-nat.addresses[1]: "10.0.0.1": the same address twice)"},
                    {R"({"full-nat": {"addresses": []}})",
                     "28: settings.full-nat.addresses: []: expected a list of at least one IP address"}});
    const auto address = [](std::size_t i) {
        return "\"10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1) + "\"";
    };
    CHECK(settings_with(R"("full-nat": {"addresses": )" + list_of(256, address) + "}")
              .full_nat.addresses.size() == 256);
    CHECK(refusal(in_settings(R"({"full-nat": {"addresses": )" + list_of(257, address) + "}}")) ==
          "t.json:2:28: settings.full-nat.addresses: 257 elements: expected at most 256");
}
