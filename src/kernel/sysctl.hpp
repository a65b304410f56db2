// Host settings under /proc/sys, by path: "net/ipv4/conf/eth0/rp_filter" (slashes, since interfaces may have
// dots). Setting returns the old value, so that the caller can record it and put it back. No state; any
// thread.
#pragma once

#include <string>

#include "lb/base/result.hpp"

namespace lb::kernel {

/// The value without its final newline.
Result<std::string> read_sysctl(const std::string& name);
/// Writes it, unless it has that value already; returns what it was.
Result<std::string> set_sysctl(const std::string& name, const std::string& value);

} // namespace lb::kernel
