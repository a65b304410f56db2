// lb on devices that not every kernel has, and its tunnels taken off by the kernel's own. tools/kernels runs
// this in a kernel that has them all.
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#include <cstdio>
#include <sstream>

#include "one_arm.hpp"

using namespace lb::e2e;

namespace {

// Why it cannot be tried here, or nothing.
std::optional<std::string> missing_device()
{
    if (auto reason = start_lab()) return reason;
    const Namespace host("probe");
    for (const char* words :
         {"ip link add bond0 type bond", "ip link add lbipip type ipip external",
          "ip link add lbip6 type ip6tnl external", "ip link add dummy0 type dummy",
          "ip link add link dummy0 dummy0.10 type vlan id 10", "modprobe fou", "modprobe fou6",
          "ip fou add port 6080 gue", "tc qdisc add dev dummy0 root netem loss 1%"}) {
        std::istringstream in(std::string("ip netns exec ") + host.name() + ' ' + words);
        Argv argv;
        for (std::string word; in >> word;) argv.push_back(word);
        if (run(argv).status != 0) return std::string("this kernel does not know: ") + words;
    }
    return std::nullopt;
}

// client 192.0.2.10 === 192.0.2.1 balancer eth9 10.0.0.1 --- 10.0.0.11 server, and 2001:db8:1::/64 beside the
// first network. What === is, the test decides.
struct Line {
    Namespace client{"client"}, balancer{"lb"}, server{"server"};
    Line()
    {
        connect({balancer, "eth9", "10.0.0.1/24", "2001:db8:a::1/64"},
                {server, "eth0", "10.0.0.11/24", "2001:db8:a::11/64"});
        server.ip("route add default via 10.0.0.1");
        server.ip("-6 route add default via 2001:db8:a::1");
        balancer.set_sysctl("ipv4/ip_forward", "1");
        balancer.set_sysctl("ipv6/conf/all/forwarding", "1");
    }
    // Addresses for the device that ends the client's and the balancer's side of the link.
    void set_up(const std::string& device) const
    {
        for (const auto& [host, last] : {std::pair{&client, "10"}, std::pair{&balancer, "1"}}) {
            host->ip("addr add 192.0.2." + std::string(last) + "/24 dev " + device);
            host->ip("link set " + device + " up");
            host->add_ipv6(device, "2001:db8:1::" + std::string(last) + "/64");
        }
        client.ip("route add default via 192.0.2.1");
        client.ip("-6 route add default via 2001:db8:1::1");
    }
    Call call(const std::string& to) const { return {.to = to, .netns = client.fd(), .timeout = 30s}; }
};

// Connections, datagrams and much data in both directions, translated.
void check_traffic(const Line& net, const std::string& interface)
{
    const Server four({.name = "b1", .listen = "10.0.0.11:8080", .netns = net.server.fd()});
    const Server six({.name = "b1", .listen = "[2001:db8:a::11]:8080", .netns = net.server.fd()});
    const std::string one = "[\"" + interface + "\"]";
    Daemon lb(net.balancer,
              config({proxy({.name = "four", .interfaces = one, .target = target("10.0.0.11")}),
                      proxy({.name = "six",
                             .interfaces = one,
                             .listen = R"("address": "2001:db8:f::80")",
                             .target = target("2001:db8:a::11")})}),
              instance_name());
    lb.start();
    for (const std::string to : {"203.0.113.80:80", "[2001:db8:f::80]:80"}) {
        INFO(to);
        const Tally tally = run_short({.call = net.call(to), .count = 100});
        INFO(tally.text());
        CHECK(tally.answered() == 100);
        CHECK(run_questions({.call = net.call(to), .sockets = 20, .per_socket = 2}).answered() == 40);
        CHECK(upload(net.call(to), megabyte).error == "");
        CHECK(download(net.call(to), 2 * megabyte).error == "");
    }
    CHECK(lb.stop() == 0);
}

// What `lb backend --print` says, on a host of which nothing else is known.
void obey_print(const Namespace& host, const std::string& mode)
{
    // The lab switches IPv6 off, which a host does not.
    host.set_sysctl("ipv6/conf/all/disable_ipv6", "0");
    const Output said = run({lb_program(), "backend", "-i", "eth0", "--vip", far_vip, "--vip", far_vip6,
                             "--mode", mode, "--print"},
                            host.fd());
    REQUIRE(said.status == 0);
    std::istringstream lines(said.text);
    for (std::string line; std::getline(lines, line);) {
        if (line.empty() || line.front() == '#') continue;
        INFO(line);
        must_run({"sh", "-c", line}, host.fd());
    }
}

void check_tunnel(const Mode& mode)
{
    const Arm net;
    std::vector<std::unique_ptr<Server>> servers;
    for (const auto& [name, host] : {std::pair{"b1", &net.b1}, std::pair{"b2", &net.b2}}) {
        obey_print(*host, mode.backend);
        for (const std::string& address : {std::string(far_vip), "[" + std::string(far_vip6) + "]"})
            servers.push_back(std::make_unique<Server>(
                ServerOptions{.name = name, .listen = address + ":80", .netns = host->fd()}));
    }
    Daemon lb(net.balancer, config({dsr_proxy(mode)}), instance_name());
    lb.start();
    for (const std::string& to : clients_of(mode)) {
        INFO(to);
        REQUIRE(who(net.call(to), 5s).starts_with("b")); // else each call below would wait for its end
        const Tally tally = run_short({.call = net.call(to), .count = 50});
        INFO(tally.text());
        CHECK(tally.answered() == 50);
        CHECK(run_questions({.call = net.call(to), .sockets = 20, .per_socket = 2}).answered() == 40);
        CHECK(upload(net.call(to), megabyte).error == "");
        CHECK(download(net.call(to), 2 * megabyte).error == "");
    }
}

} // namespace

