#include "model/rate_limits.hpp"

namespace lb::model {
namespace {

PlanRate merged(const RateConfig& own, const RateConfig& general)
{
    const RateConfig& rate = own.per_sec ? own : general;
    if (!rate.per_sec) return {};
    return {*rate.per_sec, own.burst.value_or(rate.burst.value_or(2 * *rate.per_sec))};
}

} // namespace

PlanSourceLimits merged(const RateLimitsConfig& own, const RateLimitsConfig& general)
{
    PlanSourceLimits limits;
    if (own.off) return limits;
    limits.requests = merged(own.requests, general.requests);
    limits.packets = merged(own.packets, general.packets);
    const auto length = [](std::optional<u8> first, std::optional<u8> second, u8 otherwise) {
        return first ? *first : second.value_or(otherwise);
    };
    limits.prefix_length_ipv4 =
        length(own.prefix_length_ipv4, general.prefix_length_ipv4, limits.prefix_length_ipv4);
    limits.prefix_length_ipv6 =
        length(own.prefix_length_ipv6, general.prefix_length_ipv6, limits.prefix_length_ipv6);
    return limits;
}

} // namespace lb::model
