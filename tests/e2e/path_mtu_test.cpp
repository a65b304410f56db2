// A download through the balancer over a path that is narrower than both ends know: the router's error has to
// reach the target, which has never heard of the address that it is about.
#include "model/reason.hpp"
#include "setup.hpp"

using namespace lb::e2e;

namespace {

void check_download(const std::string& address, const std::string& server_address,
                    const std::string& shown_to, bool full_nat = false)
{
    PathMtuTopology net;
    const std::string bracketed =
        server_address.find(':') == std::string::npos ? server_address : "[" + server_address + "]";
    if (full_nat) { // it knows nothing but its own subnet
        net.server.exec("ethtool -K eth0 tx off");
        net.server.exec("ip route del default");
        net.server.exec("ip -6 route del default");
    }
    const Server server({.name = "s", .listen = bracketed + ":8080", .netns = net.server.fd()});
    Daemon lb(net.balancer,
              config({proxy({.interfaces = full_nat ? R"(["eth0", "eth1"])" : R"(["eth0"])",
                             .listen = "\"address\": \"" + address + '"',
                             .target = target(server_address),
                             .more = full_nat ? R"("forwarding": {"mode": "full-nat"})" : ""})}),
              instance_name());
    lb.start();
    const std::string to = address.find(':') == std::string::npos ? address : "[" + address + "]";
    const Transfer down =
        download({.to = to + ":80", .netns = net.client.fd(), .timeout = 20s}, 20 * megabyte);
    INFO(down.error << " after " << down.seconds << " s");
    CHECK(down.ok);
    CHECK(down.seconds < 10); // stalled, it would take for ever
    CHECK(counted(net.balancer, lb::model::Reason::icmp_forwarded) > 0);
    const std::string route = net.server.exec("ip route get " + shown_to);
    INFO(route);
    CHECK(route.find("mtu 1300") != std::string::npos); // the target has learned it
}

// Both directions, where it is the balancer that has the narrow ways. (The kernel tells programs of a
// route's MTU where that is locked.)
void check_own_hop(const std::string& mode, const std::string& path)
{
    INFO(mode << ", " << path);
    Topology net;
    const auto servers = start_backends(net), servers6 = start_backends(net, 8080, Family::ipv6);
    net.b1.exec("ethtool -K eth0 tx off");
    net.balancer.ip("route add 192.0.2.10 dev eth0 src 192.0.2.1 mtu lock 1280");
    net.balancer.ip("-6 route add 2001:db8:1::10 dev eth0 mtu lock 1280");
    net.balancer.ip("route add 10.0.0.11 dev br0 src 10.0.0.1 mtu lock 1280");
    net.balancer.ip("-6 route add 2001:db8:a::11 dev br0 mtu lock 1280");
    const auto proxy_of = [&](const std::string& name, const char* address, const std::string& to) {
        return proxy({.name = name,
                      .listen = std::string(R"("address": ")") + address + '"',
                      .target = target(to),
                      .more = R"("forwarding": {"mode": ")" + mode + R"(", "path": ")" + path + "\"}"});
    };
    Daemon lb(net.balancer,
              config({proxy_of("four", vip, "10.0.0.11"), proxy_of("six", vip6, "2001:db8:a::11")}),
              instance_name());
    lb.start();
    for (const std::string& to : {std::string(vip), "[" + std::string(vip6) + "]"})
        for (const bool up : {false, true}) {
            for (const Namespace* each : {&net.c1, &net.b1})
                for (const char* family : {"", "-6 "}) each->ip(std::string(family) + "route flush cache");
            const Call call{.to = to + ":80", .netns = net.c1.fd(), .timeout = 20s};
            const u64 before = counted(net.balancer, lb::model::Reason::too_big);
            const Transfer transfer = up ? upload(call, 5 * megabyte) : download(call, 5 * megabyte);
            INFO(to << (up ? ", upload " : ", download ") << transfer.error);
            CHECK(transfer.ok);
            CHECK(transfer.seconds < 10); // stalled, it would take for ever
            // NAT's the kernel tells.
            CHECK((counted(net.balancer, lb::model::Reason::too_big) > before) == (mode == "full-nat"));
        }
}

} // namespace

TEST_CASE("nor do transfers by the balancer's own narrow links", "[e2e][path-mtu][full-nat]")
{
    check_own_hop("nat", "stack");
    check_own_hop("full-nat", "stack");
    check_own_hop("full-nat", "fast");
}

TEST_CASE("a download over a 1300-byte link does not stall", "[e2e][path-mtu]")
{
    check_download(vip, "10.0.0.11", "192.0.2.10");
}

TEST_CASE("a download over a 1300-byte link does not stall, IPv6", "[e2e][path-mtu]")
{
    check_download(vip6, "2001:db8:a::11", "2001:db8:1::10");
}

TEST_CASE("nor does it in full NAT, where the target knows no router", "[e2e][path-mtu][full-nat]")
{
    check_download(vip, "10.0.0.11", "10.0.0.1", true);
}

TEST_CASE("nor in full NAT, IPv6", "[e2e][path-mtu][full-nat]")
{
    check_download(vip6, "2001:db8:a::11", "2001:db8:a::1", true);
}