TEST_CASE("lb listens on a VLAN's device", "[devices][vlan]")
{
    const Line net;
    connect({net.client, "eth0"}, {net.balancer, "eth0"});
    for (const Namespace* host : {&net.client, &net.balancer})
        host->ip("link add link eth0 eth0.10 type vlan id 10");
    net.set_up("eth0.10");
    check_traffic(net, "eth0.10");
}

TEST_CASE("lb listens on the interface below a VLAN's device", "[devices][vlan]")
{
    const Line net;
    connect({net.client, "eth0"}, {net.balancer, "eth0"});
    for (const Namespace* host : {&net.client, &net.balancer}) {
        host->exec("ethtool -K eth0 txvlan off rxvlan off"); // tags are in the frame
        host->ip("link add link eth0 eth0.10 type vlan id 10");
    }
    net.set_up("eth0.10");
    check_traffic(net, "eth0");
}

TEST_CASE("lb listens on a bond", "[devices][bond]")
{
    const Line net;
    for (const Namespace* host : {&net.client, &net.balancer})
        host->ip("link add bond0 type bond mode active-backup miimon 100");
    for (const std::string leg : {"eth0", "eth1"}) {
        connect({net.client, leg}, {net.balancer, leg});
        for (const Namespace* host : {&net.client, &net.balancer}) {
            host->ip("link set " + leg + " down");
            host->ip("link set " + leg + " master bond0");
        }
    }
    net.set_up("bond0");
    check_traffic(net, "bond0");
}

TEST_CASE("connections come to their end over a link that loses and reorders", "[devices][netem]")
{
    const Line net;
    connect({net.client, "eth0"}, {net.balancer, "eth0"});
    net.set_up("eth0");
    for (const Namespace* host : {&net.client, &net.balancer})
        host->exec("tc qdisc add dev eth0 root netem delay 3ms loss 1% reorder 25% 50%");
    const Server server({.name = "b1", .listen = "10.0.0.11:8080", .netns = net.server.fd()});
    Daemon lb(net.balancer, config({proxy({.interfaces = R"(["eth0"])", .target = target("10.0.0.11")})}),
              instance_name());
    lb.start();
    const Tally tally = run_short({.call = net.call(vip_web), .count = 200});
    INFO(tally.text());
    CHECK(tally.answered() == 200);
    CHECK(upload(net.call(vip_web), megabyte).error == "");
    CHECK(download(net.call(vip_web), 2 * megabyte).error == "");
}

TEST_CASE("the kernel's tunnel devices take what lb sends, set up as lb backend --print says",
          "[devices][tunnel]")
{
    for (const Mode& mode : {Mode{"dsr-ipip", "ipip", false}, Mode{"dsr-ipip", "ipip", true},
                             Mode{"dsr-gue", "gue", false}, Mode{"dsr-gue", "gue", true}}) {
        DYNAMIC_SECTION(mode.name << (mode.six ? " by IPv6" : " by IPv4")) { check_tunnel(mode); }
    }
}

int main(int argc, char** argv)
{
    if (const auto reason = missing_device()) {
        std::fprintf(stderr, "skipped: %s\n", reason->c_str());
        return 77;
    }
    return Catch::Session().run(argc, argv);
}
