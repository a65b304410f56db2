// The table of a group whose targets take turns: smooth weighted round-robin, as nginx does it. A counter
// walks over it, so whoever has a third of the weight has every third turn, and not a third of them in a row.
// Pure; any thread.
#pragma once

#include <span>
#include <vector>

#include "model/plan.hpp"

namespace lb::model {

/// The target id of each turn, members in the order that they are written in. The length is the sum of the
/// weights over their greatest common divisor, and each member has exactly its weight's part. Where that is
/// more than `turns_max`, it is so many turns, shared out by largest remainder. Empty when every weight is 0.
std::vector<u32> make_turns(std::span<const GroupMember> members, u32 turns_max);

} // namespace lb::model
