// The receiving side of direct server return: what a backend has to know, and the commands for those who
// would rather set up a kernel tunnel by hand. Pure values; safe from any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lb/base/address.hpp"
#include "lb/base/result.hpp"

namespace lb::model {

/// How the balancer's packets arrive. l2: as they are, in a frame to this host's MAC address.
enum class Tunnel { l2, ipip, gue };

inline constexpr u16 gue_port_default = 6080;
/// VIPs and senders are immediates in the program, compared one after the other.
inline constexpr u32 vips_max = 64, senders_max = 64;

struct Backend {
    std::vector<std::string> interfaces = {}; ///< where the balancer's packets arrive, and replies leave
    std::vector<std::string> egress_interfaces = {}; ///< further ones where replies leave
    std::vector<IpAddress> vips = {};
    Tunnel tunnel = Tunnel::ipip;
    u16 gue_port = gue_port_default;
    std::optional<u16> mss = {};      ///< none: what fits the tunnel
    std::vector<Prefix> senders = {}; ///< who may send through the tunnel; empty: anybody
    std::string instance = "backend";
};

/// Bytes that the tunnel puts in front of a packet; 0 for l2. The outer packet may be of IPv6 unless all
/// senders are of IPv4.
u16 tunnel_overhead(const Backend& backend);

/// The largest MSS that may be offered to clients, by the family of the VIP.
struct MssLimits {
    u16 ipv4 = 0, ipv6 = 0;
};
/// `mtu`: of the interface where the tunnel arrives. None for l2 without an MSS of its own: nothing is added
/// to packets there. An error where the tunnel leaves less than every host must take (RFC 9293, 3.7.1).
Result<std::optional<MssLimits>> mss_limits(const Backend& backend, u32 mtu);

/// A backend that can be: at least one interface and VIP, no doubles, no more than there is room for.
Result<void> check_backend(const Backend& backend);

/// What a person would type to have the same from a kernel with tunnel devices, and to take it off again.
std::string tunnel_commands(const Backend& backend, u32 mtu);

} // namespace lb::model
