// The groups' slot tables as programs read them, and their change while packets are picked by them. A group
// has room for two tables: the new one is written beside the one in use, then one store switches over. One
// writer.
#pragma once

#include <map>
#include <vector>

#include "kernel/map_mmap.hpp"
#include "model/slot_tables.hpp"

namespace lb::runtime {

class GroupTables {
public:
    /// The maps `groups`, `slots` and (null: there is none) `members` of datapath::Maps. `plan` outlives it.
    static Result<GroupTables> open(const model::Plan& plan, const kernel::Map& groups,
                                    const kernel::Map& slots, const kernel::Map* members);
    /// Makes the group's table that of these weights, which are its members' in their order.
    Result<void> publish(const model::PlanGroup& group, const std::vector<u32>& weights);

private:
    explicit GroupTables(const model::Plan& plan) : made_(plan) {}

    model::SlotTables made_;
    kernel::MappedArray groups_ = {}, slots_ = {};
    const kernel::Map* members_ = nullptr;
    std::map<u32, u32> first_ = {}; ///< by group id: the first slot of its room
};

} // namespace lb::runtime
