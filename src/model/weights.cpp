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

} // namespace lb::model
