// The maps of the host's own addresses, kept current.
#pragma once

#include <span>

#include "kernel/interfaces.hpp"
#include "kernel/map.hpp"

namespace lb::runtime {

/// Makes the maps say what the host has now; null: there is none of that family. Loopback addresses count
/// only `with_loopback`.
Result<void> write_own_addresses(const kernel::Map* own4, const kernel::Map* own6,
                                 std::span<const kernel::HostAddress> addresses, bool with_loopback);

} // namespace lb::runtime
