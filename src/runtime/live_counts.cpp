#include "runtime/live_counts.hpp"

#include <atomic>

namespace lb::runtime {
namespace {

bool is_later(u32 jiffies, u32 than) { return static_cast<i32>(jiffies - than) > 0; }

} // namespace

Result<LiveCounts> LiveCounts::open(const kernel::Map& live)
{
    auto mapped = kernel::MappedArray::open(live);
    if (!mapped) return std::unexpected(mapped.error());
    LiveCounts counts;
    counts.live_ = std::move(*mapped);
    return counts;
}

void LiveCounts::begin(u32 now)
{
    began_ = now;
    seen_.assign(live_.size(), 0);
    before_.clear();
    for (i64& each : live_.as<i64>()) before_.push_back(std::atomic_ref(each).load());
}

void LiveCounts::see(u32 target, u32 created, u32 ended)
{
    const bool lived = ended == 0 || is_later(ended, began_);
    if (target < seen_.size() && lived && !is_later(created, began_)) ++seen_[target];
}

void LiveCounts::add(u32 target, i64 number) const
{
    const auto live = live_.as<i64>();
    if (target < live.size()) std::atomic_ref(live[target]).fetch_add(number);
}

void LiveCounts::correct() const
{
    for (u32 target = 0; target < seen_.size(); ++target)
        if (const i64 missing = seen_[target] - before_[target]; missing != 0) add(target, missing);
}

} // namespace lb::runtime
