// The networks that the end-to-end tests and the lab's own tests share. Addresses are those of RFC 5737
// toward the clients and of 10.0.0.0/8 behind; those of IPv6 are of 2001:db8::/32 (RFC 3849).
//
//   c1 192.0.2.10 ------ eth0 192.0.2.1   +----------+                       +-- b1 10.0.0.11
//      2001:db8:1::10         2001:db8:1::1          |                       |      2001:db8:a::11
//                                         | balancer | br0 10.0.0.1 (bridge)-+-- b2 10.0.0.12
//                                         |          |     2001:db8:a::1     |      2001:db8:a::12
//   c2 198.51.100.10 --- eth1 198.51.100.1|          |                       |
//      2001:db8:2::10         2001:db8:2::1----------+                       +-- 10.0.0.254 router 10.0.3.254
//                                                            2001:db8:a::fe                 2001:db8:b::fe
//                                                                           b3 10.0.3.13 -------+
//                                                                              2001:db8:b::13
//
// The balancer routes; nothing balances. CPUs: veth delivers in softirq on the CPU that sent, so a test that
// pins its clients to CPU 0 and the servers to CPU 1 has requests arrive on CPU 0 and replies on CPU 1.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lab/netns.hpp"
#include "lab/server.hpp"

namespace lb::lab {

inline constexpr int client_cpu = 0;
inline constexpr int server_cpu = 1;

struct Topology {
    Namespace c1{"c1"}, c2{"c2"}, balancer{"lb"}, router{"router"}, b1{"b1"}, b2{"b2"}, b3{"b3"};
    Topology();
};

/// An address that nobody has; the clients' way to it leads through the balancer.
inline constexpr const char* vip = "203.0.113.80";
inline constexpr const char* second_vip = "203.0.113.81";
inline constexpr const char* vip6 = "2001:db8:f::80";
inline constexpr const char* second_vip6 = "2001:db8:f::81";

enum class Family { ipv4, ipv6 };

/// A path of which no end knows the narrowest link: routers have to say so, and their errors have to arrive.
///
///   client 192.0.2.10 --- far 192.0.2.1, 198.51.100.1 ==(1300 bytes)== 198.51.100.2, 203.0.113.1 near
///          2001:db8:1::10     2001:db8:1::1, 2001:db8:2::1             2001:db8:2::2, 2001:db8:3::1
///   near --- eth0 203.0.113.2 balancer eth1 10.0.0.1 --- server 10.0.0.11
///                 2001:db8:3::2             2001:db8:a::1       2001:db8:a::11
///
/// 203.0.113.0/24 (`vip`) and 2001:db8:f::/64 (`vip6`) lead to the balancer.
struct PathMtuTopology {
    static constexpr int narrow_mtu = 1300;
    Namespace client{"client"}, far{"far"}, near{"near"}, balancer{"lb"}, server{"server"};
    PathMtuTopology();
};

/// Servers b1, b2, b3 on this port of each backend, answering from `server_cpu`.
std::vector<std::unique_ptr<Server>> start_backends(const Topology& net, u16 port = 8080,
                                                    Family family = Family::ipv4);

/// What stands in the balancer's place while the lab itself is tested: nftables that translate `vip`:80 and
/// [`vip6`]:80, TCP and UDP, to b1, b2 and b3 by 50, 30 and 20 percent, at random.
void balance_by_nft(const Topology& net);

} // namespace lb::lab
