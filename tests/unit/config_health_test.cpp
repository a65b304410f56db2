// The configuration reader: health checks, and targets that are out of service.
#include "config_text.hpp"

using namespace lb;
using namespace lb::model;
using namespace lb::test;
using namespace std::chrono_literals;

namespace {

std::string in_check(const std::string& part)
{
    return one_proxy(good_name + ", " + good_listen + ", " + good_target + ", \"health-check\":", part);
}

std::string with_levels(const std::string& settings, const std::string& proxy, const std::string& target)
{
    return R"({"settings": {"health-check-defaults": )" + settings + R"(}, "proxies": [{)" + good_name +
           ", " + good_listen + R"(, "health-check": )" + proxy +
           R"(, "default-target": {"ip": "10.0.0.1", "port": 8080, "health-check": )" + target + "}}]}";
}

} // namespace

TEST_CASE("health checks are off, and of TCP, where the file says nothing", "[config][health]")
{
    const Config config = accepted(in_proxy(good_proxy));
    CHECK_FALSE(config.settings.health_check_enabled);
    const HealthCheck& check = config.proxies[0].default_targets[0].health_check;
    CHECK(check == HealthCheck{});
    CHECK(check.type == HealthCheckType::tcp);
    CHECK(check.interval == 10s);
    CHECK(check.timeout == 3s);
    CHECK(check.healthy_threshold == 2);
    CHECK(check.unhealthy_threshold == 3);
    CHECK(check.path == "/health");
    CHECK(check.expected_codes == std::vector<u16>{200, 201, 202, 204});
    CHECK(accepted(in_settings(R"({"health-check-enabled": true})")).settings.health_check_enabled);
}

TEST_CASE("each level of the file says what differs from the one above", "[config][health]")
{
    const Config config = accepted(with_levels(R"({"type": "http", "path": "/a", "interval-ms": 5000})",
                                               R"({"path": "/b", "host": "web.example", "port": 81})",
                                               R"({"interval-ms": 4000, "expected-codes": [204]})"));
    const HealthCheck& target = config.proxies[0].default_targets[0].health_check;
    CHECK(target == HealthCheck{.type = HealthCheckType::http,
                                .path = "/b",
                                .interval = 4s,
                                .expected_codes = {204},
                                .host = "web.example",
                                .port = 81});
    CHECK(config.proxies[0].health_check.interval == 5s);
    CHECK(config.settings.health_check.path == "/a");
    // Targets of source routes, too.
    const Config routed = accepted(in_good_proxy(
        R"("health-check": {"type": "none"}, "source-routes": [{"source": "10.0.0.0/8",
           "target": {"ip": "10.0.0.9", "port": 80}}])"));
    CHECK(routed.proxies[0].source_routes[0].targets[0].health_check.type == HealthCheckType::none);
}

TEST_CASE("checks by TLS, datagram and command have keys of their own", "[config][health]")
{
    const auto read = [](const std::string& part) {
        return accepted(in_check(part)).proxies[0].health_check;
    };
    const HealthCheck tls = read(R"({"type": "https", "sni": "web.example", "tls-verify": false})");
    CHECK(tls.type == HealthCheckType::https);
    CHECK(tls.sni == "web.example");
    CHECK_FALSE(tls.tls_verify);
    CHECK(read(R"({"type": "https"})").tls_verify);
    const HealthCheck udp = read(R"({"type": "udp", "send": "ping\n", "expect": "pong"})");
    CHECK(udp.send == "ping\n");
    CHECK(udp.expect == "pong");
    CHECK(read(R"({"type": "exec", "command": ["/usr/bin/check", "-q"]})").command ==
          std::vector<std::string>{"/usr/bin/check", "-q"});
}

