// The slot table of a group: weighted Maglev hashing (Eisenbud et al., NSDI 2016) with exact slot counts. The
// table depends on keys, weights and size only, so two balancers with one configuration have the same. Pure;
// any thread.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "model/plan.hpp"

namespace lb::model {

/// Table sizes are primes, so that every step width visits every slot.
inline constexpr u32 slots_small = 8191;
inline constexpr u32 slots_large = 65537;

/// The table size for a group: 1 for one member, slots_small up to 8, slots_large beyond. Members of weight 0
/// count, so that the size stays when weights change.
u32 slots_for(std::size_t members);

/// The table size for a group of this proxy: slots_for(), or where there are several members to pick by hash
/// the one that the configuration says.
u32 table_size(const ProxyConfig& proxy, const Settings& settings, std::size_t members);

/// The target id of each slot. `keys[i]` is the text id ("ip:port") of `members[i]`; their order doesn't
/// matter. Slot counts are size * weight / sum rounded by largest remainder: each within 1 of its share,
/// their sum is `size`. Empty when every weight is 0. `size` is 1 or a prime.
std::vector<u32> make_slots(std::span<const GroupMember> members, std::span<const std::string> keys,
                            u32 size);

} // namespace lb::model
