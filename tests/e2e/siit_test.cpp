// Full NAT between IPv4 and IPv6, end to end: clients of one IP version, targets of the other.
#include <netinet/in.h>
#include <sys/socket.h>

#include "lab/socket.hpp"
#include "model/reason.hpp"
#include "setup.hpp"

using namespace lb::e2e;

namespace {

constexpr const char* two_targets = R"([
    {"ip": "10.0.0.11", "port": 8080, "weight": 50}, {"ip": "10.0.0.12", "port": 8080, "weight": 50}])";
constexpr const char* two_targets6 = R"([
    {"ip": "2001:db8:a::11", "port": 8080, "weight": 50},
    {"ip": "2001:db8:a::12", "port": 8080, "weight": 50}])";

std::string across_proxy(const std::string& name, const std::string& address, const std::string& targets)
{
    return proxy({.name = name,
                  .interfaces = R"(["eth0", "eth1"])",
                  .listen = "\"address\": \"" + address + '"',
                  .target = targets,
                  .more = R"("forwarding": {"mode": "full-nat"})"});
}

// What arrives from a wire has its checksums; and nobody but their own subnet can be answered.
void cut_off(Topology& net)
{
    for (Namespace* each : {&net.b1, &net.b2}) {
        each->exec("ethtool -K eth0 tx off");
        each->exec("ip route del default");
        each->exec("ip -6 route del default");
    }
    for (Namespace* each : {&net.c1, &net.c2}) each->exec("ethtool -K eth0 tx off");
}

struct Way {
    std::string to, source;
};
// What a client connects to, and whom the targets see.
const Way ways[] = {{vip_web, "[2001:db8:a::1]"}, {"[" + std::string(vip6) + "]:80", "10.0.0.1"}};

std::string both_proxies()
{
    return config({across_proxy("to6", vip, two_targets6), across_proxy("to4", vip6, two_targets)});
}

} // namespace

TEST_CASE("clients of one IP version are served by targets of the other, TCP and UDP", "[e2e][siit]")
{
    Topology net;
    const auto servers = start_backends(net), servers6 = start_backends(net, 8080, Family::ipv6);
    cut_off(net);
    Daemon lb(net.balancer, both_proxies(), instance_name());
    lb.start();
    for (const auto& [to, source] : ways) {
        INFO(to);
        const Call call{.to = to, .netns = net.c1.fd()};
        Connection connection(call);
        const auto answer = connection.ask();
        REQUIRE(answer);
        CHECK(answer->seen.substr(0, answer->seen.rfind(':')) == source);
        const Tally connections = run_short({.call = call, .count = 3000, .cpus = {client_cpu, server_cpu}});
        INFO(connections.text());
        CHECK(connections.answered() == 3000);
        check_shares(connections, {{"b1", 50}, {"b2", 50}});
        const Tally answers =
            run_questions({.call = call, .sockets = 500, .per_socket = 4, .cpus = {client_cpu, server_cpu}});
        INFO(answers.text());
        CHECK(answers.answered() == 2000);
        CHECK(answers.failed() == 0);
        const Transfer up = upload({.to = to, .netns = net.c2.fd(), .timeout = 30s}, 20 * megabyte);
        INFO(up.error);
        CHECK(up.ok);
        const Transfer down = download({.to = to, .netns = net.c2.fd(), .timeout = 30s}, 20 * megabyte);
        INFO(down.error);
        CHECK(down.ok);
    }
    CHECK(counted(net.balancer, lb::model::Reason::siit_lost) == 0);
    CHECK(counted(net.balancer, lb::model::Reason::siit_failed) == 0);
    CHECK(counted(net.balancer, lb::model::Reason::internal) == 0);
}

