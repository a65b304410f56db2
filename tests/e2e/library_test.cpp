// liblb in another process: the README's example.
#include <cstdlib>

#include "setup.hpp"

using namespace lb::e2e;

TEST_CASE("the library's example balances, tells what it did, and leaves nothing", "[e2e]")
{
    const char* program = std::getenv("LB_EXAMPLE");
    REQUIRE(program != nullptr);
    Topology net;
    const auto servers = start_backends(net);
    const std::string before = net.balancer.exec("bpftool net show");
    Child example({program, "eth0", "80", "10.0.0.11:8080", "3"}, net.balancer.fd());
    REQUIRE(example.wait_for("ready", 5s));
    const Tally tally = run_short({.call = {.to = own_web, .netns = net.c1.fd()}, .count = 50});
    CHECK(tally.by_server == std::map<std::string, u64>{{"b1", 50}});
    CHECK(example.wait(10s) == 0);
    INFO(example.log());
    CHECK(example.log().find("example 10.0.0.11:8080: 50 connections, ") != std::string::npos);
    CHECK(net.balancer.exec("bpftool net show") == before);
}
