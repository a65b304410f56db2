// The configuration reader, keys: those that are missing, unknown, misspelt, repeated, or of a later version.
#include "config_text.hpp"

using namespace lb;
using namespace lb::test;

namespace {

constexpr const char* not_yet = ": this version of lb does not have it yet";

// An object with one member, whose value can't be right for whatever is read there.
std::string only(const std::string& key) { return "{\"" + key + "\": null}"; }

} // namespace

TEST_CASE("a key that must be there is missed at its object", "[config]")
{
    check_refusals(in_root,
                   {{"{}", "1: proxies: missing: expected a list of at least one proxy"},
                    {" {\"settings\": {}}", "2: proxies: missing: expected a list of at least one proxy"}});
    check_refusals(
        in_proxy,
        {{"{" + good_listen + "," + good_target + "}", "1: proxies[0].name: missing: expected a name"},
         {"{" + good_name + "," + good_target + "}",
          "1: proxies[0].listen: missing: expected an object with interfaces and port"},
         {"{" + good_name + "," + good_listen + "}",
          "1: proxies[0].default-target: missing: expected a target or a list of targets"},
         {good_proxy + R"(, {"listen": {"interfaces": ["eth1"], "port": 80}, )" + good_target + "}",
          std::to_string(good_proxy.size() + 3) + ": proxies[1].name: missing: expected a name"}});
    check_refusals(
        in_listen,
        {{R"({"port": 80})",
          "1: proxies[0].listen.interfaces: missing: expected a list of at least one interface's name"},
         {R"({"interfaces": ["eth0"]})",
          "1: proxies[0].listen.port: missing: expected an integer 1..65535"}});
    check_refusals(
        in_target,
        {{R"({"port": 80})", "1: proxies[0].default-target.ip: missing: expected an IP address"},
         {R"({"ip": "10.0.0.1"})",
          "1: proxies[0].default-target.port: missing: expected an integer 1..65535"},
         {R"([{"port": 80}])", "2: proxies[0].default-target[0].ip: missing: expected an IP address"}});
    check_refusals(
        in_routes,
        {{R"([{"target": {"ip": "10.0.0.1", "port": 80}}])",
          "2: proxies[0].source-routes[0].source: missing: expected an IP address or a prefix such as "
          "192.168.0.0/16"},
         {R"([{"source": "10.0.0.0/8"}])",
          R"(2: proxies[0].source-routes[0]: expected "target" or "targets")"}});
}

