// What the log says of targets' health.
#pragma once

#include "runtime/balancer.hpp"
#include "runtime/health_checker.hpp"

namespace lb::runtime {

/// A target's change, and the weights that each of its groups has by now.
void log_health(const Balancer& balancer, const HealthChange& change);

} // namespace lb::runtime
