// From a configuration to a plan: ids, groups, interfaces, limits.
#include "model/plan.hpp"

#include <chrono>

#include <catch2/catch.hpp>

using namespace lb;
using namespace lb::model;

namespace {

TargetConfig target(const std::string& endpoint, u32 weight = 100)
{
    return {.endpoint = *Endpoint::parse(endpoint), .weight = weight};
}

ProxyConfig proxy(const std::string& name, u16 port, std::vector<TargetConfig> targets)
{
    ProxyConfig made;
    made.name = name;
    made.listen.interfaces = {"eth0"};
    made.listen.port = port;
    made.default_targets = std::move(targets);
    return made;
}

RouteConfig route(const std::string& source, std::vector<TargetConfig> targets)
{
    return {.source = *Prefix::parse(source), .targets = std::move(targets)};
}

Plan planned(const Config& config, const Ids& previous = {})
{
    auto plan = make_plan(config, previous);
    if (!plan) FAIL(plan.error().message);
    return std::move(*plan);
}

std::string refusal(const Config& config)
{
    const auto plan = make_plan(config);
    if (plan) return "accepted";
    CHECK(plan.error().kind == ErrorKind::config);
    return plan.error().message;
}

std::vector<std::pair<u32, u32>> members(const PlanGroup& group)
{
    std::vector<std::pair<u32, u32>> all;
    for (const auto& member : group.members) all.emplace_back(member.target, member.weight);
    return all;
}

using Members = std::vector<std::pair<u32, u32>>;

} // namespace

TEST_CASE("ids are given in the order of the configuration, the lowest first", "[plan]")
{
    const Plan plan =
        planned({.proxies = {proxy("b", 80, {target("10.0.0.2:80", 40), target("10.0.0.1:80", 60)}),
                             proxy("a", 81, {target("10.0.0.1:80")})}});
    REQUIRE(plan.proxies.size() == 2);
    CHECK(plan.proxies[0].id == 0);
    CHECK(plan.proxies[0].name == "b");
    CHECK(plan.proxies[1].id == 1);
    CHECK(plan.proxies[1].name == "a");
    REQUIRE(plan.targets.size() == 3);
    for (u32 i = 0; i < 3; ++i) CHECK(plan.targets[i].id == i);
    CHECK(plan.targets[0].endpoint.text() == "10.0.0.2:80");
    CHECK(plan.targets[0].proxy == 0);
    CHECK(plan.targets[2].endpoint.text() == "10.0.0.1:80"); // of another proxy, so another target
    CHECK(plan.targets[2].proxy == 1);
    CHECK(plan.ids.proxies == std::map<std::string, u32>{{"a", 1}, {"b", 0}});
    CHECK(plan.ids.targets ==
          std::map<std::string, u32>{{"a/10.0.0.1:80", 2}, {"b/10.0.0.1:80", 1}, {"b/10.0.0.2:80", 0}});
}

TEST_CASE("what is known keeps its id, and what is new gets the lowest free one", "[plan]")
{
    const Ids previous{.proxies = {{"old", 0}, {"web", 3}, {"gone", 1}},
                       .targets = {{"web/10.0.0.1:80", 5}, {"web/10.0.0.9:80", 0}, {"old/10.0.0.1:80", 2}}};
    const Plan plan =
        planned({.proxies = {proxy("new", 80, {target("10.0.0.1:80")}),
                             proxy("web", 81, {target("10.0.0.2:80", 10), target("10.0.0.1:80", 90)}),
                             proxy("newer", 82, {target("10.0.0.1:80")})}},
                previous);
    CHECK(plan.proxies[0].id == 2); // 0, 1 and 3 have a name, still there or not
    CHECK(plan.proxies[1].id == 3);
    CHECK(plan.proxies[2].id == 4);
    CHECK(plan.ids.proxies ==
          std::map<std::string, u32>{{"old", 0}, {"gone", 1}, {"new", 2}, {"web", 3}, {"newer", 4}});
    CHECK(plan.ids.targets == std::map<std::string, u32>{{"web/10.0.0.9:80", 0},
                                                         {"new/10.0.0.1:80", 1},
                                                         {"old/10.0.0.1:80", 2},
                                                         {"web/10.0.0.2:80", 3},
                                                         {"newer/10.0.0.1:80", 4},
                                                         {"web/10.0.0.1:80", 5}});
    // The listeners, groups and targets speak of these ids.
    CHECK(plan.listeners[0].proxy == 2);
    CHECK(plan.groups[1].proxy == 3);
    CHECK(members(plan.groups[1]) == Members{{3, 10}, {5, 90}});
}

