// The host settings that plans need, set with a record of what they were, and put back when the last instance
// that needs them goes. The record is one file for all instances of a network namespace, since these settings
// are its; it is on disk before a setting is changed, so that they can be put back even after kill -9. Any
// thread; processes take turns by a lock.
#pragma once

#include <map>
#include <span>
#include <string>

#include "kernel/interfaces.hpp"
#include "model/plan.hpp"

namespace lb::runtime {

/// Settings under /proc/sys by name, with the value needed: ip_forward or its IPv6 counterpart for targets
/// elsewhere, route_localnet on the interfaces for targets in 127/8. With direct server return
/// and full NAT, what lets packets through that the kernel routes although their source is this host:
/// accept_local, and no strict rp_filter. With full NAT, the ports that the host's sockets are not to get.
Result<std::map<std::string, std::string>> needed_settings(const model::Plan& plan,
                                                           std::span<const kernel::HostAddress> own);

/// Whether the interface drops packets whose source is reached by another one (RFC 3704, strict), or has been
/// told not to by lb. The larger of `all` and its own value counts.
bool needs_loose_reverse_path(const std::string& interface);
std::string reverse_path_setting(const std::string& interface);

/// What to do with the settings that this instance needed in an earlier run and needs no more.
enum class Outdated { keep, give_up };

/// Sets those for this instance. Empty `needed`, with give_up: gives up all. What nobody needs any more is
/// put back, unless somebody else has changed it since.
Result<void> apply_settings(const std::string& instance, const std::map<std::string, std::string>& needed,
                            Outdated outdated);

} // namespace lb::runtime
