// The configuration reader, values: wrong types everywhere, and the first value past each end of a range.
#include <algorithm>
#include <vector>

#include "config_text.hpp"

using namespace lb;
using namespace lb::test;

namespace {

// Every type, as it is written and as a message shows it.
struct Value {
    std::string kind = {};
    std::string text = {};
    std::string shown = {};
};
const std::vector<Value> values = {{"null", "null", "null"},     {"boolean", "true", "true"},
                                   {"number", "5", "5"},         {"string", "\"~\"", "\"~\""},
                                   {"array", "[null]", "[...]"}, {"object", "{\"~\": 1}", "{...}"},
                                   {"array", "[]", "[]"},        {"boolean", "false", "false"},
                                   {"object", "{}", "{}"},       {"number", "-1.5e3", "-1.5e3"}};

// A place in the file, the types that are not for it to refuse as such, and what it says of all others.
struct Place {
    std::string (*in)(const std::string&) = nullptr;
    std::string before = {}; // of the value, within the part
    std::string after = {};
    std::string path = {};
    std::vector<std::string> fitting = {};
    std::string expected = {};
};

const std::string interface_list = "expected a list of at least one interface's name";
const std::string address_form = R"(expected an IP address, a list of them that isn't empty, or "any")";
const std::string source_form = "expected an IP address or a prefix such as 192.168.0.0/16";
const std::string route_before = R"([{"source": "10.0.0.0/8", )";

const std::vector<Place> places = {
    {in_root, "", "", "", {"object"}, "expected an object"},
    {in_proxies, "", "", "proxies", {"array"}, "expected a list of at least one proxy"},
    {in_proxy, "", "", "proxies[0]", {"object"}, "expected an object"},
    {in_name, "", "", "proxies[0].name", {"string"}, "expected a name"},
    {in_listen, "", "", "proxies[0].listen", {"object"}, "expected an object"},
    {in_interfaces, "", "", "proxies[0].listen.interfaces", {"array"}, interface_list},
    {in_interfaces,
     "[",
     "]",
     "proxies[0].listen.interfaces[0]",
     {"string"},
     "expected the name of an interface"},
    {in_listen,
     R"({"interfaces": ["eth0"], "port": 80, "egress-interfaces": )",
     "}",
     "proxies[0].listen.egress-interfaces",
     {"array"},
     interface_list},
    {in_address, "", "", "proxies[0].listen.address", {"array", "string"}, address_form},
    {in_address, "[", "]", "proxies[0].listen.address[0]", {}, "expected an IP address"},
    {in_listen,
     R"({"interfaces": ["eth0"], "port": 80, "protocol": )",
     "}",
     "proxies[0].listen.protocol",
     {},
     R"(expected "tcp" or "udp" or "both")"},
    {in_good_proxy,
     R"("weight-mode": )",
     "",
     "proxies[0].weight-mode",
     {},
     R"(expected "percent" or "relative")"},
    {in_target,
     "",
     "",
     "proxies[0].default-target",
     {"array", "object"},
     "expected a target, or a list of targets that isn't empty"},
    {in_target, "[", "]", "proxies[0].default-target[0]", {"object"}, "expected an object"},
    {in_target, R"({"port": 80, "ip": )", "}", "proxies[0].default-target.ip", {}, "expected an IP address"},
    {in_routes, "", "", "proxies[0].source-routes", {"array"}, "expected a list of source routes"},
    {in_routes, "[", "]", "proxies[0].source-routes[0]", {"object"}, "expected an object"},
    {in_routes,
     R"([{"target": {"ip": "10.0.0.1", "port": 80}, "source": )",
     "}]",
     "proxies[0].source-routes[0].source",
     {},
     source_form},
    {in_routes,
     route_before + R"("target": )",
     "}]",
     "proxies[0].source-routes[0].target",
     {"object"},
     R"(expected a target, or "targets" with a list)"},
    {in_routes,
     route_before + R"("targets": )",
     "}]",
     "proxies[0].source-routes[0].targets",
     {"array"},
     R"(expected a list, or "target" with one target)"},
    {in_good_proxy,
     R"("algorithm": )",
     "",
     "proxies[0].algorithm",
     {},
     R"(expected "maglev" or "round-robin" or "random" or "least-connections" or "source-hash")"},
    {in_good_proxy,
     R"("maglev-table-size": )",
     "",
     "proxies[0].maglev-table-size",
     {"number"},
     R"(expected a prime from 2 to 131071, or "auto")"},
    {in_good_proxy,
     R"("session-persistence": )",
     "",
     "proxies[0].session-persistence",
     {"boolean", "object"},
     "expected true, false or an object with timeout-sec"},
    {in_good_proxy, R"("forwarding": )", "", "proxies[0].forwarding", {"object"}, "expected an object"},
    {in_good_proxy,
     R"("forwarding": {"mode": )",
     "}",
     "proxies[0].forwarding.mode",
     {},
     R"(expected "nat" or "full-nat" or "dsr-l2" or "dsr-ipip" or "dsr-gue")"},
    {in_good_proxy,
     R"("forwarding": {"path": )",
     "}",
     "proxies[0].forwarding.path",
     {},
     R"(expected "auto" or "stack" or "fast")"},
    {in_good_proxy, R"("allow": )", "", "proxies[0].allow", {"array"}, "expected a list of prefixes"},
    {in_good_proxy, R"("deny": )", "", "proxies[0].deny", {"array"}, "expected a list of prefixes"},
    {in_good_proxy, R"("allow": [)", "]", "proxies[0].allow[0]", {}, source_form},
    {in_good_proxy, R"("deny": [)", "]", "proxies[0].deny[0]", {}, source_form},
    {in_good_proxy, R"("rate-limits": )", "", "proxies[0].rate-limits", {"object"}, "expected an object"},
    {in_settings,
     R"({"rate-limits": {"per-source": )",
     "}}",
     "settings.rate-limits.per-source",
     {"object"},
     "expected an object"},
    {in_settings, R"({"timeouts": )", "}", "settings.timeouts", {"object"}, "expected an object"},
    {in_settings, R"({"full-nat": )", "}", "settings.full-nat", {"object"}, "expected an object"},
    {in_settings,
     R"({"full-nat": {"addresses": )",
     "}}",
     "settings.full-nat.addresses",
     {"array"},
     "expected a list of at least one IP address"},
    {in_settings,
     R"({"full-nat": {"addresses": [)",
     "]}}",
     "settings.full-nat.addresses[0]",
     {},
     "expected an IP address"},
    {in_settings,
     R"({"full-nat": {"ports": )",
     "}}",
     "settings.full-nat.ports",
     {},
     R"(expected two ports from 1024 to 65535, the lower first, such as "32768-60999")"},
    {in_settings, "", "", "settings", {"object"}, "expected an object"},
    {in_settings,
     R"({"stats-enabled": )",
     "}",
     "settings.stats-enabled",
     {"boolean"},
     "expected true or false"},
    {in_settings,
     R"({"xdp-mode": )",
     "}",
     "settings.xdp-mode",
     {},
     R"(expected "auto" or "native" or "generic")"},
    {in_settings, R"({"instance": )", "}", "settings.instance", {"string"}, "expected a name"},
    {in_settings, R"({"on-exit": )", "}", "settings.on-exit", {}, R"(expected "detach" or "keep")"},
    {in_settings, R"({"log": )", "}", "settings.log", {"object"}, "expected an object"},
    {in_settings,
     R"({"log": {"level": )",
     "}}",
     "settings.log.level",
     {},
     R"(expected "trace" or "debug" or "info" or "warn" or "error")"},
    {in_settings, R"({"log": {"format": )", "}}", "settings.log.format", {}, R"(expected "text" or "json")"},
};

// An integer, its range, and what is written around it.
struct Number {
    std::string (*in)(const std::string&) = nullptr;
    std::string before = {};
    std::string after = {};
    std::string path = {};
    std::string range = {};
    std::vector<std::string> past_the_ends = {};
};

const std::vector<Number> numbers = {
    {in_listen,
     R"({"interfaces": ["eth0"], "port": )",
     "}",
     "proxies[0].listen.port",
     "1..65535",
     {"0", "65536"}},
    {in_target,
     R"({"ip": "10.0.0.1", "port": )",
     "}",
     "proxies[0].default-target.port",
     "1..65535",
     {"0", "65536"}},
    {in_target,
     R"({"ip": "10.0.0.1", "port": 80, "weight": )",
     "}",
     "proxies[0].default-target.weight",
     "1..100",
     {"0", "101"}},
    {in_relative_target,
     R"({"ip": "10.0.0.1", "port": 80, "weight": )",
     "}",
     "proxies[0].default-target.weight",
     "0..4294967295",
     {"-1", "4294967296"}},
    {in_settings,
     R"({"connection-timeout-sec": )",
     "}",
     "settings.connection-timeout-sec",
     "1..604800",
     {"0", "604801"}},
    {in_settings,
     R"({"timeouts": {"tcp-half-open-sec": )",
     "}}",
     "settings.timeouts.tcp-half-open-sec",
     "1..604800",
     {"0", "604801"}},
    {in_settings,
     R"({"timeouts": {"tcp-closing-sec": )",
     "}}",
     "settings.timeouts.tcp-closing-sec",
     "1..604800",
     {"0", "604801"}},
    {in_settings,
     R"({"timeouts": {"tcp-closed-sec": )",
     "}}",
     "settings.timeouts.tcp-closed-sec",
     "1..604800",
     {"0", "604801"}},
    {in_settings,
     R"({"timeouts": {"udp-sec": )",
     "}}",
     "settings.timeouts.udp-sec",
     "1..604800",
     {"0", "604801"}},
    {in_settings,
     R"({"timeouts": {"udp-one-way-sec": )",
     "}}",
     "settings.timeouts.udp-one-way-sec",
     "1..604800",
     {"0", "604801"}},
    {in_good_proxy,
     R"("rate-limits": {"per-source": {"requests-per-sec": )",
     "}}",
     "proxies[0].rate-limits.per-source.requests-per-sec",
     "1..10000000",
     {"0", "10000001"}},
    {in_good_proxy,
     R"("rate-limits": {"per-source": {"packets-per-sec": )",
     "}}",
     "proxies[0].rate-limits.per-source.packets-per-sec",
     "1..10000000",
     {"0", "10000001"}},
    {in_settings,
     R"({"rate-limits": {"per-target": {"requests-per-sec": )",
     "}}}",
     "settings.rate-limits.per-target.requests-per-sec",
     "1..10000000",
     {"0", "10000001"}},
    {in_settings,
     R"({"rate-limits": {"per-target": {"packets-per-sec": )",
     "}}}",
     "settings.rate-limits.per-target.packets-per-sec",
     "1..10000000",
     {"0", "10000001"}},
    {in_settings,
     R"({"rate-limits": {"per-source": {"prefix-length-ipv4": )",
     "}}}",
     "settings.rate-limits.per-source.prefix-length-ipv4",
     "1..32",
     {"0", "33"}},
    {in_settings,
     R"({"rate-limits": {"per-source": {"prefix-length-ipv6": )",
     "}}}",
     "settings.rate-limits.per-source.prefix-length-ipv6",
     "1..128",
     {"0", "129"}},
    {in_settings,
     R"({"rate-limits": {"per-source": {"requests-per-sec": 1, "burst": )",
     "}}}",
     "settings.rate-limits.per-source.burst",
     "1..10000000",
     {"0", "10000001"}},
    {in_settings,
     R"({"rate-limits": {"per-source": {"packets-per-sec": 1, "packets-burst": )",
     "}}}",
     "settings.rate-limits.per-source.packets-burst",
     "1..10000000",
     {"0", "10000001"}},
    {in_good_proxy,
     R"("session-persistence": {"timeout-sec": )",
     "}",
     "proxies[0].session-persistence.timeout-sec",
     "1..604800",
     {"0", "604801"}},
    {in_good_proxy,
     R"("forwarding": {"mode": "dsr-gue", "port": )",
     "}",
     "proxies[0].forwarding.port",
     "1..65535",
     {"0", "65536"}},
    {in_settings,
     R"({"max-connections": )",
     "}",
     "settings.max-connections",
     "1..10000000",
     {"0", "10000001"}},
};

std::string said(const std::string& before, const std::string& path, const std::string& shown,
                 const std::string& expected)
{
    return "t.json:2:" + std::to_string(before.size() + 1) + ": " + path + (path.empty() ? "" : ": ") +
           shown + ": " + expected;
}

} // namespace

