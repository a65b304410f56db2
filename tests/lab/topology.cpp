#include "lab/topology.hpp"

namespace lb::lab {

Topology::Topology()
{
    connect({c1, "eth0", "192.0.2.10/24"}, {balancer, "eth0", "192.0.2.1/24"});
    connect({c2, "eth0", "198.51.100.10/24"}, {balancer, "eth1", "198.51.100.1/24"});
    c1.ip("route add default via 192.0.2.1");
    c2.ip("route add default via 198.51.100.1");

    balancer.ip("link add br0 type bridge");
    balancer.ip("addr add 10.0.0.1/24 dev br0");
    balancer.ip("link set br0 up");
    connect({b1, "eth0", "10.0.0.11/24"}, {balancer, "port1"});
    connect({b2, "eth0", "10.0.0.12/24"}, {balancer, "port2"});
    connect({router, "eth0", "10.0.0.254/24"}, {balancer, "port3"});
    for (const char* port : {"port1", "port2", "port3"})
        balancer.ip(std::string("link set ") + port + " master br0");
    balancer.ip("route add 10.0.3.0/24 via 10.0.0.254");

    connect({b3, "eth0", "10.0.3.13/24"}, {router, "eth1", "10.0.3.254/24"});
    b1.ip("route add default via 10.0.0.1");
    b2.ip("route add default via 10.0.0.1");
    b3.ip("route add default via 10.0.3.254");
    router.ip("route add default via 10.0.0.1");
    for (const Namespace* host : {&balancer, &router}) host->set_sysctl("ipv4/ip_forward", "1");
    // Tests close ten thousand connections in a few seconds; their ports must not run out meanwhile.
    for (const Namespace* client : {&c1, &c2}) client->set_sysctl("ipv4/ip_local_port_range", "10000 65000");
}

std::vector<std::unique_ptr<Server>> start_backends(const Topology& net, u16 port)
{
    const std::string suffix = ':' + std::to_string(port);
    std::vector<std::unique_ptr<Server>> servers;
    const auto start = [&](const char* name, const std::string& address, const Namespace& where) {
        servers.push_back(std::make_unique<Server>(
            ServerOptions{.name = name, .listen = address + suffix, .netns = where.fd(), .cpu = server_cpu}));
    };
    start("b1", "10.0.0.11", net.b1);
    start("b2", "10.0.0.12", net.b2);
    start("b3", "10.0.3.13", net.b3);
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
        })");
}

} // namespace lb::lab
