// Weights as whole numbers of a sum: percentages for people, and slots of tables, which are made from exact
// weights, never from percentages. Pure; safe from any thread.
#pragma once

#include <span>
#include <vector>

#include "lb/base/bytes.hpp"

namespace lb::model {

/// Whole percentages that sum to 100: each share rounded half up, the difference to 100 added to the first
/// largest (where many small shares round up, it is taken from the next largest too, rather than go below 0).
/// All 0 when every weight is 0.
std::vector<u32> weights_for_people(std::span<const u32> weights);

/// `size` shared out by weight, by largest remainder: everyone the whole part of the exact share, what is
/// left over to the largest fractions, the first of equals. Each is within 1 of its share; their sum is
/// `size`. All 0 when every weight is 0.
std::vector<u32> shares_of(u32 size, std::span<const u32> weights);

} // namespace lb::model
