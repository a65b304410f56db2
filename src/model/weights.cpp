#include "model/weights.hpp"

#include <algorithm>
#include <numeric>

namespace lb::model {

std::vector<u32> weights_for_people(std::span<const u32> weights)
{
    std::vector<u32> percent(weights.size());
    const u64 sum = std::accumulate(weights.begin(), weights.end(), u64{0});
    if (sum == 0) return percent;
    u32 total = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
        percent[i] = static_cast<u32>((u64{weights[i]} * 200 + sum) / (sum * 2)); // half up
        total += percent[i];
    }
    if (total < 100) *std::ranges::max_element(percent) += 100 - total; // the first of equals
    while (total > 100) {
        u32& largest = *std::ranges::max_element(percent);
        const u32 taken = std::min(largest, total - 100);
        largest -= taken;
        total -= taken;
    }
    return percent;
}

std::vector<u32> shares_of(u32 size, std::span<const u32> weights)
{
    std::vector<u32> shares(weights.size());
    const u64 sum = std::accumulate(weights.begin(), weights.end(), u64{0});
    if (sum == 0) return shares;
    u32 left = size;
    std::vector<std::pair<u64, std::size_t>> remainders;
    for (std::size_t i = 0; i < weights.size(); ++i) {
        const u64 share = u64{weights[i]} * size;
        shares[i] = static_cast<u32>(share / sum);
        left -= shares[i];
        remainders.emplace_back(share % sum, i);
    }
    std::ranges::stable_sort(remainders, std::ranges::greater(), [](const auto& r) { return r.first; });
    for (u32 i = 0; i < left; ++i) ++shares[remainders[i].second];
    return shares;
}

} // namespace lb::model