TEST_CASE("a plan of what was planned has the same ids, in any order of the configuration", "[plan]")
{
    const ProxyConfig web = proxy("web", 80, {target("10.0.0.1:80", 50), target("10.0.0.2:80", 50)});
    const ProxyConfig dns = proxy("dns", 53, {target("10.0.0.3:53")});
    const Plan first = planned({.proxies = {web, dns}});
    CHECK(planned({.proxies = {web, dns}}, first.ids).ids == first.ids);
    CHECK(planned({.proxies = {dns, web}}, first.ids).ids == first.ids);
    CHECK(planned({.proxies = {dns}}, first.ids).ids == first.ids);
    CHECK(planned({.proxies = {dns}}, first.ids).proxies[0].id == 1);
}

TEST_CASE("groups of the same targets and weights are one, within a proxy", "[plan]")
{
    ProxyConfig web = proxy("web", 80, {target("10.0.0.1:80", 50), target("10.0.0.2:80", 50)});
    web.source_routes = {
        route("10.1.0.0/16", {target("10.0.0.2:80", 50), target("10.0.0.1:80", 50)}), // turned
        route("10.2.0.0/16", {target("10.0.0.1:80", 60), target("10.0.0.2:80", 40)}),
        route("10.3.0.0/16", {target("10.0.0.3:80")}), route("10.4.0.0/16", {target("10.0.0.3:80")}),
        route("10.5.0.0/16", {target("10.0.0.3:81")})};
    const ProxyConfig other = proxy("other", 81, {target("10.0.0.3:80")});
    const Plan plan = planned({.proxies = {web, other}});
    REQUIRE(plan.groups.size() == 5);
    CHECK(members(plan.groups[0]) == Members{{0, 50}, {1, 50}});
    CHECK(members(plan.groups[1]) == Members{{0, 60}, {1, 40}});
    CHECK(members(plan.groups[2]) == Members{{2, 100}});
    CHECK(members(plan.groups[3]) == Members{{3, 100}});
    CHECK(members(plan.groups[4]) == Members{{4, 100}}); // the other proxy's own
    for (u32 i = 0; i < 5; ++i) CHECK(plan.groups[i].id == i);
    CHECK(plan.proxies[0].default_group == 0);
    CHECK(plan.proxies[0].has_routes);
    CHECK(plan.proxies[1].default_group == 4);
    CHECK_FALSE(plan.proxies[1].has_routes);
    REQUIRE(plan.routes.size() == 5);
    const u32 groups[] = {0, 1, 2, 2, 3};
    for (std::size_t i = 0; i < 5; ++i) {
        CHECK(plan.routes[i].group == groups[i]);
        CHECK(plan.routes[i].proxy == 0);
    }
    CHECK(plan.routes[1].source.text() == "10.2.0.0/16");
    CHECK(plan.targets.size() == 5);
}

TEST_CASE("a group's table is sized by its members, those of weight 0 included", "[plan]")
{
    std::vector<TargetConfig> nine;
    for (int i = 1; i <= 9; ++i) nine.push_back(target("10.0.0." + std::to_string(i) + ":80", 1));
    ProxyConfig web = proxy("web", 80, {nine[0]});
    web.source_routes = {route("10.1.0.0/16", {nine[0], target("10.0.0.2:80", 0)}),
                         route("10.2.0.0/16", {nine.begin(), nine.begin() + 8}), route("10.3.0.0/16", nine)};
    const Plan plan = planned({.proxies = {web}});
    REQUIRE(plan.groups.size() == 4);
    CHECK(plan.groups[0].slots == 1);
    CHECK(plan.groups[1].slots == 8191);
    CHECK(plan.groups[2].slots == 8191);
    CHECK(plan.groups[3].slots == 65537);
}

