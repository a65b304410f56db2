// What stands in the slots of a plan's groups: Maglev's tables, or turns where a group's proxy picks by
// round-robin. Pure; the plan must outlive it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "model/plan.hpp"

namespace lb::model {

class SlotTables {
public:
    explicit SlotTables(const Plan& plan);
    /// Target ids; no more than `group.slots`, and none where every weight is 0.
    std::vector<u32> of(const PlanGroup& group) const;

private:
    std::map<u32, std::string> keys_ = {};     ///< by target id
    std::map<u32, Algorithm> algorithms_ = {}; ///< by proxy id
};

} // namespace lb::model
