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

RateRow rate_row(const PlanRate& rate)
{
    if (rate.per_sec == 0) return {};
    constexpr u64 second = 1'000'000'000ull << rate_time_bits;
    const u64 interval = (second + rate.per_sec / 2) / rate.per_sec;
    return {.interval = interval, .tolerance = interval * rate.burst};
}

LimitsRow limits_row(const PlanProxy& proxy)
{
    std::array<u8, 16> ones{};
    ones.fill(0xff);
    const PlanSourceLimits& source = proxy.per_source;
    const Prefix mask4{IpAddress(be32(~u32{0})), source.prefix_length_ipv4},
        mask6{IpAddress(ones), source.prefix_length_ipv6};
    return {.source_connections = rate_row(source.requests),
            .source_packets = rate_row(source.packets),
            .target_connections = rate_row(proxy.per_target.requests),
            .target_packets = rate_row(proxy.per_target.packets),
            .mask6 = mask6.network().address.address6(),
            .mask4 = mask4.network().address.v4()};
}

} // namespace lb::model
