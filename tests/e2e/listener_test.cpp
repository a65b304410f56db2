// Which packets are the listener's, and which are not.
#include <mutex>

#include "setup.hpp"

using namespace lb::e2e;

TEST_CASE("source routes choose by the longest prefix of the client's address", "[e2e]")
{
    const std::string routes = R"("source-routes": [
        {"source": "192.0.2.0/24", "target": {"ip": "10.0.0.11", "port": 8080}},
        {"source": "192.0.2.10", "targets": [{"ip": "10.0.3.13", "port": 8080, "weight": 100}]}])";
    Balanced lab(config({proxy({.target = target("10.0.0.12"), .more = routes})}));
    lab.net.c1.ip("addr add 192.0.2.20/24 dev eth0");
    for (int i = 0; i < 5; ++i) {
        CHECK(who(lab.from_c1(vip_web, "192.0.2.10:0")) == "b3");
        CHECK(who(lab.from_c1(vip_web, "192.0.2.20:0")) == "b1");
        CHECK(who(lab.from_c2(vip_web)) == "b2");
    }
}

TEST_CASE("a packet to a listener's port that merely passes through is left alone", "[e2e]")
{
    // With "any" it would be taken; with the host's own addresses, or given ones, it is somebody else's.
    const std::string listen = GENERATE(as<std::string>(), "", R"("address": "203.0.113.80")");
    Balanced lab(config({proxy({.listen = listen, .target = target("10.0.0.12")})}));
    const Server other({.name = "other", .listen = "10.0.0.11:80", .netns = lab.net.b1.fd()});
    Connection connection(lab.from_c1("10.0.0.11:80", "192.0.2.10:5003"));
    const auto answer = connection.ask();
    INFO(connection.error());
    REQUIRE(answer.has_value());
    CHECK(answer->server == "other");
    CHECK(answer->seen == "192.0.2.10:5003");
    const Tally udp = run_questions({.call = lab.from_c1("10.0.0.11:80"), .sockets = 5, .per_socket = 2});
    CHECK(udp.by_server == std::map<std::string, u64>{{"other", 10}});
}

TEST_CASE("an address of the host that is added while lb runs is a listener's too", "[e2e]")
{
    Balanced lab(config({proxy({.listen = "", .target = target("10.0.0.11")})}));
    CHECK(who(lab.from_c1(own_web)) == "b1");
    CHECK(who(lab.from_c2("198.51.100.1:80")) == "b1");
    CHECK(who(lab.from_c1("192.0.2.2:80"), 500ms).rfind("failed", 0) == 0);
    lab.net.balancer.ip("addr add 192.0.2.2/24 dev eth0");
    CHECK(who_until(lab.from_c1("192.0.2.2:80"), "b1") == "b1");
    lab.net.balancer.ip("addr del 192.0.2.2/24 dev eth0");
    // The client still knows the way to it: only lb can have stopped.
    CHECK(who_until_not(lab.from_c1("192.0.2.2:80"), "b1") != "b1");
    CHECK(who(lab.from_c1(own_web)) == "b1");
}

TEST_CASE("a listener for one protocol leaves the other to the host", "[e2e]")
{
    Balanced lab(config({proxy({.listen = R"("protocol": "tcp")", .target = target("10.0.0.11")})}));
    const Server own(
        {.name = "host", .listen = "192.0.2.1:80", .netns = lab.net.balancer.fd(), .tcp = false});
    CHECK(who(lab.from_c1(own_web)) == "b1");
    const Tally udp = run_questions({.call = lab.from_c1(own_web), .sockets = 5, .per_socket = 1});
    INFO(udp.text());
    CHECK(udp.by_server == std::map<std::string, u64>{{"host", 5}});
}

TEST_CASE("two VIPs that share a target serve one client port at the same time", "[e2e]")
{
    Balanced lab(config({
        proxy({.name = "first", .target = target("10.0.0.11")}),
        proxy({.name = "second", .listen = R"("address": "203.0.113.81")", .target = target("10.0.0.11")}),
        proxy({.name = "third", .port = 81, .target = target("10.0.0.11")}),
    }));
    const std::string from = "192.0.2.10:5004";
    Connection a(lab.from_c1("203.0.113.80:80", from));
    Connection b(lab.from_c1("203.0.113.81:80", from));
    Connection c(lab.from_c1("203.0.113.80:81", from));
    std::vector<std::string> seen;
    for (Connection* one : {&a, &b, &c}) {
        const auto answer = one->ask();
        INFO(one->error());
        REQUIRE(answer.has_value());
        CHECK(answer->server == "b1");
        seen.push_back(answer->seen);
    }
    CHECK(seen[0] == from);
    CHECK(seen[1] != seen[0]);
    CHECK(seen[2] != seen[0]);
    CHECK(seen[2] != seen[1]);
    // And they stay apart.
    for (int round = 0; round < 20; ++round)
        for (Connection* one : {&a, &b, &c}) REQUIRE(one->ask().has_value());
}

TEST_CASE("two VIPs that share a target answer one client's UDP port", "[e2e]")
{
    Balanced lab(config({
        proxy({.name = "first", .target = target("10.0.0.11")}),
        proxy({.name = "second", .listen = R"("address": "203.0.113.81")", .target = target("10.0.0.11")}),
    }));
    Tally both;
    {
        std::vector<std::jthread> threads;
        std::mutex lock;
        for (const char* to : {"203.0.113.80:80", "203.0.113.81:80"}) {
            threads.emplace_back([&, to] {
                const Tally tally = run_questions(
                    {.call = lab.from_c1(to, "192.0.2.10:5005"), .sockets = 1, .per_socket = 200});
                const std::lock_guard guard(lock);
                both.add(tally);
            });
        }
    }
    INFO(both.text());
    CHECK(both.by_server == std::map<std::string, u64>{{"b1", 400}});
    CHECK(both.failed() == 0);
}

TEST_CASE("a reply to a port that is also a listener's is not taken for a request", "[e2e]")
{
    // The client's port is 80 as the listener's is, and replies meet the ingress program on the bridge's
    // ports.
    Balanced lab(config(
        {proxy({.interfaces = R"(["eth0", "port1", "port2", "port3"])", .listen = R"("address": "any")"})}));
    for (int i = 0; i < 10; ++i) {
        Connection connection(lab.from_c1(vip_web, "192.0.2.10:80"));
        INFO(connection.error());
        REQUIRE(connection.ask().has_value());
        const linger reset{1, 0};
        ::setsockopt(connection.fd(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    }
}
