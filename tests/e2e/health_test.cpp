// What targets' health does to traffic: an unhealthy one takes nothing new and keeps what it has, and comes
// back in steps.
#include "health.hpp"

using namespace lb::e2e;

namespace {

const std::map<std::string, double> without_b2 = {{"b1", 50}, {"b2", 0}, {"b3", 20}};

struct Healths {
    explicit Healths(const Topology& net)
        : b1(health_server(net.b1, "10.0.0.11")),
          b2(health_server(net.b2, "10.0.0.12")),
          b3(health_server(net.b3, "10.0.3.13"))
    {}
    std::unique_ptr<Server> b1, b2, b3;
};

} // namespace

TEST_CASE(
    "an unhealthy target's share goes to the others, and comes back in steps, and no connection is lost",
    "[e2e][health]")
{
    Topology net;
    const auto servers = start_backends(net);
    Healths health(net);
    Daemon lb(net.balancer, config({proxy({})}, checks), instance_name());
    lb.start();
    const Call call{.to = vip_web, .netns = net.c1.fd()};
    BusyConnections busy(call, 40);
    check_shares(run_short({.call = call, .count = 2000}), three_shares);

    health.b2.reset();
    REQUIRE(wait_for_log(lb, "target 10.0.0.12:8080 of web is unhealthy (refused): Connection refused"));
    CHECK(wait_for_log(lb, "weights of web: 71/0/29"));
    check_shares(run_short({.call = call, .count = 2000}), without_b2);

    health.b2 = health_server(net.b2, "10.0.0.12");
    REQUIRE(wait_for_log(lb, "target 10.0.0.12:8080 of web is healthy: connected", 10s));
    const std::string log = lb.log();
    std::size_t at = 0;
    for (const std::string step :
         {"recovering, with 25 %", "recovering, with 50 %", "recovering, with 75 %"}) {
        INFO(step);
        at = log.find(step, at);
        CHECK(at != std::string::npos);
    }
    check_shares(run_short({.call = call, .count = 2000}), three_shares);
    const auto report = busy.stop();
    INFO(report.first_error);
    CHECK(report.broken == 0);
    CHECK(report.moved == 0);
}

TEST_CASE("where all targets are unhealthy they keep their weights, or take nothing where the file says so",
          "[e2e][health]")
{
    Topology net;
    const auto servers = start_backends(net);
    Daemon lb(net.balancer,
              config({proxy({}), proxy({.name = "strict",
                                        .port = 81,
                                        .target = target("10.0.0.11"),
                                        .more = R"("all-unhealthy": "reject")"})},
                     checks),
              instance_name());
    lb.start();
    const Call strict{.to = "203.0.113.80:81", .netns = net.c1.fd(), .timeout = 300ms};
    Connection before(strict);
    REQUIRE(before.ask());
    for (const std::string ip : {"10.0.0.11", "10.0.0.12", "10.0.3.13"})
        REQUIRE(wait_for_log(lb, "target " + ip + ":8080 of web is unhealthy"));
    REQUIRE(wait_for_log(lb, "target 10.0.0.11:8080 of strict is unhealthy"));
    CHECK(wait_for_log(lb, "weights of web: 50/30/20"));
    CHECK(wait_for_log(lb, "weights of strict: 0"));
    check_shares(run_short({.call = {.to = vip_web, .netns = net.c1.fd()}, .count = 2000}), three_shares);
    CHECK(who(strict, 300ms) == "failed: connect: Connection timed out");
    CHECK(counted(net.balancer, lb::model::Reason::no_target) >= 1);
    CHECK(before.ask()); // what it has, it keeps
}

TEST_CASE("a target that is out of service takes nothing, healthy or not", "[e2e][health]")
{
    Topology net;
    const auto servers = start_backends(net);
    const Healths health(net);
    const std::string targets = R"([{"ip": "10.0.0.11", "port": 8080, "weight": 50},
        {"ip": "10.0.0.12", "port": 8080, "weight": 30, "enabled": false},
        {"ip": "10.0.3.13", "port": 8080, "weight": 20}])";
    // The second picks by the members' weights.
    const std::string algorithm = GENERATE(R"("algorithm": "maglev")", R"("algorithm": "least-connections")");
    Daemon lb(net.balancer, config({proxy({.target = targets, .more = algorithm})}, checks), instance_name());
    lb.start();
    const Call call{.to = vip_web, .netns = net.c1.fd()};
    for (const auto pause : {0ms, 2500ms}) { // by then each was checked twice and more, and found well
        std::this_thread::sleep_for(pause);
        const Tally tally = run_short({.call = call, .count = 500});
        INFO(tally.text());
        CHECK(tally.failed() == 0);
        CHECK(tally.percent("b1") > 50);
        CHECK(tally.percent("b2") == 0);
    }
}