TEST_CASE("a value of a wrong type is refused at its place, with what was expected", "[config]")
{
    for (const Place& place : places) {
        for (const Value& value : values) {
            if (std::ranges::find(place.fitting, value.kind) != place.fitting.end()) continue;
            INFO(place.path << " " << value.text);
            CHECK(refusal(place.in(place.before + value.text + place.after)) ==
                  said(place.before, place.path, value.shown, place.expected));
        }
    }
}

TEST_CASE("a list or an object that must not be empty is refused empty", "[config]")
{
    check_refusals(in_proxies, {{"[]", "1: proxies: []: expected a list of at least one proxy"}});
    check_refusals(in_interfaces, {{"[]", "1: proxies[0].listen.interfaces: []: " + interface_list}});
    check_refusals(in_listen, {{R"({"interfaces": ["eth0"], "port": 80, "egress-interfaces": []})",
                                "59: proxies[0].listen.egress-interfaces: []: " + interface_list}});
    check_refusals(in_address, {{"[]", "1: proxies[0].listen.address: []: " + address_form}});
    check_refusals(in_target,
                   {{"[]", "1: proxies[0].default-target: []: expected a target, or a list of targets "
                           "that isn't empty"}});
    check_refusals(in_routes,
                   {{R"([{"source": "10.0.0.0/8", "targets": []}])",
                     "38: proxies[0].source-routes[0].targets: []: expected a target, or a list of "
                     "targets that isn't empty"}});
}

