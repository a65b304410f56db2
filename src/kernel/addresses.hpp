// Addresses that lb puts on an interface of this host and takes off again, in the network namespace of the
// caller. No state; any thread.
#pragma once

#include "lb/base/address.hpp"
#include "lb/base/result.hpp"

namespace lb::kernel {

/// Adds a single address (/32 or /128), without duplicate address detection. False: it was there.
Result<bool> add_address(u32 ifindex, const IpAddress& address);
/// False: it was not there.
Result<bool> remove_address(u32 ifindex, const IpAddress& address);

} // namespace lb::kernel
