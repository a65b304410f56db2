#include "model/arbiter.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "model/health.hpp"

namespace lb::model {
namespace {

// Quarters of a weight are counted as wholes; of the largest weights the last two bits are lost.
constexpr u32 quarters = 100 / recovery_step;

bool is_recovering(const TargetFacts& facts)
{
    return facts.enabled && facts.health_percent != 0 && facts.health_percent != 100;
}

} // namespace

std::vector<u32> effective_weights(std::span<const u32> weights, std::span<const TargetFacts> facts,
                                   AllUnhealthy all_unhealthy)
{
    std::vector<u32> in_service(weights.begin(), weights.end());
    for (std::size_t i = 0; i < in_service.size(); ++i)
        if (!facts[i].enabled) in_service[i] = 0;
    std::vector<u32> effective = in_service;
    const bool by_quarters = std::ranges::any_of(facts, is_recovering);
    const bool large = std::ranges::any_of(
        in_service, [](u32 each) { return each > std::numeric_limits<u32>::max() / quarters; });
    for (std::size_t i = 0; i < effective.size(); ++i) {
        const u32 steps = facts[i].health_percent / recovery_step;
        if (by_quarters)
            effective[i] = large ? effective[i] / quarters * steps : effective[i] * steps;
        else if (steps == 0)
            effective[i] = 0;
    }
    const bool some = std::ranges::any_of(effective, [](u32 each) { return each > 0; });
    if (some || all_unhealthy == AllUnhealthy::reject) return effective;
    return in_service;
}

std::vector<u32> percentages(std::span<const u32> weights)
{
    const u64 sum = std::accumulate(weights.begin(), weights.end(), u64{0});
    std::vector<u32> parts(weights.size());
    if (sum == 0) return parts;
    u32 given = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        parts[i] = static_cast<u32>((u64{weights[i]} * 200 + sum) / (2 * sum));
        given += parts[i];
    }
    // Unsigned: what is too much comes off.
    *std::ranges::max_element(parts) += 100 - given;
    return parts;
}

} // namespace lb::model