TEST_CASE("connections between IP versions outlive kill -9 and a new start", "[e2e][siit]")
{
    Topology net;
    const auto servers = start_backends(net), servers6 = start_backends(net, 8080, Family::ipv6);
    cut_off(net);
    Daemon lb(net.balancer, both_proxies(), instance_name());
    lb.start();
    BusyConnections busy4({.to = ways[0].to, .netns = net.c1.fd()}, 10),
        busy6({.to = ways[1].to, .netns = net.c2.fd()}, 10);
    std::this_thread::sleep_for(300ms);
    lb.kill();
    std::this_thread::sleep_for(300ms);
    lb.start();
    std::this_thread::sleep_for(300ms);
    for (auto* busy : {&busy4, &busy6}) {
        const auto report = busy->stop();
        INFO(report.first_error);
        CHECK(report.asked > 100);
        CHECK(report.broken == 0);
        CHECK(report.moved == 0);
    }
}

TEST_CASE("a configuration without them forgets the connections between IP versions", "[e2e][siit]")
{
    Topology net;
    const auto servers = start_backends(net), servers6 = start_backends(net, 8080, Family::ipv6);
    cut_off(net);
    const std::string name = instance_name();
    const auto between = [&] {
        const std::string dump =
            net.balancer.exec("bpftool map dump pinned /sys/fs/bpf/lb/" + name + "/flows6_v2");
        int count = 0;
        for (auto at = dump.find("\"carried\": 3"); at != std::string::npos;
             at = dump.find("\"carried\": 3", at + 1))
            ++count;
        return count;
    };
    Daemon lb(net.balancer, both_proxies(), name);
    lb.start();
    CHECK(run_short({.call = {.to = ways[0].to, .netns = net.c1.fd()}, .count = 5}).answered() == 5);
    CHECK(run_short({.call = {.to = ways[1].to, .netns = net.c1.fd()}, .count = 5}).answered() == 5);
    CHECK(between() == 10); // replies of the first, requests of the second
    lb.kill();
    Daemon other(net.balancer, config({across_proxy("to6", vip6, two_targets6)}), name);
    other.start();
    CHECK(between() == 0);
    CHECK(run_short({.call = {.to = ways[1].to, .netns = net.c1.fd()}, .count = 5}).answered() == 5);
    CHECK(between() == 0);
}

namespace {

// The router's error is of the clients' IP version, and has to reach a target of the other.
void check_download(const std::string& to, const std::string& address, const std::string& server_address,
                    const std::string& learned)
{
    PathMtuTopology net;
    net.server.exec("ethtool -K eth0 tx off");
    net.server.exec("ip route del default");
    net.server.exec("ip -6 route del default");
    const bool six = server_address.find(':') != std::string::npos;
    const Server server({.name = "s",
                         .listen = (six ? "[" + server_address + "]" : server_address) + ":8080",
                         .netns = net.server.fd()});
    Daemon lb(net.balancer, config({across_proxy("web", address, target(server_address))}), instance_name());
    lb.start();
    const Transfer down = download({.to = to, .netns = net.client.fd(), .timeout = 20s}, 20 * megabyte);
    INFO(down.error << " after " << down.seconds << " s");
    CHECK(down.ok);
    CHECK(down.seconds < 10); // stalled, it would take for ever
    CHECK(counted(net.balancer, lb::model::Reason::icmp_forwarded) > 0);
    const std::string route = net.server.exec(six ? "ip route get 2001:db8:a::1" : "ip route get 10.0.0.1");
    INFO(route);
    CHECK(route.find(learned) != std::string::npos);
}

} // namespace

TEST_CASE("a download by IPv4 from an IPv6 target does not stall at a 1300-byte link",
          "[e2e][path-mtu][siit]")
{
    check_download(vip_web, vip, "2001:db8:a::11", "mtu 1320"); // IPv6's header is longer by 20
}

TEST_CASE("a download by IPv6 from an IPv4 target does not stall at a 1300-byte link",
          "[e2e][path-mtu][siit]")
{
    check_download("[" + std::string(vip6) + "]:80", vip6, "10.0.0.11", "mtu 1280");
}

