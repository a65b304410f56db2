// The host settings that a plan needs, set with a record of what they were, and put back. Nothing is changed
// before the record is on disk.
#pragma once

#include <span>

#include "kernel/interfaces.hpp"
#include "runtime/state.hpp"

namespace lb::runtime {

/// Settings under /proc/sys by name, with the value needed: ip_forward for targets elsewhere, route_localnet
/// on the interfaces for targets in 127/8.
std::map<std::string, std::string> needed_settings(const model::Plan& plan,
                                                   std::span<const kernel::HostAddress> own);

/// Sets those, puts back recorded ones that are no longer needed, and keeps `state` and its file in step.
Result<void> apply_settings(const std::string& instance, State& state,
                            const std::map<std::string, std::string>& needed);
/// Puts every recorded setting back, unless somebody has changed it since.
Result<void> restore_settings(const std::string& instance, State& state);

} // namespace lb::runtime
