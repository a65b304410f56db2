// The one place where effective weights are made: everybody who watches a target reports facts, and a group's
// weights follow from all of them together. Pure; any thread.
#pragma once

#include <span>
#include <vector>

#include "model/health_check.hpp"

namespace lb::model {

/// What is known of a target.
struct TargetFacts {
    bool enabled = true;      ///< false: the file takes it out of service
    u32 health_percent = 100; ///< as HealthState::percent()
};

/// The weights that the members of a group have now, in proportion to each other: those who are out leave
/// their share to the others as these have theirs. 0 takes nothing new. `weights` as configured, and `facts`
/// of the same members. A target that is out of service stays so, whatever its health.
std::vector<u32> effective_weights(std::span<const u32> weights, std::span<const TargetFacts> facts,
                                   AllUnhealthy all_unhealthy);

/// Weights as percentages, for people: each rounded half up, and what is missing to 100 or too much goes to
/// the first of the largest. All 0 where all are.
std::vector<u32> percentages(std::span<const u32> weights);

} // namespace lb::model
