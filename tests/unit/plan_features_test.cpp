// From a configuration to a plan: families, algorithms, modes, lists and limits as the datapath needs them,
// and what it doesn't have.
#include "config_text.hpp"
#include "model/plan.hpp"

using namespace lb;
using namespace lb::model;
using namespace lb::test;
using namespace std::chrono_literals;

namespace {

// A proxy, its target at the listener's port, with these members; and the settings.
Config config_of(const std::string& members, const std::string& settings = "",
                 const std::string& target = R"({"ip": "10.0.0.1", "port": 80})",
                 const std::string& address = "")
{
    return accepted("{\"proxies\": [{" + good_name + R"(, "listen": {"interfaces": ["eth0"], "port": 80)" +
                    address + R"(}, "default-target": )" + target + (members.empty() ? "" : ", " + members) +
                    "}], \"settings\": {" + settings + "}}");
}

Plan resolved(const Config& config)
{
    auto plan = make_plan(config);
    if (!plan) FAIL(plan.error().message);
    return std::move(*plan);
}

std::vector<std::string> listeners(const Config& config)
{
    std::vector<std::string> lines;
    for (const PlanListener& each : resolved(config).listeners)
        if (each.protocol == Protocol::tcp)
            lines.push_back(name_of(each.family) + (each.kind == AddressKind::given
                                                        ? " " + each.address.text()
                                                    : each.kind == AddressKind::own ? " own"
                                                                                    : " any"));
    return lines;
}

const std::string target4 = R"({"ip": "10.0.0.1", "port": 80})",
                  target6 = R"({"ip": "2001:db8::2", "port": 80})";
const std::string two_targets =
    R"([{"ip": "10.0.0.1", "port": 80, "weight": 50}, {"ip": "10.0.0.2", "port": 80, "weight": 50}])";

std::string mode(const std::string& name) { return R"("forwarding": {"mode": ")" + name + "\"}"; }

using Lines = std::vector<std::string>;

} // namespace

TEST_CASE("own and any addresses are of the targets' family where the mode keeps it, else of both", "[plan]")
{
    const std::string any = R"(, "address": "any")";
    for (const std::string name : {"nat", "full-nat", "dsr-l2"}) {
        CHECK(listeners(config_of(mode(name), "", target4)) == Lines{"IPv4 own"});
        CHECK(listeners(config_of(mode(name), "", target6)) == Lines{"IPv6 own"});
        CHECK(listeners(config_of(mode(name), "", target6, any)) == Lines{"IPv6 any"});
    }
    for (const std::string name : {"dsr-ipip", "dsr-gue"}) {
        CHECK(listeners(config_of(mode(name), "", target4)) == Lines{"IPv4 own", "IPv6 own"});
        CHECK(listeners(config_of(mode(name), "", target6, any)) == Lines{"IPv4 any", "IPv6 any"});
    }
}

TEST_CASE("given addresses have their own families, IPv4 first, in the order of their numbers", "[plan]")
{
    const std::string address =
        R"(, "address": ["2001:db8::a", "192.0.2.200", "2001:db8::9", "9.0.0.1", "192.0.2.3"])";
    const Config config = config_of(mode("dsr-ipip"), "", target4, address);
    CHECK(listeners(config) == Lines{"IPv4 9.0.0.1", "IPv4 192.0.2.3", "IPv4 192.0.2.200", "IPv6 2001:db8::9",
                                     "IPv6 2001:db8::a"});
    CHECK(resolved(config).has(Family::ipv4));
    CHECK(resolved(config).has(Family::ipv6));
    const Plan v6 = resolved(config_of("", "", target6, R"(, "address": "2001:db8::1")"));
    CHECK_FALSE(v6.has(Family::ipv4));
    CHECK(v6.has(Family::ipv6));
}