TEST_CASE("an unknown key is refused with those that could stand there", "[config]")
{
    check_refusals(in_root, {{"{\"proxies\": [" + good_proxy + "], \"zzzzzz\": 1}",
                              std::to_string(good_proxy.size() + 17) +
                                  R"(: zzzzzz: unknown key: expected one of "proxies", "settings")"}});
    check_refusals(
        in_good_proxy,
        {{R"("zzzzzz": 1)",
          R"(1: proxies[0].zzzzzz: unknown key: expected one of "name", "listen", )"
          R"("default-target", "source-routes", "weight-mode", "algorithm", "maglev-table-size", )"
          R"("session-persistence", "forwarding", "allow", "deny", "rate-limits", "health-check", "all-unhealthy")"},
         {R"("session-persistence": {"zzzzzz": 1})",
          R"(25: proxies[0].session-persistence.zzzzzz: unknown key: expected one of "timeout-sec")"},
         {R"("forwarding": {"zzzzzz": 1})",
          R"(16: proxies[0].forwarding.zzzzzz: unknown key: expected one of "mode", "path", "port")"},
         {R"("rate-limits": {"zzzzzz": 1})",
          R"(17: proxies[0].rate-limits.zzzzzz: unknown key: expected one of "per-source", )"
          R"("per-target")"},
         {R"("rate-limits": {"per-source": {"zzzzzz": 1}})",
          R"(32: proxies[0].rate-limits.per-source.zzzzzz: unknown key: expected one of )"
          R"("requests-per-sec", "burst", "packets-per-sec", "packets-burst", "prefix-length-ipv4", )"
          R"("prefix-length-ipv6")"},
         {R"("rate-limits": {"per-target": {"prefix-length-ipv4": 24}})",
          R"(32: proxies[0].rate-limits.per-target.prefix-length-ipv4: unknown key: expected one of )"
          R"("requests-per-sec", "burst", "packets-per-sec", "packets-burst")"}});
    check_refusals(in_listen, {{R"({"interfaces": ["eth0"], "port": 80, "zzzzzz": 1})",
                                R"(38: proxies[0].listen.zzzzzz: unknown key: expected one of "interfaces", )"
                                R"("egress-interfaces", "port", "address", "protocol")"}});
    check_refusals(in_target,
                   {{R"({"ip": "10.0.0.1", "port": 80, "zzzzzz": 1})",
                     R"(32: proxies[0].default-target.zzzzzz: unknown key: expected one of "ip", "port", )"
                     R"("weight", "health-check", "enabled")"}});
    check_refusals(in_routes,
                   {{R"([{"source": "10.0.0.0/8", "target": {"ip": "10.0.0.1", "port": 80}, "zzzzzz": 1}])",
                     R"(69: proxies[0].source-routes[0].zzzzzz: unknown key: expected one of "source", )"
                     R"("target", "targets")"}});
    check_refusals(
        in_settings,
        {{R"({"zzzzzz": 1})",
          R"(2: settings.zzzzzz: unknown key: expected one of "stats-enabled", )"
          R"("connection-timeout-sec", "timeouts", "max-connections", "maglev-table-size", )"
          R"("full-nat", "rate-limits", "health-check-enabled", "health-check-defaults", "xdp-mode", "instance", "on-exit", "log")"},
         {R"({"timeouts": {"zzzzzz": 1}})",
          R"(15: settings.timeouts.zzzzzz: unknown key: expected one of "tcp-half-open-sec", )"
          R"("tcp-closing-sec", "tcp-closed-sec", "udp-sec", "udp-one-way-sec")"},
         {R"({"full-nat": {"zzzzzz": 1}})",
          R"(15: settings.full-nat.zzzzzz: unknown key: expected one of "addresses", "ports")"},
         {R"({"log": {"zzzzzz": 1}})",
          R"(10: settings.log.zzzzzz: unknown key: expected one of "level", "format")"}});
}

TEST_CASE("a misspelt key is refused with the one that was meant", "[config]")
{
    check_refusals(
        in_settings,
        {{R"({"max_connections": 1})",
          R"(2: settings.max_connections: unknown key: did you mean "max-connections"?)"},
         {R"({"MAX_CONNECTIONS": 1})", // case and '_' don't count
          R"(2: settings.MAX_CONNECTIONS: unknown key: did you mean "max-connections"?)"},
         {R"({"maxconnectionz": 1})",
          R"(2: settings.maxconnectionz: unknown key: did you mean "max-connections"?)"},
         {R"({"maxconnectionzz": 1})", // three changes are too many
          R"(2: settings.maxconnectionzz: unknown key: expected one of "stats-enabled", )"
          R"("connection-timeout-sec", "timeouts", "max-connections", "maglev-table-size", )"
          R"("full-nat", "rate-limits", "health-check-enabled", "health-check-defaults", "xdp-mode", "instance", "on-exit", "log")"},
         {R"({"stats-enable": true})",
          R"(2: settings.stats-enable: unknown key: did you mean "stats-enabled"?)"},
         {R"({"lgo": {}})",
          R"(2: settings.lgo: unknown key: expected one of "stats-enabled", )"
          R"("connection-timeout-sec", "timeouts", "max-connections", "maglev-table-size", )"
          R"("full-nat", "rate-limits", "health-check-enabled", "health-check-defaults", "xdp-mode", "instance", "on-exit", )"
          R"("log")"}, // most of it is wrong
         {R"({"log": {"lvel": "info"}})", R"(10: settings.log.lvel: unknown key: did you mean "level"?)"},
         {R"({"default_drain_timeout_ms": 1})",
          R"(2: settings.default_drain_timeout_ms: unknown key: did you mean "default-drain-timeout-ms"?)"},
         {R"({"metric": {}})", R"(2: settings.metric: unknown key: did you mean "metrics"?)"}});
    check_refusals(
        in_good_proxy,
        {{R"("source-route": [])",
          R"(1: proxies[0].source-route: unknown key: did you mean "source-routes"?)"},
         {R"("algoritm": "maglev")", R"(1: proxies[0].algoritm: unknown key: did you mean "algorithm"?)"}});
    check_refusals(in_target,
                   {{R"({"ip": "10.0.0.1", "port": 80, "wieght": 1})",
                     R"(32: proxies[0].default-target.wieght: unknown key: did you mean "weight"?)"}});
    check_refusals(in_listen, {{R"({"interfaces": ["eth0"], "port": 80, "adress": "any"})",
                                R"(38: proxies[0].listen.adress: unknown key: did you mean "address"?)"}});
}