TEST_CASE("a word that is not of a choice is refused with the choice", "[config]")
{
    check_refusals(
        in_settings,
        {{R"({"xdp-mode": "Auto"})",
          R"(14: settings.xdp-mode: "Auto": expected "auto" or "native" or "generic")"},
         {R"({"on-exit": ""})", R"(13: settings.on-exit: "": expected "detach" or "keep")"},
         {R"({"log": {"format": "xml"}})", R"(20: settings.log.format: "xml": expected "text" or "json")"}});
    check_refusals(in_listen,
                   {{R"({"interfaces": ["eth0"], "port": 80, "protocol": "icmp"})",
                     R"(50: proxies[0].listen.protocol: "icmp": expected "tcp" or "udp" or "both")"}});
    check_refusals(in_good_proxy,
                   {{R"("weight-mode": "percents")",
                     R"(16: proxies[0].weight-mode: "percents": expected "percent" or "relative")"}});
}

TEST_CASE("a number that is no integer, or past either end of its range, is refused with the range",
          "[config]")
{
    for (const Number& number : numbers) {
        std::vector<Value> wrong = {{"", "80.0", "80.0"},
                                    {"", "1e1", "1e1"},
                                    {"", "-1", "-1"},
                                    {"", "18446744073709551616", "18446744073709551616"},
                                    {"", "\"80\"", "\"80\""}};
        for (const std::string& past : number.past_the_ends) wrong.push_back({"", past, past});
        for (const Value& value : values)
            if (value.text != "5") wrong.push_back(value);
        for (const Value& value : wrong) {
            INFO(number.path << " " << value.text);
            CHECK(refusal(number.in(number.before + value.text + number.after)) ==
                  said(number.before, number.path, value.shown, "expected an integer " + number.range));
        }
    }
}

