// lb check --host: what it says of a machine, and that it changes nothing there.
#include "setup.hpp"

using namespace lb::e2e;

namespace {

constexpr int exit_host_not_ready = 5;

Output check_host(const Namespace& host, const std::string& text)
{
    const auto file = write_file("host-check.json", text);
    return run({lb_program(), "check", "--host", "-c", file.string()}, host.fd());
}

bool says(const Output& output, const std::string& text)
{
    INFO(output.text);
    return output.text.find(text) != std::string::npos;
}

} // namespace

TEST_CASE("a host that can run it is told so, with what lb will set", "[e2e]")
{
    Topology net;
    net.balancer.set_sysctl("ipv4/ip_forward", "0");
    const std::string before = net.balancer.exec("bpftool net show");
    const Output output = check_host(net.balancer, config({proxy({})}));
    INFO(output.text);
    CHECK(output.status == 0);
    CHECK(says(output, "note: net/ipv4/ip_forward is 0: lb run sets it to 1"));
    CHECK(says(output, "note: interface eth0 is a veth"));
    CHECK(says(output, "ok: this host can run it"));
    CHECK_FALSE(says(output, "warning: "));
    CHECK(net.balancer.sysctl("ipv4/ip_forward") == "0");
    CHECK(net.balancer.exec("bpftool net show") == before);
}

TEST_CASE("what would keep lb from its work is an error that names it", "[e2e]")
{
    Topology net;
    const Output output = check_host(
        net.balancer, config({proxy({.interfaces = R"(["eth0", "eth7"])", .target = target("10.9.9.9")})}));
    INFO(output.text);
    CHECK(output.status == exit_host_not_ready);
    CHECK(says(output, "error: there is no interface 'eth7' here; there are: lo, "));
    CHECK(says(output, "error: target 10.9.9.9:8080: this host has no route to it"));
}

TEST_CASE("a program that is on the interface is an error, or the instance's own", "[e2e]")
{
    const Balanced lab;
    const Output own = check_host(lab.net.balancer, config({proxy({})}));
    CHECK(own.status == 0);
    CHECK(says(own, "note: eth0: instance " + instance_name() + " is attached there already"));
    const Output other = check_host(lab.net.balancer, config({proxy({})}, "", "another"));
    CHECK(other.status == exit_host_not_ready);
    CHECK(says(other, "error: eth0: XDP program 'lb_ingress' (id "));
}

TEST_CASE("clients that are routed by another interface are a warning", "[e2e]")
{
    Topology net;
    net.balancer.ip("route add default via 198.51.100.10 dev eth1");
    net.balancer.set_sysctl("ipv4/conf/eth0/rp_filter", "1");
    const std::string warning = "warning: the default route leaves by eth1, where replies are not translated";
    const Output one = check_host(net.balancer, config({proxy({.interfaces = R"(["eth0"])"})}));
    CHECK(one.status == 0);
    CHECK(says(one, warning));
    CHECK(says(one, "warning: net.ipv4.conf.eth0.rp_filter is strict"));
    const Output both = check_host(
        net.balancer,
        config({proxy({.interfaces = R"(["eth0"])", .listen = R"("egress-interfaces": ["eth1"])"})}));
    CHECK(both.status == 0);
    CHECK_FALSE(says(both, warning));
}

TEST_CASE("what direct server return by Ethernet address cannot reach is named", "[e2e]")
{
    Topology net;
    const auto check = [&](const std::string& ip) {
        const std::string mode = R"("forwarding": {"mode": "dsr-l2"})";
        return check_host(net.balancer, config({proxy({.target = target(ip, 80), .more = mode})}));
    };
    const Output behind = check("10.0.3.13");
    CHECK(behind.status == exit_host_not_ready);
    CHECK(says(behind,
               "error: target 10.0.3.13:80: dsr-l2 needs it on this host's own link, and it is behind "
               "10.0.0.254; dsr-ipip and dsr-gue reach it"));
    const Output bridge = check("10.0.0.11");
    CHECK(bridge.status == 0);
    CHECK(says(bridge, "warning: target 10.0.0.11:80: XDP cannot send by br0 as it is now"));
    net.c2.exec("ethtool -K eth0 gro on");
    const Output veth = check("198.51.100.10");
    CHECK(veth.status == 0);
    CHECK_FALSE(says(veth, "XDP cannot send"));
}

TEST_CASE("where targets answer without lb, the way of their replies is not asked for", "[e2e]")
{
    Topology net;
    net.balancer.ip("route add default via 198.51.100.10 dev eth1");
    for (const std::string mode : {"full-nat", "dsr-ipip"}) {
        const Output output =
            check_host(net.balancer, config({proxy({.interfaces = R"(["eth0"])",
                                                    .target = target("10.0.0.10", 80),
                                                    .more = R"("forwarding": {"mode": ")" + mode + "\"}"})}));
        CHECK(output.status == 0);
        CHECK_FALSE(says(output, "replies are not translated"));
        CHECK(says(output, "note: targets answer by br0: lb run attaches a program there as well") ==
              (mode == "full-nat"));
    }
}