TEST_CASE("an odd key is shown in quotes, and a long one is cut", "[config]")
{
    const std::string known = R"(: unknown key: expected one of "level", "format")";
    const std::string in = "10: settings.log[";
    check_refusals(in_settings, {{R"({"log": {"": 1}})", in + R"(""])" + known},
                                 {R"({"log": {"a.b": 1}})", in + R"("a.b"])" + known},
                                 {R"({"log": {"a\u001bb": 1}})", in + R"("a\u001bb"])" + known},
                                 {"{\"log\": {\"" + std::string(70, ' ') + "\": 1}}",
                                  in + "\"" + std::string(60, ' ') + "...\"]" + known}});
}

TEST_CASE("a key that stands twice is refused where it stands again", "[config]")
{
    check_refusals(in_settings, {{R"({"instance": "a", "instance": "a"})",
                                  "19: settings.instance: duplicate key: it was given at 2:2 already"},
                                 {R"({"log": {"level": "info", "level": "warn"}})",
                                  "27: settings.log.level: duplicate key: it was given at 2:10 already"}});
    check_refusals(in_good_proxy,
                   {{good_name, "1: proxies[0].name: duplicate key: it was given at 1:15 already"}});
    CHECK(refusal("{\"proxies\": [" + good_proxy + "],\n\"proxies\": 5}") ==
          "t.json:2:1: proxies: duplicate key: it was given at 1:2 already");
    CHECK(refusal(in_target(R"({"port": 80, "ip": "10.0.0.1", "port": 80, "port": 81})")) ==
          "t.json:2:32: proxies[0].default-target.port: duplicate key: it was given at 2:2 already\n"
          "t.json:2:44: proxies[0].default-target.port: duplicate key: it was given at 2:2 already");
}

TEST_CASE("keys of the format that this version does not have are refused as that, not as unknown",
          "[config]")
{
    CHECK(refusal(in_good_proxy(R"("circuit-breaker": null)")) ==
          std::string("t.json:2:1: proxies[0].circuit-breaker") + not_yet);
    for (const std::string key : {"default-drain-timeout-ms", "drain-check-interval-ms", "circuit-breaker",
                                  "metrics", "admin-api", "access-log"}) {
        CHECK(refusal(in_settings(only(key))) == "t.json:2:2: settings." + key + not_yet);
    }
    for (const std::string key : {"host", "dns-refresh-seconds"}) {
        CHECK(refusal(in_target("{\"" + key + R"(": null, "ip": "10.0.0.1", "port": 80})")) ==
              "t.json:2:2: proxies[0].default-target." + key + not_yet);
        CHECK(refusal(in_routes(R"([{"source": "10.0.0.0/8", "target": {")" + key +
                                R"(": null, "ip": "10.0.0.1", "port": 80}}])")) ==
              "t.json:2:38: proxies[0].source-routes[0].target." + key + not_yet);
    }
}

TEST_CASE("a target by name is refused once, for the name", "[config]")
{
    check_refusals(in_target,
                   {{R"({"host": "web.example", "port": 80})",
                     "2: proxies[0].default-target.host: this version of lb does not have it yet"}});
}