TEST_CASE("a proxy's algorithm, mode, path and persistence come into the plan", "[plan]")
{
    const Plan plain = resolved(config_of(""));
    CHECK(plain.proxies[0].algorithm == Algorithm::maglev);
    CHECK(plain.proxies[0].mode == ForwardingMode::nat);
    CHECK(plain.proxies[0].path == ForwardingPath::automatic);
    CHECK(plain.proxies[0].gue_port == 0);
    CHECK_FALSE(plain.proxies[0].persistence);
    CHECK(plain.has(Algorithm::maglev));
    CHECK_FALSE(plain.has(Algorithm::random));
    CHECK(plain.has(ForwardingMode::nat));
    CHECK_FALSE(plain.has(ForwardingMode::dsr_gue));

    const Plan plan = resolved(config_of(R"("algorithm": "random", "session-persistence": {"timeout-sec": 7},
                              "forwarding": {"mode": "dsr-gue", "path": "fast", "port": 6081})"));
    CHECK(plan.proxies[0].algorithm == Algorithm::random);
    CHECK(plan.proxies[0].mode == ForwardingMode::dsr_gue);
    CHECK(plan.proxies[0].path == ForwardingPath::fast);
    CHECK(plan.proxies[0].gue_port == 6081);
    CHECK(plan.proxies[0].persistence == 7s);
    CHECK(plan.has(Algorithm::random));
    CHECK_FALSE(plan.has(Algorithm::maglev));
    CHECK(plan.has(ForwardingMode::dsr_gue));
    CHECK_FALSE(plan.has(ForwardingMode::nat));
    CHECK(resolved(config_of(mode("dsr-gue"))).proxies[0].gue_port == 6080);
}

TEST_CASE("a proxy's row says how its connections are picked", "[plan]")
{
    const auto row = [](const std::string& members) {
        return proxy_row(resolved(config_of(members)).proxies[0]);
    };
    CHECK(row("").algorithm == static_cast<u8>(Algorithm::maglev));
    CHECK(row("").session_ns == 0);
    CHECK(row(R"("algorithm": "source-hash")").algorithm == static_cast<u8>(Algorithm::source_hash));
    CHECK(row(R"("session-persistence": {"timeout-sec": 604800})").session_ns == 604'800'000'000'000);
    CHECK(resolved(config_of(R"("session-persistence": true)")).has_persistence());
    CHECK_FALSE(resolved(config_of("")).has_persistence());
}

TEST_CASE("lists become one set of prefixes, where deny wins over the same in allow", "[plan]")
{
    const auto lines = [](const Plan& plan) {
        Lines all;
        for (const PlanPrefix& each : plan.prefixes)
            all.push_back((each.allow ? "allow " : "deny ") + each.source.text());
        return all;
    };
    const Plan lists = resolved(config_of(
        R"("allow": ["10.0.0.0/8", "2001:db8::/32", "10.1.0.0/16"], "deny": ["10.1.0.0/16", "10.0.0.0/9"])"));
    CHECK(lines(lists) == Lines{"allow 10.0.0.0/8", "deny 10.1.0.0/16", "deny 10.0.0.0/9", "deny 0.0.0.0/0"});
    CHECK(lists.proxies[0].has_prefixes);
    CHECK(lists.has_features());
    const Plan deny = resolved(config_of(R"("deny": ["10.1.0.0/16"], "allow": [])"));
    CHECK(lines(deny) == Lines{"deny 10.1.0.0/16"});
    CHECK(deny.proxies[0].has_prefixes);
    const Plan none = resolved(config_of(""));
    CHECK(none.prefixes.empty());
    CHECK_FALSE(none.proxies[0].has_prefixes);
    CHECK_FALSE(none.has_features());

    // What both lists name is denied, and all else too: the allow list isn't empty.
    const Plan same = resolved(config_of(R"("allow": ["10.0.0.0/8"], "deny": ["10.0.0.0/8"])"));
    CHECK(lines(same) == Lines{"deny 10.0.0.0/8", "deny 0.0.0.0/0"});

    // Somebody who says everybody means it, either way.
    CHECK(lines(resolved(config_of(R"("allow": ["0.0.0.0/0"])"))) == Lines{"allow 0.0.0.0/0"});
    CHECK(lines(resolved(config_of(R"("allow": ["10.0.0.0/8"], "deny": ["0.0.0.0/0"])"))) ==
          Lines{"allow 10.0.0.0/8", "deny 0.0.0.0/0"});
}

TEST_CASE("lists are of the families that the proxy listens on, and an allow list speaks for each", "[plan]")
{
    const auto lines = [](const std::string& members, const std::string& target) {
        Lines all;
        for (const PlanPrefix& each : resolved(config_of(members, "", target)).prefixes)
            all.push_back((each.allow ? "allow " : "deny ") + each.source.text());
        return all;
    };
    const std::string four = R"("allow": ["10.0.0.0/8"])", six = R"("deny": ["2001:db8::/32"])";
    CHECK(lines(four, target4) == Lines{"allow 10.0.0.0/8", "deny 0.0.0.0/0"});
    CHECK(lines(six, target4).empty());
    CHECK(lines(six, target6) == Lines{"deny 2001:db8::/32"});
    CHECK(lines(mode("dsr-ipip") + ", " + four, target4) ==
          Lines{"allow 10.0.0.0/8", "deny 0.0.0.0/0", "deny ::/0"});
}

TEST_CASE("lists and limits are there for the family and protocol that a proxy with them has", "[plan]")
{
    const std::string limits =
        R"(, "rate-limits": {"per-target": {"packets-per-sec": 1}}, "deny": ["10.0.0.0/8"])";
    const auto proxy = [](const std::string& name, const std::string& listen, const std::string& target,
                          const std::string& more) {
        return "{\"name\": \"" + name + R"(", "listen": {"interfaces": ["eth0"], "port": 80, )" + listen +
               "}, \"default-target\": " + target + more + "}";
    };
    const Plan plan =
        resolved(accepted("{\"proxies\": [" + proxy("udp4", R"("protocol": "udp")", target4, limits) + ", " +
                          proxy("tcp4", R"("protocol": "tcp")", target4, "") + ", " +
                          proxy("six", R"("protocol": "both")", target6,
                                R"(, "rate-limits": {"per-source": {"requests-per-sec": 1}})") +
                          "]}"));
    const auto has = [&](Limit limit) {
        std::string where;
        for (const Family family : {Family::ipv4, Family::ipv6})
            for (const Protocol protocol : {Protocol::tcp, Protocol::udp})
                where += plan.has(limit, family, protocol) ? '1' : '0';
        return where;
    };
    CHECK(has(Limit::target_packets) == "0100");
    CHECK(has(Limit::source_connections) == "0011");
    CHECK(has(Limit::target_connections) == "0000");
    CHECK(has(Limit::source_packets) == "0000");
    CHECK(plan.has_lists(Family::ipv4, Protocol::udp));
    CHECK_FALSE(plan.has_lists(Family::ipv4, Protocol::tcp));
    CHECK_FALSE(plan.has_lists(Family::ipv6, Protocol::udp));
}

TEST_CASE("a proxy's limits go over those of the settings, each rate with its burst", "[plan]")
{
    struct Row {
        const char* proxy;    // per-source
        const char* settings; // per-source
        PlanRate requests, packets;
        u8 length4 = 32, length6 = 64;
    };
    const Row rows[] = {
        {"{}", "{}", {}, {}},
        {R"({"requests-per-sec": 100})", "{}", {100, 200}, {}},
        {R"({"requests-per-sec": 100, "burst": 5})", "{}", {100, 5}, {}},
        {R"({"requests-per-sec": 10000000})", "{}", {10000000, 20000000}, {}},
        {"{}", R"({"requests-per-sec": 7, "packets-per-sec": 9, "packets-burst": 1})", {7, 14}, {9, 1}},
        {R"({"burst": 3})", R"({"requests-per-sec": 7, "burst": 70})", {7, 3}, {}},
        {R"({"requests-per-sec": 100})", R"({"requests-per-sec": 7, "burst": 8})", {100, 200}, {}},
        {R"({"packets-per-sec": 50})",
         R"({"requests-per-sec": 7, "packets-per-sec": 1})",
         {7, 14},
         {50, 100}},
        {"false", R"({"requests-per-sec": 7, "packets-per-sec": 1})", {}, {}},
        {R"({"prefix-length-ipv4": 24})",
         R"({"requests-per-sec": 7, "prefix-length-ipv4": 16, "prefix-length-ipv6": 48})",
         {7, 14},
         {},
         24,
         48},
    };
    for (const Row& row : rows) {
        INFO(row.proxy << " over " << row.settings);
        const Plan plan =
            resolved(config_of(R"("rate-limits": {"per-source": )" + std::string(row.proxy) + "}",
                               R"("rate-limits": {"per-source": )" + std::string(row.settings) + "}"));
        const PlanSourceLimits& limits = plan.proxies[0].per_source;
        CHECK(limits.requests == row.requests);
        CHECK(limits.packets == row.packets);
        CHECK(limits.prefix_length_ipv4 == row.length4);
        CHECK(limits.prefix_length_ipv6 == row.length6);
        CHECK_FALSE(plan.proxies[0].per_target.any());
    }
    const Plan per_target = resolved(config_of(R"("rate-limits": {"per-target": {"packets-per-sec": 4}})",
                                               R"("rate-limits": {"per-target": {"requests-per-sec": 3}})"));
    CHECK(per_target.proxies[0].per_target.requests == PlanRate{3, 6});
    CHECK(per_target.proxies[0].per_target.packets == PlanRate{4, 8});
    CHECK_FALSE(per_target.proxies[0].per_source.any());
}

TEST_CASE("a group's table has the size that is configured, where there is a table to hash into", "[plan]")
{
    const auto slots = [](const std::string& members, const std::string& settings,
                          const std::string& targets = two_targets) {
        return resolved(config_of(members, settings, targets)).groups[0].slots;
    };
    const std::string small = R"("maglev-table-size": 251)", large = R"("maglev-table-size": 131071)";
    CHECK(slots("", "") == 8191);
    CHECK(slots("", small) == 251);
    CHECK(slots(large, small) == 131071);
    CHECK(slots(R"("maglev-table-size": "auto")", small) == 8191);
    CHECK(slots(small, "", target4) == 1);
    CHECK(slots(R"("algorithm": "source-hash")", small) == 251);
    CHECK(slots(R"("algorithm": "random")", small) == 8191);
}