TEST_CASE("what a health check cannot be is refused", "[config][health]")
{
    const std::string at = ": proxies[0].health-check.";
    check_refusals(
        in_check,
        {{R"({"type": "ping"})",
          "10" + at + R"(type: "ping": expected "tcp" or "http" or "https" or "udp" or "exec" or "none")"},
         {R"({"interval-ms": 999})", "17" + at + "interval-ms: 999: expected an integer 1000..300000"},
         {R"({"timeout-ms": 60001})", "16" + at + "timeout-ms: 60001: expected an integer 100..60000"},
         {R"({"healthy-threshold": 0})", "23" + at + "healthy-threshold: 0: expected an integer 1..10"},
         {R"({"unhealthy-threshold": 11})", "25" + at + "unhealthy-threshold: 11: expected an integer 1..10"},
         {R"({"port": 0})", "10" + at + "port: 0: expected an integer 1..65535"},
         {R"({"path": "health"})", "10" + at +
                                       "path: \"health\": expected a path that starts with \"/\", of "
                                       "printable ASCII without spaces"},
         {R"({"path": "/a b"})", "10" + at +
                                     "path: \"/a b\": expected a path that starts with \"/\", of "
                                     "printable ASCII without spaces"},
         {R"({"host": ""})", "10" + at + R"(host: "": expected a host name)"},
         {R"({"expected-codes": []})",
          "20" + at + "expected-codes: []: expected a list of HTTP status codes that isn't empty"},
         {R"({"expected-codes": [99]})", "21" + at + "expected-codes[0]: 99: expected an integer 100..599"},
         {R"({"sni": "a b"})", "9" + at + R"(sni: "a b": expected a host name)"},
         {R"({"command": ["curl"]})",
          "14" + at + R"(command[0]: "curl": expected an absolute path: there is no search path)"},
         {R"({"type": "exec"})",
          R"(1: proxies[0].health-check: type "exec" without a "command": expected one)"}});
    // A line's end would begin another header.
    CHECK(refusal(in_check(R"({"host": "a\r\nX: y"})")).find("expected a host name") != std::string::npos);
}

TEST_CASE("a timeout that is longer than the interval is refused where the levels together make it so",
          "[config][health]")
{
    check_refusals(in_check, {{R"({"interval-ms": 2000})",
                               "1: proxies[0].health-check: timeout-ms 3000 is longer than interval-ms 2000: "
                               "expected no more"}});
    CHECK(refusal(with_levels(R"({"timeout-ms": 2000})", R"({"interval-ms": 2000})", "{}")) == "accepted");
    CHECK(refusal(with_levels(R"({"timeout-ms": 2000})", "{}", R"({"interval-ms": 1000})"))
              .find("timeout-ms 2000 is longer than interval-ms 1000") != std::string::npos);
}

TEST_CASE("checks that are written while checking is off are told of", "[config][health]")
{
    const auto says = [](const std::string& text) { return !without_effect(accepted(text)).empty(); };
    CHECK_FALSE(says(in_proxy(good_proxy)));
    CHECK(says(in_check(R"({"type": "http"})")));
    CHECK(says(in_settings(R"({"health-check-defaults": {"type": "http"}})")));
    CHECK_FALSE(
        says(in_settings(R"({"health-check-defaults": {"type": "http"}, "health-check-enabled": true})")));
    CHECK(says(in_target(R"({"ip": "10.0.0.1", "port": 80, "health-check": {"port": 81}})")));
    CHECK(says(in_routes(R"([{"source": "10.0.0.0/8",
                              "target": {"ip": "10.0.0.1", "port": 81, "health-check": {"port": 81}}}])")));
}

TEST_CASE("a target is one and the same wherever its proxy names it", "[config][health]")
{
    const auto routed = [](const std::string& more) {
        return in_good_proxy(R"("source-routes": [{"source": "10.0.0.0/8",)"
                             R"( "target": {"ip": "10.0.0.1", "port": 8080)" +
                             more + "}}]");
    };
    CHECK(refusal(routed("")) == "accepted");
    CHECK(refusal(routed(R"(, "enabled": false)")).find("in and out of service") != std::string::npos);
    CHECK(refusal(routed(R"(, "health-check": {"port": 81})")).find("checked in different ways") !=
          std::string::npos);
}

TEST_CASE("all-unhealthy is keep or reject, enabled true or false", "[config][health]")
{
    CHECK(accepted(in_proxy(good_proxy)).proxies[0].all_unhealthy == AllUnhealthy::keep);
    CHECK(accepted(in_good_proxy(R"("all-unhealthy": "reject")")).proxies[0].all_unhealthy ==
          AllUnhealthy::reject);
    check_refusals(in_good_proxy, {{R"("all-unhealthy": "drop")",
                                    R"(18: proxies[0].all-unhealthy: "drop": expected "keep" or "reject")"}});
    CHECK_FALSE(accepted(in_target(R"({"ip": "10.0.0.1", "port": 80, "enabled": false})"))
                    .proxies[0]
                    .default_targets[0]
                    .enabled);
}
