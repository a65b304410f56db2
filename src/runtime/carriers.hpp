// What lb needs to know of the host to send packets itself and as itself, kept current: its address toward
// each target, the interfaces that XDP can send by, and the neighbours on the way. One thread.
#pragma once

#include "kernel/interfaces.hpp"
#include "runtime/tables.hpp"

namespace lb::runtime {

/// Brings the maps `carriers`, `devices` and, where there is no pool, `nat_sources` up to date, and asks the
/// kernel for the neighbours.
Result<void> follow_carriers(const model::Plan& plan, const Tables& tables);

/// Whether XDP can send by it now. In generic mode the kernel sends as a socket would; else the driver must
/// take XDP frames, and say so. A veth says so when its other end has an XDP program or GRO on: without,
/// frames would vanish. `generic`: all programs that send are in that mode.
bool can_send(const kernel::Interface& interface, bool generic);

} // namespace lb::runtime
