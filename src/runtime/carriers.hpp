// What lb needs to know of the host to send packets itself and as itself, kept current: its address toward
// each target, the interfaces that XDP can send by, and the neighbours on the way. One thread.
#pragma once

#include "runtime/tables.hpp"

namespace lb::runtime {

/// Brings the maps `carriers`, `devices` and, where there is no pool, `nat_sources` up to date, and asks the
/// kernel for the neighbours.
Result<void> follow_carriers(const model::Plan& plan, const Tables& tables);

} // namespace lb::runtime
