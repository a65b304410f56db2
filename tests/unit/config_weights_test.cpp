// The configuration reader, targets and their weights.
#include "config_text.hpp"

using namespace lb;
using namespace lb::model;
using namespace lb::test;

namespace {

// A list of targets of these weights; "" leaves the weight out.
std::string targets(std::initializer_list<const char*> weights)
{
    std::string list;
    u32 host = 0;
    for (const std::string weight : weights) {
        list += (list.empty() ? "" : ", ") + std::string("{\"ip\": \"10.0.0.") + std::to_string(++host) +
                R"(", "port": 80)" + (weight.empty() ? "" : ", \"weight\": " + weight) + "}";
    }
    return "[" + list + "]";
}

std::string many(std::size_t count)
{
    return list_of(count, [](std::size_t i) {
        return "{\"ip\": \"10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1) +
               R"(", "port": 80, "weight": 1})";
    });
}

std::vector<u32> weights_of(const std::string& text)
{
    const Config config = accepted(text);
    std::vector<u32> weights;
    for (const TargetConfig& target : config.proxies[0].default_targets) weights.push_back(target.weight);
    return weights;
}

constexpr const char* all_explicit = "1: proxies[0].default-target: All targets must have explicit weights "
                                     "when multiple targets are specified";

} // namespace

TEST_CASE("a single target needs no weight, and may have any", "[config]")
{
    CHECK(weights_of(in_target(targets({""}))) == std::vector<u32>{100});
    CHECK(weights_of(in_target(targets({"1"}))) == std::vector<u32>{1});
    CHECK(weights_of(in_target(targets({"100"}))) == std::vector<u32>{100});
    CHECK(weights_of(in_relative_target(targets({""}))) == std::vector<u32>{100});
    CHECK(weights_of(in_relative_target(targets({"4294967295"}))) == std::vector<u32>{4294967295});
}

TEST_CASE("weights in percent are taken where they sum to exactly 100", "[config]")
{
    CHECK(weights_of(in_target(targets({"50", "30", "20"}))) == std::vector<u32>{50, 30, 20});
    CHECK(weights_of(in_target(targets({"99", "1"}))) == std::vector<u32>{99, 1});
    check_refusals(
        in_target,
        {{targets({"50", "30", "40"}), "1: proxies[0].default-target: Weights must sum to 100, got 120"},
         {targets({"50", "49"}), "1: proxies[0].default-target: Weights must sum to 100, got 99"},
         {targets({"100", "1"}), "1: proxies[0].default-target: Weights must sum to 100, got 101"}});
}

TEST_CASE("several targets must all have a weight, in both modes", "[config]")
{
    check_refusals(in_target, {{targets({"100", ""}), all_explicit},
                               {targets({"", "100"}), all_explicit},
                               {targets({"", ""}), all_explicit}});
    check_refusals(in_relative_target,
                   {{targets({"1", ""}), all_explicit}, {targets({"", ""}), all_explicit}});
}

TEST_CASE("relative weights may be any, but not all 0", "[config]")
{
    CHECK(weights_of(in_relative_target(targets({"0", "4294967295", "7"}))) ==
          std::vector<u32>{0, 4294967295, 7});
    const std::string all_zero = ": every weight is 0: expected at least one above 0";
    check_refusals(in_relative_target, {{targets({"0", "0"}), "1: proxies[0].default-target" + all_zero},
                                        {targets({"0"}), "1: proxies[0].default-target" + all_zero}});
}

TEST_CASE("percent mode takes 8 targets, relative mode 1024", "[config]")
{
    CHECK(weights_of(in_target(targets({"13", "13", "13", "13", "12", "12", "12", "12"}))).size() == 8);
    CHECK(weights_of(in_relative_target(many(1024))).size() == 1024);
    check_refusals(in_target,
                   {{many(9), "1: proxies[0].default-target: 9 targets: expected at most 8 (\"weight-mode\": "
                              "\"relative\" takes up to 1024)"},
                    {many(1025), "1: proxies[0].default-target: 1025 elements: expected at most 1024"}});
    check_refusals(in_relative_target,
                   {{many(1025), "1: proxies[0].default-target: 1025 elements: expected at most 1024"}});
}

TEST_CASE("the rules of weights hold for a source route's targets too", "[config]")
{
    const auto route = [](const std::string& list) {
        return R"([{"source": "10.0.0.0/8", "targets": )" + list + "}]";
    };
    check_refusals(
        in_routes,
        {{route(targets({"60", "60"})),
          "38: proxies[0].source-routes[0].targets: Weights must sum to 100, got 120"},
         {route(targets({"", ""})), "38: proxies[0].source-routes[0].targets: All targets must have explicit "
                                    "weights when multiple targets are specified"},
         {route(many(9)), "38: proxies[0].source-routes[0].targets: 9 targets: expected at most 8 "
                          "(\"weight-mode\": \"relative\" takes up to 1024)"}});
}

TEST_CASE("a wrong weight is the only thing said of the weights", "[config]")
{
    CHECK(refusal(in_target(targets({"50", "500"}))) ==
          "t.json:2:89: proxies[0].default-target[1].weight: 500: expected an integer 1..100");
    CHECK(refusal(in_target(targets({"0", ""}))) ==
          "t.json:2:43: proxies[0].default-target[0].weight: 0: expected an integer 1..100");
}

TEST_CASE("under a wrong weight mode the rules that depend on it are left out", "[config]")
{
    const std::string list = targets({"", "0", "4294967295"});
    CHECK(refusal(one_proxy(good_name + ", " + good_listen + R"(, "default-target": )" + list + ",",
                            R"("weight-mode": 5)")) ==
          R"(t.json:2:16: proxies[0].weight-mode: 5: expected "percent" or "relative")");
}

TEST_CASE("a target twice in a group is refused, with the first", "[config]")
{
    const std::string twice = R"([{"ip": "10.0.0.1", "port": 80, "weight": 50},
 {"ip": "10.0.0.1", "port": 81, "weight": 25},
 {"ip": "10.0.0.1", "port": 80, "weight": 25}])";
    CHECK(refusal(in_target(twice)) ==
          "t.json:4:2: proxies[0].default-target[2]: 10.0.0.1:80: the same target as "
          "proxies[0].default-target[0]");
}

TEST_CASE("an address that no target can have is refused with the reason", "[config]")
{
    const std::string host = ": expected the address of a host";
    const Refusal rows[] = {
        {"0.0.0.0", ": the unspecified address" + host},
        {"255.255.255.255", ": the broadcast address" + host},
        {"224.0.0.1", ": a multicast address" + host},
        {"239.255.255.255", ": a multicast address" + host},
        {"::", ": the unspecified address" + host},
        {"ff02::1", ": a multicast address" + host},
        {"::1", ": IPv6 has no way to route to its loopback address: expected another address of this host"},
        {"fe80::1", ": a link-local address" + host},
        {"febf:ffff::1", ": a link-local address" + host},
        {"::ffff:127.0.0.1", ": an IPv4-mapped address" + host},
        {"10.0.0.256", ": expected an IP address"},
        {"10.0.0.1:80", ": expected an IP address"},
        {"[::1]", ": expected an IP address"},
        {"10.0.0.0/8", ": expected an IP address"},
        {" 10.0.0.1", ": expected an IP address"},
        {"web.example", ": expected an IP address"},
        {"", ": expected an IP address"},
    };
    for (const Refusal& row : rows) {
        CHECK(refusal(in_target(R"({"port": 80, "ip": ")" + row.part + "\"}")) ==
              "t.json:2:20: proxies[0].default-target.ip: \"" + row.part + "\"" + row.message);
    }
}
