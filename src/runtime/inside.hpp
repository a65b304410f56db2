// The targets' side: interfaces that no listener is on, and where replies arrive that are translated there.
// No state; any thread.
#pragma once

#include <vector>

#include "kernel/interfaces.hpp"
#include "model/plan.hpp"

namespace lb::runtime {

/// Those by which this host reaches, now, targets of full NAT and of the fast path. None where the plan has
/// no such targets.
Result<std::vector<kernel::Interface>> inside_interfaces(const model::Plan& plan);

} // namespace lb::runtime