TEST_CASE("a long value is cut in a message", "[config]")
{
    const std::string digits(80, '1'), text(80, 'x');
    check_refusals(
        in_settings,
        {{"{\"max-connections\": " + digits + "}",
          "21: settings.max-connections: " + digits.substr(0, 60) + ": expected an integer 1..10000000"},
         {"{\"on-exit\": \"" + text + "\"}",
          "13: settings.on-exit: \"" + text.substr(0, 60) + R"(...": expected "detach" or "keep")"}});
}

TEST_CASE("names are held to their alphabet and length", "[config]")
{
    const std::string form = "expected a name: 1..63 of A-Z a-z 0-9 . _ -";
    const std::string long_name(64, 'n');
    check_refusals(in_name, {{"\"\"", "1: proxies[0].name: \"\": " + form},
                             {"\"a b\"", "1: proxies[0].name: \"a b\": " + form},
                             {"\"a/b\"", "1: proxies[0].name: \"a/b\": " + form},
                             {"\"\xc3\xa4\"", "1: proxies[0].name: \"\xc3\xa4\": " + form},
                             {"\"" + long_name + "\"",
                              "1: proxies[0].name: \"" + long_name.substr(0, 60) + "...\": " + form}});
    const std::string instance = "expected a name: 1..31 of A-Z a-z 0-9 . _ -, not starting with .";
    const std::string long_instance(32, 'i');
    check_refusals(in_settings, {{R"({"instance": ""})", R"(14: settings.instance: "": )" + instance},
                                 {R"({"instance": ".."})", R"(14: settings.instance: "..": )" + instance},
                                 {R"({"instance": ".a"})", R"(14: settings.instance: ".a": )" + instance},
                                 {R"({"instance": "a/b"})", R"(14: settings.instance: "a/b": )" + instance},
                                 {"{\"instance\": \"" + long_instance + "\"}",
                                  "14: settings.instance: \"" + long_instance + "\": " + instance}});
}
