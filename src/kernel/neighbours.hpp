// Neighbours: the Ethernet addresses of hosts on a link, in the network namespace of the caller. No state;
// any thread.
#pragma once

#include "lb/base/address.hpp"
#include "lb/base/result.hpp"

namespace lb::kernel {

/// Tells the kernel that the neighbour is about to be used: it asks for the Ethernet address where it has
/// none, and checks one that may be out of date. Does not wait for the answer.
Result<void> use_neighbour(u32 ifindex, const IpAddress& address);

} // namespace lb::kernel