TEST_CASE("an IPv4 client learns what fits its IPv6 targets", "[e2e][path-mtu][siit]")
{
    Topology net;
    const auto servers = start_backends(net, 8080, Family::ipv6);
    cut_off(net);
    Daemon lb(net.balancer, both_proxies(), instance_name());
    lb.start();
    int mtu = 0;
    bool refused = false, sent = false;
    net.c1.run([&] {
        const Fd socket(::socket(AF_INET, SOCK_DGRAM, 0));
        const int never_fragment = IP_PMTUDISC_DO;
        ::setsockopt(socket.get(), IPPROTO_IP, IP_MTU_DISCOVER, &never_fragment, sizeof never_fragment);
        SocketAddress to(vip_web);
        REQUIRE(::connect(socket.get(), to.data(), to.size()) == 0);
        const std::string full(1472, 'x'), shorter(1452, 'x');
        const auto until = std::chrono::steady_clock::now() + 10s;
        while (!refused && std::chrono::steady_clock::now() < until) {
            refused = ::send(socket.get(), full.data(), full.size(), 0) < 0 && errno == EMSGSIZE;
            std::this_thread::sleep_for(20ms);
        }
        socklen_t size = sizeof mtu;
        ::getsockopt(socket.get(), IPPROTO_IP, IP_MTU, &mtu, &size);
        // Each of the large ones leaves an error behind, which another call is told of.
        for (int i = 0; i < 100 && !sent; ++i)
            sent = ::send(socket.get(), shorter.data(), shorter.size(), 0) ==
                   static_cast<ssize_t>(shorter.size());
    });
    CHECK(refused);
    CHECK(mtu == 1480); // IPv6's header is longer by 20
    CHECK(sent);
    CHECK(counted(net.balancer, lb::model::Reason::too_big) > 0);
}

TEST_CASE("proxies of every kind of translation stand beside one another", "[e2e][siit][full-nat][fast]")
{
    Topology net;
    const auto servers = start_backends(net), servers6 = start_backends(net, 8080, Family::ipv6);
    for (Namespace* each : {&net.b1, &net.b2, &net.c1, &net.c2}) each->exec("ethtool -K eth0 tx off");
    for (Namespace* each : {&net.c1, &net.c2}) each->exec("ethtool -K eth0 gro on");
    const auto way = [](const std::string& name, int port, const std::string& targets,
                        const std::string& forwarding) {
        return proxy(
            {.name = name, .port = port, .target = targets, .more = "\"forwarding\": {" + forwarding + "}"});
    };
    Daemon lb(net.balancer,
              config({way("stack", 80, two_targets, R"("mode": "nat")"),
                      way("fast", 81, two_targets, R"("mode": "nat", "path": "fast")"),
                      way("full", 82, two_targets, R"("mode": "full-nat")"),
                      way("full-fast", 83, two_targets, R"("mode": "full-nat", "path": "fast")"),
                      way("across", 84, two_targets6, R"("mode": "full-nat")"),
                      way("across-fast", 85, two_targets6, R"("mode": "full-nat", "path": "fast")")}),
              instance_name());
    lb.start();
    for (int port = 80; port <= 85; ++port) {
        INFO("port " << port);
        const Call call{
            .to = std::string(vip) + ":" + std::to_string(port), .netns = net.c1.fd(), .timeout = 30s};
        const Tally connections = run_short({.call = call, .count = 500, .cpus = {client_cpu, server_cpu}});
        INFO(connections.text());
        CHECK(connections.answered() == 500);
        CHECK(run_questions({.call = call, .sockets = 50}).answered() == 500);
        CHECK(upload(call, 5 * megabyte).error == "");
        CHECK(download(call, 5 * megabyte).error == "");
    }
    using lb::model::Reason;
    for (const Reason each :
         {Reason::reply_forwarded, Reason::reply_sent_on, Reason::reply_translated, Reason::forwarded})
        CHECK(counted(net.balancer, each) > 1000);
    for (const Reason each :
         {Reason::internal, Reason::siit_lost, Reason::siit_failed, Reason::no_source_port})
        CHECK(counted(net.balancer, each) == 0);
}
