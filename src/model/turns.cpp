#include "model/turns.hpp"

#include <algorithm>
#include <numeric>

#include "model/weights.hpp"

namespace lb::model {
namespace {

// How many turns each has.
std::vector<u32> turns_of(std::span<const GroupMember> members, u32 turns_max)
{
    std::vector<u32> weights;
    u32 divisor = 0;
    u64 sum = 0;
    for (const GroupMember& each : members) {
        weights.push_back(each.weight);
        divisor = std::gcd(divisor, each.weight);
        sum += each.weight;
    }
    if (sum == 0) return weights;
    if (sum / divisor > turns_max) return shares_of(turns_max, weights);
    for (u32& each : weights) each /= divisor;
    return weights;
}

} // namespace

// In each turn everyone gains its weight, and the one who has most takes the turn and pays the sum of all.
std::vector<u32> make_turns(std::span<const GroupMember> members, u32 turns_max)
{
    const std::vector<u32> weights = turns_of(members, turns_max);
    const i64 sum = std::accumulate(weights.begin(), weights.end(), i64{0});
    std::vector<i64> claims(weights.size());
    std::vector<u32> turns;
    for (i64 turn = 0; turn < sum; ++turn) {
        for (std::size_t i = 0; i < claims.size(); ++i) claims[i] += weights[i];
        const auto next = std::ranges::max_element(claims); // the first of equals
        *next -= sum;
        turns.push_back(members[static_cast<std::size_t>(next - claims.begin())].target);
    }
    return turns;
}

} // namespace lb::model
