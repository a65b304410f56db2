#include "runtime/health_log.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace lb::runtime {
namespace {

std::string what_happened(const HealthChange& change)
{
    if (change.percent == 100) return "healthy";
    if (change.percent == 0) return fmt::format("unhealthy ({})", name_of(change.result.error));
    return fmt::format("recovering, with {} % of its weight", change.percent);
}

} // namespace

void log_health(const Balancer& balancer, const HealthChange& change)
{
    const auto& plan = balancer.plan();
    const auto& target = *std::ranges::find(plan.targets, change.target, &model::PlanTarget::id);
    const auto& proxy = *std::ranges::find(plan.proxies, target.proxy, &model::PlanProxy::id);
    spdlog::log(change.percent == 0 ? spdlog::level::warn : spdlog::level::info, "target {} of {} is {}: {}",
                target.endpoint.text(), proxy.name, what_happened(change), change.result.message);
    for (const auto& group : plan.groups) {
        const auto holds = [&](const auto& member) { return member.target == change.target; };
        if (std::ranges::none_of(group.members, holds)) continue;
        const auto shares = model::percentages(balancer.weights_of(group));
        spdlog::info("weights of {}: {}", proxy.name, fmt::join(shares, "/"));
    }
}

} // namespace lb::runtime
