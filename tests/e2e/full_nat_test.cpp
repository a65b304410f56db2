// Full NAT end to end: targets that have no way back through lb, clients beside their targets, and what the
// host's own sockets see of it.
#include "setup.hpp"

using namespace lb::e2e;

namespace {

const std::string full_nat = R"("forwarding": {"mode": "full-nat"})";
constexpr const char* two_targets = R"([
    {"ip": "10.0.0.11", "port": 8080, "weight": 50}, {"ip": "10.0.0.12", "port": 8080, "weight": 50}])";
constexpr const char* two_targets6 = R"([
    {"ip": "2001:db8:a::11", "port": 8080, "weight": 50},
    {"ip": "2001:db8:a::12", "port": 8080, "weight": 50}])";

// Replies come in by the bridge, where lb attaches by itself.
const std::string outside = R"(["eth0", "eth1"])";
const std::string all = R"(["eth0", "eth1", "br0"])";

std::string full_proxy(const std::string& targets = two_targets, const std::string& interfaces = outside)
{
    return proxy({.interfaces = interfaces, .target = targets, .more = full_nat});
}
std::string full_proxy6()
{
    return proxy({.name = "six",
                  .interfaces = outside,
                  .listen = std::string("\"address\": \"") + vip6 + '"',
                  .target = two_targets6,
                  .more = full_nat});
}

// What arrives from a wire has its checksums; and nobody but their own subnet can be answered.
void cut_off(Topology& net)
{
    for (Namespace* each : {&net.b1, &net.b2}) {
        each->exec("ethtool -K eth0 tx off");
        each->exec("ip route del default");
        each->exec("ip -6 route del default");
    }
}

std::string host_of(const std::string& seen) { return seen.substr(0, seen.rfind(':')); }

} // namespace

