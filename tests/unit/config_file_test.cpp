// The configuration reader, a file as a whole: all of its errors at once, in order, and not too many.
#include "config_text.hpp"

using namespace lb;
using namespace lb::test;

TEST_CASE("every error of a file is reported, by its place in the file", "[config]")
{
    // What is found late (names, listeners, weights) is still told in the order of the file.
    CHECK(refusal(R"({
  "settings": {"max-connections": 0, "zzzzzz": 1},
  "proxies": [
    {"name": "web", "listen": {"interfaces": [], "port": 80}, "default-target": {"ip": "::1", "port": 0}},
    {"name": "web", "listen": {"interfaces": ["eth0"], "port": 70000},
     "default-target": [{"ip": "10.0.0.1", "port": 80, "weight": 50},
                        {"ip": "10.0.0.2", "port": 80, "weight": 70}],
     "circuit-breaker": {}}
  ]
})") ==
          R"(t.json:2:35: settings.max-connections: 0: expected an integer 1..10000000
t.json:2:38: settings.zzzzzz: unknown key: expected one of "stats-enabled", "connection-timeout-sec", "timeouts", "max-connections", "maglev-table-size", "full-nat", "rate-limits", "health-check-enabled", "health-check-defaults", "xdp-mode", "instance", "on-exit", "log"
t.json:4:46: proxies[0].listen.interfaces: []: expected a list of at least one interface's name
t.json:4:88: proxies[0].default-target.ip: "::1": IPv6 has no way to route to its loopback address: expected another address of this host
t.json:4:103: proxies[0].default-target.port: 0: expected an integer 1..65535
t.json:5:5: proxies[1]: "web": the same name as proxies[0]
t.json:5:64: proxies[1].listen.port: 70000: expected an integer 1..65535
t.json:6:24: proxies[1].default-target: Weights must sum to 100, got 120
t.json:8:6: proxies[1].circuit-breaker: this version of lb does not have it yet)");
}

TEST_CASE("a text that is no JSON is refused at the first place where it is not", "[config]")
{
    CHECK(refusal("") == "t.json:1:1: expected a value, got end of file");
    CHECK(refusal("{\"proxies\": [\n  {\"name\" \"web\"}]}") ==
          "t.json:2:11: expected : after the key, got \"\\\"\"");
    CHECK(refusal("[1, 2") == "t.json:1:1: a list without its end, ]");
}

TEST_CASE("a file that is no object is refused", "[config]")
{
    CHECK(refusal("[]") == "t.json:1:1: []: expected an object");
    CHECK(refusal("\"proxies\"") == "t.json:1:1: \"proxies\": expected an object");
}

TEST_CASE("20 errors are shown, and how many more there are", "[config]")
{
    const auto unknown = [](std::size_t count) {
        std::string members;
        for (std::size_t i = 0; i < count; ++i)
            members += (i == 0 ? "" : ",\n") + std::string("\"zzzzzz") + std::to_string(i) + "\": 1";
        return refusal(in_settings("{\"log\": {\n" + members + "}}"));
    };
    const auto lines = [](std::size_t count) {
        std::string text;
        for (std::size_t i = 0; i < count; ++i)
            text += (i == 0 ? "t.json:" : "\nt.json:") + std::to_string(i + 3) + ":1: settings.log.zzzzzz" +
                    std::to_string(i) + R"(: unknown key: expected one of "level", "format")";
        return text;
    };
    CHECK(unknown(20) == lines(20));
    CHECK(unknown(21) == lines(20) + "\nt.json: and 1 more");
    CHECK(unknown(1000) == lines(20) + "\nt.json: and 980 more");
    CHECK(unknown(1001) == lines(20) + "\nt.json: and 981 more"); // beyond 1000 they are only counted
    CHECK(unknown(5000) == lines(20) + "\nt.json: and 4980 more");
}

TEST_CASE("messages name the file as it was given", "[config]")
{
    const auto config = model::read_config("[", "/etc/lb/a b.json");
    REQUIRE_FALSE(config);
    CHECK(config.error().message == "/etc/lb/a b.json:1:1: a list without its end, ]");
}
