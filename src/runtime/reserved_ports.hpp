// The ports that the host's own sockets must not get, because full NAT sends from them by the same address.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "kernel/interfaces.hpp"
#include "model/plan.hpp"

namespace lb::runtime {

inline constexpr const char* reserved_ports_setting = "net/ipv4/ip_local_reserved_ports";

/// What that setting has to be for the plan on this host; empty: as it is.
Result<std::optional<std::string>> needed_reserved_ports(const model::Plan& plan,
                                                         std::span<const kernel::HostAddress> own);

} // namespace lb::runtime
