// Weights as percentages for people. Tables are made from exact weights, never from these. Pure; safe from
// any thread.
#pragma once

#include <span>
#include <vector>

#include "lb/base/bytes.hpp"

namespace lb::model {

/// Whole percentages that sum to 100: each share rounded half up, the difference to 100 added to the first
/// largest (where many small shares round up, it is taken from the next largest too, rather than go below 0).
/// All 0 when every weight is 0.
std::vector<u32> weights_for_people(std::span<const u32> weights);

} // namespace lb::model
