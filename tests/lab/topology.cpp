#include "lab/topology.hpp"

namespace lb::lab {
namespace {

void route_packets(const Namespace& host)
{
    host.set_sysctl("ipv4/ip_forward", "1");
    host.set_sysctl("ipv6/conf/all/forwarding", "1");
}

void default_route(const Namespace& host, const std::string& v4, const std::string& v6)
{
    host.ip("route add default via " + v4);
    host.ip("-6 route add default via " + v6);
}

} // namespace

Topology::Topology()
{
    connect({c1, "eth0", "192.0.2.10/24", "2001:db8:1::10/64"},
            {balancer, "eth0", "192.0.2.1/24", "2001:db8:1::1/64"});
    connect({c2, "eth0", "198.51.100.10/24", "2001:db8:2::10/64"},
            {balancer, "eth1", "198.51.100.1/24", "2001:db8:2::1/64"});
    default_route(c1, "192.0.2.1", "2001:db8:1::1");
    default_route(c2, "198.51.100.1", "2001:db8:2::1");

    // Bridges look into multicast to learn who wants it; neighbour solicitations must not wait for that.
    balancer.ip("link add br0 type bridge mcast_snooping 0");
    balancer.ip("addr add 10.0.0.1/24 dev br0");
    balancer.add_ipv6("br0", "2001:db8:a::1/64");
    balancer.ip("link set br0 up");
    connect({b1, "eth0", "10.0.0.11/24", "2001:db8:a::11/64"}, {balancer, "port1"});
    connect({b2, "eth0", "10.0.0.12/24", "2001:db8:a::12/64"}, {balancer, "port2"});
    connect({router, "eth0", "10.0.0.254/24", "2001:db8:a::fe/64"}, {balancer, "port3"});
    for (const char* port : {"port1", "port2", "port3"})
        balancer.ip(std::string("link set ") + port + " master br0");
    balancer.ip("route add 10.0.3.0/24 via 10.0.0.254");
    balancer.ip("-6 route add 2001:db8:b::/64 via 2001:db8:a::fe");

    connect({b3, "eth0", "10.0.3.13/24", "2001:db8:b::13/64"},
            {router, "eth1", "10.0.3.254/24", "2001:db8:b::fe/64"});
    default_route(b1, "10.0.0.1", "2001:db8:a::1");
    default_route(b2, "10.0.0.1", "2001:db8:a::1");
    default_route(b3, "10.0.3.254", "2001:db8:b::fe");
    default_route(router, "10.0.0.1", "2001:db8:a::1");
    for (const Namespace* host : {&balancer, &router}) route_packets(*host);
    // Tests close ten thousand connections in a few seconds; their ports must not run out meanwhile.
    for (const Namespace* client : {&c1, &c2}) client->set_sysctl("ipv4/ip_local_port_range", "10000 65000");
}

PathMtuTopology::PathMtuTopology()
{
    connect({client, "eth0", "192.0.2.10/24", "2001:db8:1::10/64"},
            {far, "eth0", "192.0.2.1/24", "2001:db8:1::1/64"});
    connect({far, "eth1", "198.51.100.1/24", "2001:db8:2::1/64", narrow_mtu},
            {near, "eth0", "198.51.100.2/24", "2001:db8:2::2/64", narrow_mtu});
    connect({near, "eth1", "203.0.113.1/24", "2001:db8:3::1/64"},
            {balancer, "eth0", "203.0.113.2/24", "2001:db8:3::2/64"});
    connect({balancer, "eth1", "10.0.0.1/24", "2001:db8:a::1/64"},
            {server, "eth0", "10.0.0.11/24", "2001:db8:a::11/64"});
    default_route(client, "192.0.2.1", "2001:db8:1::1");
    default_route(far, "198.51.100.2", "2001:db8:2::2");
    default_route(near, "203.0.113.2", "2001:db8:3::2");
    near.ip("route add 192.0.2.0/24 via 198.51.100.1");
    near.ip("-6 route add 2001:db8:1::/64 via 2001:db8:2::1");
    near.ip(std::string("route add ") + vip + "/32 via 203.0.113.2"); // its network is on the link
    near.ip(std::string("route add ") + second_vip + "/32 via 203.0.113.2");
    default_route(balancer, "203.0.113.1", "2001:db8:3::1");
    default_route(server, "10.0.0.1", "2001:db8:a::1");
    for (const Namespace* host : {&far, &near, &balancer}) route_packets(*host);
}

std::vector<std::unique_ptr<Server>> start_backends(const Topology& net, u16 port, Family family)
{
    const std::string suffix = ':' + std::to_string(port);
    const bool six = family == Family::ipv6;
    std::vector<std::unique_ptr<Server>> servers;
    const auto start = [&](const char* name, const std::string& address, const Namespace& where) {
        servers.push_back(std::make_unique<Server>(
            ServerOptions{.name = name, .listen = address + suffix, .netns = where.fd(), .cpu = server_cpu}));
    };
    start("b1", six ? "[2001:db8:a::11]" : "10.0.0.11", net.b1);
    start("b2", six ? "[2001:db8:a::12]" : "10.0.0.12", net.b2);
    start("b3", six ? "[2001:db8:b::13]" : "10.0.3.13", net.b3);
    return servers;
}

void balance_by_nft(const Topology& net)
{
    net.balancer.nft(R"(
        table ip lab {
            chain in {
                type nat hook prerouting priority dstnat;
                ip daddr 203.0.113.80 meta l4proto { tcp, udp } th dport 80 dnat to numgen random mod 10 map {
                    0-4 : 10.0.0.11 . 8080, 5-7 : 10.0.0.12 . 8080, 8-9 : 10.0.3.13 . 8080 }
            }
        }
        table ip6 lab {
            chain in {
                type nat hook prerouting priority dstnat;
                ip6 daddr 2001:db8:f::80 meta l4proto { tcp, udp } th dport 80 dnat to numgen random mod 10 map {
                    0-4 : 2001:db8:a::11 . 8080, 5-7 : 2001:db8:a::12 . 8080, 8-9 : 2001:db8:b::13 . 8080 }
            }
        })");
}

} // namespace lb::lab
