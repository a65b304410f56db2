// The one writer of weights: takes what is reported of targets, has the arbiter (model/arbiter.hpp) make
// effective weights of it, and publishes the groups that it changes. One thread.
#pragma once

#include <map>
#include <vector>

#include "model/arbiter.hpp"
#include "runtime/group_tables.hpp"
#include "runtime/tables.hpp"

namespace lb::runtime {

class Weights {
public:
    /// Takes targets that are out of service from the groups' tables, and those of `health` what they have
    /// not. `tables` outlives it. `health`: percentages by target id, of targets that are checked; without,
    /// all are healthy.
    static Result<Weights> open(const model::Plan& plan, const Tables& tables,
                                const std::map<u32, u32>& health = {});
    /// A target is to have so much of its weight, by its health. Publishes its groups; `plan` as before.
    Result<void> set_health(const model::Plan& plan, u32 target, u32 percent);
    /// The percentages of all targets, by id.
    std::map<u32, u32> health() const;
    /// What a group's members have now, in their order.
    std::vector<u32> of(const model::PlanGroup& group) const;

private:
    explicit Weights(GroupTables tables) : tables_(std::move(tables)) {}

    GroupTables tables_;
    std::map<u32, model::TargetFacts> facts_ = {};          ///< by target id
    std::map<u32, model::AllUnhealthy> all_unhealthy_ = {}; ///< by proxy id
};

} // namespace lb::runtime
