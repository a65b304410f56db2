#include "runtime/weights.hpp"

#include <algorithm>

namespace lb::runtime {

Result<Weights> Weights::open(const model::Plan& plan, const Tables& tables, const std::map<u32, u32>& health)
{
    auto groups = GroupTables::open(plan, tables["groups"], tables["slots"],
                                    tables.has("members") ? &tables["members"] : nullptr);
    if (!groups) return std::unexpected(groups.error());
    Weights weights(std::move(*groups));
    for (const auto& target : plan.targets) {
        const auto known = plan.checks_health(target) ? health.find(target.id) : health.end();
        weights.facts_[target.id] = {.enabled = target.enabled,
                                     .health_percent = known == health.end() ? 100 : known->second};
    }
    for (const auto& proxy : plan.proxies) weights.all_unhealthy_[proxy.id] = proxy.all_unhealthy;
    for (const auto& group : plan.groups) {
        const auto is_plain = [&](const model::GroupMember& member) {
            const auto& facts = weights.facts_.at(member.target);
            return facts.enabled && facts.health_percent == 100;
        };
        if (std::ranges::all_of(group.members, is_plain)) continue; // as the tables are filled
        if (auto done = weights.tables_.publish(group, weights.of(group)); !done)
            return std::unexpected(done.error());
    }
    return weights;
}

std::map<u32, u32> Weights::health() const
{
    std::map<u32, u32> all;
    for (const auto& [target, facts] : facts_) all[target] = facts.health_percent;
    return all;
}

std::vector<u32> Weights::of(const model::PlanGroup& group) const
{
    std::vector<u32> configured;
    std::vector<model::TargetFacts> facts;
    for (const auto& member : group.members) {
        configured.push_back(member.weight);
        facts.push_back(facts_.at(member.target));
    }
    return model::effective_weights(configured, facts, all_unhealthy_.at(group.proxy));
}

Result<void> Weights::set_health(const model::Plan& plan, u32 target, u32 percent)
{
    facts_.at(target).health_percent = percent;
    for (const auto& group : plan.groups) {
        if (std::ranges::find(group.members, target, &model::GroupMember::target) == group.members.end())
            continue;
        if (auto done = tables_.publish(group, of(group)); !done) return done;
    }
    return {};
}

} // namespace lb::runtime
