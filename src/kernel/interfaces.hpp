// The interfaces and addresses of the host, as they are now, in the network namespace of the caller. Values
// without ownership; any thread.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lb/base/address.hpp"
#include "lb/base/result.hpp"

namespace lb::kernel {

struct Interface {
    u32 index = 0;
    std::string name = {};
    u16 type = 0;  ///< ARPHRD_*
    u32 flags = 0; ///< IFF_*
    u32 mtu = 0;
    u32 peer =
        0; ///< index of the other end (veth) or of what it stands on (vlan), in this namespace; 0: none
    std::string kind = {}; ///< "veth", "bridge", "vlan", ...; empty for hardware
    std::string driver =
        {}; ///< as ethtool says it; empty where there is none. Filled by interface_by_name/_index

    bool up() const;
    bool loopback() const;
    bool ethernet() const; ///< frames have an Ethernet header (loopback's too)
};

/// Error host_not_ready that lists the names there are, where this one is not.
Result<Interface> interface_by_name(const std::string& name);
Result<Interface> interface_by_index(u32 index);
Result<std::vector<Interface>> list_interfaces();
/// The driver's name by ethtool; empty where it has none.
std::string driver_of(const std::string& name);

/// How many queues the driver receives with, and how many it could; all 0 where it does not say.
struct Channels {
    u32 receive = 0; ///< in use: those for receiving only and those for both directions
    u32 combined_max = 0;
};
Channels channels_of(const std::string& name);

struct HostAddress {
    u32 ifindex = 0;
    IpAddress address = {};
    u8 prefix_length = 0;
    friend bool operator==(const HostAddress&, const HostAddress&) = default;
};
/// Every address that the host has, both families, all interfaces.
Result<std::vector<HostAddress>> host_addresses();

/// The payload of an RTM_NEWLINK or RTM_DELLINK message.
Interface parse_interface(std::span<const u8> payload);
/// The payload of an RTM_NEWADDR or RTM_DELADDR message; none: neither IPv4 nor IPv6.
std::optional<HostAddress> parse_host_address(std::span<const u8> payload);

} // namespace lb::kernel