TEST_CASE("interfaces are those of all listeners, sorted, each once; egress has them and more", "[plan]")
{
    ProxyConfig web = proxy("web", 80, {target("10.0.0.1:80")});
    web.listen.interfaces = {"eth2", "eth0"};
    web.listen.egress_interfaces = {"eth9", "eth0"};
    ProxyConfig dns = proxy("dns", 53, {target("10.0.0.1:53")});
    dns.listen.interfaces = {"eth1", "eth0"};
    dns.listen.egress_interfaces = {"br0", "eth9"};
    const Plan plan = planned({.proxies = {web, dns}});
    CHECK(plan.interfaces == std::vector<std::string>{"eth0", "eth1", "eth2"});
    CHECK(plan.egress_interfaces == std::vector<std::string>{"br0", "eth0", "eth1", "eth2", "eth9"});
}

TEST_CASE("targets in 127/8 and the interface lo are seen", "[plan]")
{
    const auto plan_of = [](const std::string& endpoint, std::vector<std::string> interfaces) {
        ProxyConfig web = proxy("web", 80, {target(endpoint)});
        web.listen.interfaces = std::move(interfaces);
        return planned({.proxies = {web}});
    };
    CHECK_FALSE(plan_of("10.0.0.1:80", {"eth0"}).loopback_targets);
    CHECK(plan_of("127.0.0.1:80", {"eth0"}).loopback_targets);
    CHECK(plan_of("127.200.0.1:80", {"eth0"}).loopback_targets);
    CHECK_FALSE(plan_of("128.0.0.1:80", {"eth0"}).loopback_targets);
    CHECK_FALSE(plan_of("10.0.0.1:80", {"eth0"}).loopback_interface);
    CHECK(plan_of("10.0.0.1:80", {"eth0", "lo"}).loopback_interface);

    ProxyConfig routed = proxy("web", 80, {target("10.0.0.1:80")});
    routed.source_routes = {route("10.0.0.0/8", {target("127.0.0.1:80")})};
    CHECK(planned({.proxies = {routed}}).loopback_targets);
}

TEST_CASE("a plan carries the settings along", "[plan]")
{
    Config config{.proxies = {proxy("web", 80, {target("10.0.0.1:80")})}};
    config.settings.instance = "two";
    config.settings.max_connections = 77;
    config.settings.stats_enabled = true;
    const Plan plan = planned(config);
    CHECK(plan.instance == "two");
    CHECK(plan.max_connections == 77);
    CHECK(plan.settings.stats_enabled);
}

TEST_CASE("tables that are too large together are refused with their number", "[plan]")
{
    // Nine targets with one weight that differs: each route a group of 65537 slots, of which 511 fit in 2^25.
    const auto with_groups = [](u32 count) {
        std::vector<TargetConfig> nine;
        for (int i = 1; i <= 9; ++i) nine.push_back(target("10.0.0." + std::to_string(i) + ":80", 1));
        ProxyConfig web = proxy("web", 80, nine);
        for (u32 i = 1; i < count; ++i) {
            nine[0].weight = i + 1;
            web.source_routes.push_back(
                route("10.1." + std::to_string(i / 256) + "." + std::to_string(i % 256), nine));
        }
        return Config{.proxies = {web}};
    };
    CHECK(refusal(with_groups(511)) == "accepted");
    CHECK(refusal(with_groups(512)) ==
          "512 different groups of targets need 33554944 slots: at most 33554432 fit");
}

TEST_CASE("10,000 source routes to 10,000 targets are planned in a moment", "[plan]")
{
    ProxyConfig web = proxy("web", 80, {target("10.0.0.1:80")});
    for (u32 i = 0; i < 10000; ++i) {
        const std::string low = std::to_string(i / 250) + "." + std::to_string(i % 250 + 1);
        web.source_routes.push_back(route("10.1." + low, {target("10.2." + low + ":80")}));
    }
    const auto start = std::chrono::steady_clock::now();
    const Plan plan = planned({.proxies = {web}});
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    CHECK(plan.groups.size() == 10001);
    CHECK(plan.targets.size() == 10001);
    CHECK(plan.routes.size() == 10000);
    CHECK(plan.routes[9999].group == 10000);
    CHECK(taken.count() < 2); // some 0.05 s; where every pair is compared, minutes
}
