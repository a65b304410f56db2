// What the kernel says that an interface can do with XDP frames (the netdev family of generic netlink, Linux
// 6.3), in the network namespace of the caller. A value; any thread.
#pragma once

#include <optional>

#include "lb/base/bytes.hpp"
#include "lb/base/result.hpp"

namespace lb::kernel {

struct XdpFeatures {
    bool transmit = false;       ///< frames can be redirected to it
    bool transmit_frags = false; ///< those that lie in several buffers, too
};

/// Nothing: this kernel does not say.
Result<std::optional<XdpFeatures>> xdp_features(u32 ifindex);

} // namespace lb::kernel
