// The main job over IPv6, alone and beside IPv4.
#include "setup.hpp"

using namespace lb::e2e;

namespace {

const std::string vip6_web = std::string("[") + vip6 + "]:80";

constexpr const char* three_targets6 = R"([
    {"ip": "2001:db8:a::11", "port": 8080, "weight": 50},
    {"ip": "2001:db8:a::12", "port": 8080, "weight": 30},
    {"ip": "2001:db8:b::13", "port": 8080, "weight": 20}])";

std::string proxy6()
{
    return proxy(
        {.name = "six", .listen = std::string("\"address\": \"") + vip6 + '"', .target = three_targets6});
}

} // namespace

TEST_CASE("IPv6 connections and datagrams are shared 50/30/20, beside those of IPv4", "[e2e][ipv6]")
{
    Topology net;
    const auto servers = start_backends(net), servers6 = start_backends(net, 8080, Family::ipv6);
    Daemon lb(net.balancer, config({proxy({}), proxy6()}), instance_name());
    lb.start();
    const Call six{.to = vip6_web, .netns = net.c1.fd()}, four{.to = vip_web, .netns = net.c1.fd()};
    const Tally connections = run_short({.call = six, .count = 3000, .cpus = {client_cpu, client_cpu}});
    CHECK(connections.answered() == 3000);
    check_shares(connections, three_shares);
    const Tally answers =
        run_questions({.call = six, .sockets = 3000, .per_socket = 2, .cpus = {client_cpu, client_cpu}});
    CHECK(answers.answered() == 6000);
    check_shares(answers, three_shares, 3000);
    const Tally beside = run_short({.call = four, .count = 1000, .cpus = {client_cpu}});
    CHECK(beside.answered() == 1000);
    CHECK(beside.failed() == 0);
}

TEST_CASE("100 megabytes arrive unchanged each way over IPv6", "[e2e][ipv6]")
{
    Topology net;
    const auto servers6 = start_backends(net, 8080, Family::ipv6);
    Daemon lb(net.balancer, config({proxy6()}), instance_name());
    lb.start();
    const Call call{.to = vip6_web, .netns = net.c1.fd(), .timeout = 30s};
    const Transfer up = upload(call, 100 * megabyte);
    INFO("up " << up.error);
    CHECK(up.ok);
    const Transfer down = download(call, 100 * megabyte);
    INFO("down " << down.error);
    CHECK(down.ok);
}
