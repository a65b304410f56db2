#include "model/slot_tables.hpp"

#include "model/maglev.hpp"
#include "model/turns.hpp"

namespace lb::model {

SlotTables::SlotTables(const Plan& plan)
{
    for (const auto& target : plan.targets) keys_[target.id] = target.endpoint.text();
    for (const auto& proxy : plan.proxies) algorithms_[proxy.id] = proxy.algorithm;
}

std::vector<u32> SlotTables::of(const PlanGroup& group) const
{
    if (algorithms_.at(group.proxy) == Algorithm::round_robin) return make_turns(group.members, group.slots);
    std::vector<std::string> keys;
    for (const auto& member : group.members) keys.push_back(keys_.at(member.target));
    return make_slots(group.members, keys, group.slots);
}

} // namespace lb::model
