// The network of direct server return: the balancer on one arm, backends set up by `lb backend`, answers past
// the balancer.
//
//   client 192.0.2.10 ----- 192.0.2.1 core, br0 10.0.0.1 --+-- balancer eth0 10.0.0.254, eth1 10.0.9.1 -- b3
//          2001:db8:1::10   2001:db8:1::1   2001:db8:a::1  |            2001:db8:a::fe          10.0.9.13
//                                                          +-- b1 10.0.0.11, 2001:db8:a::11
//                                                          +-- b2 10.0.0.12, 2001:db8:a::12
//
// The core sends what is for the VIPs to the balancer. b1 and b2 have their default route by the core, and
// b3, for proxies that translate, by the balancer.
#pragma once

#include "setup.hpp"

namespace lb::e2e {

inline constexpr const char* far_vip = "203.0.113.80";
inline constexpr const char* far_vip6 = "2001:db8:f::80";

struct Arm {
    Namespace client{"client"}, core{"core"}, balancer{"lb"}, b1{"b1"}, b2{"b2"}, b3{"b3"};
    Arm()
    {
        connect({client, "eth0", "192.0.2.10/24", "2001:db8:1::10/64"},
                {core, "eth0", "192.0.2.1/24", "2001:db8:1::1/64"});
        core.ip("link add br0 type bridge mcast_snooping 0");
        core.ip("addr add 10.0.0.1/24 dev br0");
        core.add_ipv6("br0", "2001:db8:a::1/64");
        core.ip("link set br0 up");
        connect({balancer, "eth0", "10.0.0.254/24", "2001:db8:a::fe/64"}, {core, "lb"});
        connect({b1, "eth0", "10.0.0.11/24", "2001:db8:a::11/64"}, {core, "b1"});
        connect({b2, "eth0", "10.0.0.12/24", "2001:db8:a::12/64"}, {core, "b2"});
        for (const char* port : {"lb", "b1", "b2"}) core.ip(std::string("link set ") + port + " master br0");
        connect({balancer, "eth1", "10.0.9.1/24"}, {b3, "eth0", "10.0.9.13/24"});
        for (const Namespace* host : {&b1, &b2, &balancer}) {
            host->ip("route add default via 10.0.0.1");
            host->ip("-6 route add default via 2001:db8:a::1");
        }
        client.ip("route add default via 192.0.2.1");
        client.ip("-6 route add default via 2001:db8:1::1");
        b3.ip("route add default via 10.0.9.1");
        core.ip(std::string("route add ") + far_vip + " via 10.0.0.254");
        core.ip(std::string("-6 route add ") + far_vip6 + " via 2001:db8:a::fe");
        for (const Namespace* host : {&core, &balancer}) {
            host->set_sysctl("ipv4/ip_forward", "1");
            host->set_sysctl("ipv6/conf/all/forwarding", "1");
        }
        client.set_sysctl("ipv4/ip_local_port_range", "10000 65000");
    }
    /// Frames that XDP sends by the balancer's eth0 arrive only then.
    void let_xdp_send() const { core.exec("ethtool -K lb gro on"); }
    Call call(const std::string& to) const { return {.to = to, .netns = client.fd(), .timeout = 10s}; }
    lb::lab::u64 received_by_balancer() const
    {
        const std::string text = balancer.exec("ip -s -j link show dev eth0");
        const auto rx = text.find("\"rx\":{\"bytes\":");
        return std::stoull(text.substr(rx + 14));
    }
};

/// A way to the targets.
struct Mode {
    std::string name;    ///< of the file
    std::string backend; ///< of `lb backend`
    bool six = false;    ///< the targets' addresses
    bool fast = false;   ///< lb can send by itself
};

// Targets on the listener's port, 75 to 25.
inline std::string targets(const Mode& mode, int port)
{
    const std::string prefix = mode.six ? "2001:db8:a::" : "10.0.0.";
    const auto one = [&](int host, int weight) {
        return R"({"ip": ")" + prefix + std::to_string(host) + R"(", "port": )" + std::to_string(port) +
               R"(, "weight": )" + std::to_string(weight) + "}";
    };
    return "[" + one(11, 75) + ", " + one(12, 25) + "]";
}

inline std::string vips_of(const Mode& mode)
{
    const std::string four = std::string("\"") + far_vip + "\"", six = std::string("\"") + far_vip6 + "\"";
    if (mode.name != "dsr-l2") return "[" + four + ", " + six + "]";
    return mode.six ? six : four;
}

inline std::string dsr_proxy(const Mode& mode, int port = 80)
{
    return proxy({.name = mode.name,
                  .interfaces = R"(["eth0"])",
                  .port = port,
                  .listen = "\"address\": " + vips_of(mode),
                  .target = targets(mode, port),
                  .more = R"("forwarding": {"mode": ")" + mode.name + "\"}"});
}

inline std::vector<std::string> clients_of(const Mode& mode)
{
    const std::string four = std::string(far_vip) + ":80", six = std::string("[") + far_vip6 + "]:80";
    if (mode.name != "dsr-l2") return {four, six};
    return {mode.six ? six : four};
}

} // namespace lb::e2e
