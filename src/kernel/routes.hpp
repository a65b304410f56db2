// Where the kernel would send a packet, in the network namespace of the caller. Values without ownership; any
// thread.
#pragma once

#include <optional>
#include <vector>

#include "lb/base/address.hpp"
#include "lb/base/result.hpp"

namespace lb::kernel {

struct Route {
    u32 ifindex = 0;                       ///< the interface that packets leave by
    bool local = false;                    ///< the address is this host's own
    std::optional<IpAddress> source = {};  ///< what this host calls itself on that way
    std::optional<IpAddress> gateway = {}; ///< empty: the address is on the link
};

/// The way to one address; none: the kernel has no route to it.
Result<std::optional<Route>> route_to(const IpAddress& address);
/// The interfaces of the IPv4 default routes of the main table, of every metric and next hop.
Result<std::vector<u32>> default_route_interfaces();

} // namespace lb::kernel
