#include "runtime/group_tables.hpp"

#include <atomic>

namespace lb::runtime {

using model::GroupRow;

Result<GroupTables> GroupTables::open(const model::Plan& plan, const kernel::Map& groups,
                                      const kernel::Map& slots, const kernel::Map* members)
{
    GroupTables tables(plan);
    auto mapped_groups = kernel::MappedArray::open(groups);
    if (!mapped_groups) return std::unexpected(mapped_groups.error());
    auto mapped_slots = kernel::MappedArray::open(slots);
    if (!mapped_slots) return std::unexpected(mapped_slots.error());
    tables.groups_ = std::move(*mapped_groups);
    tables.slots_ = std::move(*mapped_slots);
    tables.members_ = members;
    u32 first = 0;
    for (const auto& group : plan.groups) {
        tables.first_[group.id] = first;
        first += 2 * group.slots;
    }
    return tables;
}

// A packet that has read the old word goes by the old table, which stays as it is until the change after
// this one; what it may find there then is a target all the same.
Result<void> GroupTables::publish(const model::PlanGroup& group, const std::vector<u32>& weights)
{
    model::PlanGroup now = group;
    for (std::size_t i = 0; i < weights.size(); ++i) now.members[i].weight = weights[i];
    if (members_)
        for (const auto& member : now.members) {
            const model::MemberKey key{.group = group.id, .target = member.target};
            if (auto done = members_->update(key, member.weight); !done) return done;
        }
    const std::vector<u32> targets = made_.of(now);
    std::atomic_ref<u64> word(groups_.as<u64>()[group.id]);
    const u32 room = first_.at(group.id);
    const GroupRow used{word.load()};
    const u32 first = used.slots() != 0 && used.first() == room ? room + group.slots : room;
    const auto slots = slots_.as<u64>(); // each of 4 bytes, and 4 that nobody reads
    for (std::size_t i = 0; i < targets.size(); ++i) slots[first + i] = targets[i];
    const GroupRow row = targets.empty() ? GroupRow{} : GroupRow::of(first, static_cast<u32>(targets.size()));
    word.store(row.word, std::memory_order_release);
    return {};
}

} // namespace lb::runtime