TEST_CASE("targets without a way back through lb are reached by full NAT, TCP and UDP, both families",
          "[e2e][full-nat]")
{
    Topology net;
    const auto servers = start_backends(net), servers6 = start_backends(net, 8080, Family::ipv6);
    cut_off(net);
    Daemon lb(net.balancer, config({full_proxy(), full_proxy6()}), instance_name());
    lb.start();
    for (const auto& [to, source] : {std::pair{std::string(vip_web), std::string("10.0.0.1")},
                                     {"[" + std::string(vip6) + "]:80", "[2001:db8:a::1]"}}) {
        INFO(to);
        const Call call{.to = to, .netns = net.c1.fd()};
        Connection connection(call);
        const auto answer = connection.ask();
        REQUIRE(answer);
        CHECK(host_of(answer->seen) == source);
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
    CHECK(counted(net.balancer, lb::model::Reason::reply_forwarded) == 0);
}

TEST_CASE("a client on its target's own subnet is served by full NAT", "[e2e][full-nat]")
{
    Topology net;
    const auto servers = start_backends(net);
    net.b1.exec("ethtool -K eth0 tx off");
    net.b2.exec("ethtool -K eth0 tx off");
    Daemon lb(net.balancer, config({full_proxy(target("10.0.0.11"), all)}), instance_name());
    lb.start();
    const Call call{.to = vip_web, .netns = net.b2.fd()};
    const Tally connections = run_short({.call = call, .count = 500});
    INFO(connections.text());
    CHECK(connections.answered() == 500);
    CHECK(connections.percent("b1") == 100);
    // Even of the target's own machine.
    CHECK(who({.to = vip_web, .netns = net.b1.fd()}) == "b1");
}

TEST_CASE("full NAT sends from the pool that the file names", "[e2e][full-nat]")
{
    Topology net;
    const auto servers = start_backends(net);
    cut_off(net);
    net.balancer.exec("ip addr add 10.0.0.100/24 dev br0");
    net.balancer.exec("ip addr add 10.0.0.101/24 dev br0");
    Daemon lb(net.balancer,
              config({full_proxy()},
                     R"("full-nat": {"addresses": ["10.0.0.100", "10.0.0.101"], "ports": "20000-20999"})"),
              instance_name());
    lb.start();
    std::map<std::string, int> sources;
    std::vector<std::unique_ptr<Connection>> kept;
    for (int i = 0; i < 200; ++i) {
        kept.push_back(std::make_unique<Connection>(Call{.to = vip_web, .netns = net.c1.fd()}));
        const auto answer = kept.back()->ask();
        REQUIRE(answer);
        ++sources[host_of(answer->seen)];
        const int port = std::stoi(answer->seen.substr(answer->seen.rfind(':') + 1));
        CHECK(port >= 20000);
        CHECK(port <= 20999);
    }
    CHECK(sources.size() == 2);
    CHECK(sources["10.0.0.100"] > 50);
    CHECK(sources["10.0.0.101"] > 50);
}

TEST_CASE("full NAT without a port left refuses, says so once, and what to do", "[e2e][full-nat]")
{
    Topology net;
    const auto servers = start_backends(net);
    cut_off(net);
    Daemon lb(net.balancer, config({full_proxy()}, R"("full-nat": {"ports": "20000-20003"})"),
              instance_name());
    lb.start();
    std::vector<std::unique_ptr<Connection>> kept;
    std::size_t refused = 0;
    for (int i = 0; i < 16; ++i) {
        kept.push_back(
            std::make_unique<Connection>(Call{.to = vip_web, .netns = net.c1.fd(), .timeout = 100ms}));
        if (!kept.back()->ok()) ++refused;
    }
    CHECK(refused >= 4); // three targets, four ports each
    const std::string mend =
        ": no free source port for a connection that looks like another to its target; in "
        "full-nat: give settings.full-nat more addresses or ports";
    CHECK(wait_for_log(lb, "packets dropped as no_source_port" + mend));
    const std::string log = lb.log();
    CHECK(log.find(mend) == log.rfind(mend));
    for (auto& each : kept)
        if (each->ok()) CHECK(each->ask());
}

TEST_CASE("full NAT and the host's own sockets keep to ports of their own", "[e2e][full-nat]")
{
    Topology net;
    const auto servers = start_backends(net);
    net.b1.exec("ethtool -K eth0 tx off");
    const auto reserved = [&] { return net.balancer.sysctl("ipv4/ip_local_reserved_ports"); };
    net.balancer.set_sysctl("ipv4/ip_local_reserved_ports", "33000");
    net.balancer.set_sysctl("ipv4/ip_local_port_range", "32768 36000");
    Daemon lb(net.balancer,
              config({full_proxy(target("10.0.0.11"))}, R"("full-nat": {"ports": "34000-34999"})"),
              instance_name());
    lb.start();
    CHECK(reserved() == "33000,34000-34999");
    // Both to the same target and port, at once, and more than half of what full NAT may have.
    std::vector<std::unique_ptr<Connection>> own, through;
    u64 failed = 0;
    for (int i = 0; i < 600; ++i) {
        own.push_back(std::make_unique<Connection>(Call{.to = "10.0.0.11:8080", .netns = net.balancer.fd()}));
        through.push_back(std::make_unique<Connection>(Call{.to = vip_web, .netns = net.c1.fd()}));
        for (const auto* each : {&own, &through})
            if (!each->back()->ask()) ++failed;
    }
    for (const auto* each : {&own, &through})
        for (const auto& connection : *each)
            if (!connection->ask()) ++failed;
    CHECK(failed == 0);
    lb.stop();
    CHECK(reserved() == "33000");
}

TEST_CASE("full NAT takes no port that a socket of the host's has, whoever was first", "[e2e][full-nat]")
{
    Topology net;
    const auto servers = start_backends(net);
    net.b1.exec("ethtool -K eth0 tx off");
    std::vector<std::unique_ptr<Connection>> own, through;
    for (int port = 34000; port < 34008; ++port)
        own.push_back(std::make_unique<Connection>(Call{
            .to = "10.0.0.11:8080", .netns = net.balancer.fd(), .from = "10.0.0.1:" + std::to_string(port)}));
    Daemon lb(net.balancer,
              config({full_proxy(target("10.0.0.11"))}, R"("full-nat": {"ports": "34000-34009"})"),
              instance_name());
    lb.start();
    u64 failed = 0;
    for (int i = 0; i < 2; ++i)
        through.push_back(std::make_unique<Connection>(Call{.to = vip_web, .netns = net.c1.fd()}));
    for (const auto* each : {&own, &through})
        for (const auto& connection : *each)
            if (!connection->ask()) ++failed;
    CHECK(failed == 0);
    // The other two are in use now.
    CHECK(who({.to = vip_web, .netns = net.c2.fd()}).starts_with("failed"));
    CHECK(counted(net.balancer, lb::model::Reason::no_source_port) > 0);
}

TEST_CASE("full NAT that would leave the host no ports is refused", "[e2e][full-nat]")
{
    Topology net;
    Daemon lb(net.balancer, config({full_proxy()}, R"("full-nat": {"ports": "32768-60999"})"),
              instance_name());
    const Output run = lb.run_again();
    CHECK(run.status != 0);
    INFO(run.text);
    CHECK(run.text.find(
              "settings.full-nat.ports, 32768-60999, leave the host's own sockets 0 of their ports") !=
          std::string::npos);
    CHECK(net.balancer.exec("cat /proc/sys/net/ipv4/ip_local_reserved_ports") == "\n");
}

TEST_CASE("connections of full NAT outlive kill -9 and a new start", "[e2e][full-nat]")
{
    Topology net;
    const auto servers = start_backends(net);
    cut_off(net);
    Daemon lb(net.balancer, config({full_proxy()}), instance_name());
    lb.start();
    BusyConnections busy({.to = vip_web, .netns = net.c1.fd()}, 20);
    std::this_thread::sleep_for(300ms);
    lb.kill();
    std::this_thread::sleep_for(300ms);
    lb.start();
    std::this_thread::sleep_for(300ms);
    const auto report = busy.stop();
    INFO(report.first_error);
    CHECK(report.asked > 100);
    CHECK(report.broken == 0);
    CHECK(report.moved == 0);
    lb.stop();
    CHECK(net.balancer.sysctl("ipv4/conf/br0/accept_local") == "0");
}

TEST_CASE("where the way to targets changes, full NAT goes along", "[e2e][full-nat]")
{
    Topology net;
    const auto servers = start_backends(net);
    net.b3.exec("ethtool -K eth0 tx off");
    net.balancer.ip("route replace 10.0.3.0/24 via 192.0.2.10 dev eth0");
    Daemon lb(net.balancer,
              config({proxy({.interfaces = R"(["eth1"])", .target = target("10.0.3.13"), .more = full_nat})}),
              instance_name());
    lb.start();
    const auto programs = [&] { return net.balancer.exec("bpftool net show"); };
    CHECK(programs().find("eth0") != std::string::npos);
    CHECK(programs().find("br0") == std::string::npos);
    net.balancer.ip("route replace 10.0.3.0/24 via 10.0.0.254 dev br0");
    net.balancer.ip("addr add 10.99.0.1/32 dev lo"); // of this lb hears at once
    CHECK(who_until({.to = vip_web, .netns = net.c2.fd()}, "b3") == "b3");
    CHECK(programs().find("br0") != std::string::npos);
    CHECK(net.balancer.sysctl("ipv4/conf/br0/accept_local") == "1");
    lb.stop();
    CHECK(programs().find("br0") == std::string::npos);
    CHECK(net.balancer.sysctl("ipv4/conf/br0/accept_local") == "0");
}
