// Rates as the program reads them: intervals and tolerances as numbers, and masks of sources.
#include "model/rate_limits.hpp"

#include <catch2/catch.hpp>
#include <cmath>

using namespace lb;
using namespace lb::model;

namespace {

constexpr u64 second = 16'000'000'000; // 1/16 ns

Address6 address6(const char* text) { return IpAddress::parse(text)->address6(); }

} // namespace

TEST_CASE("an interval is a second by the rate, and a burst is so many of them", "[rates]")
{
    struct Row {
        u32 per_sec, burst;
        u64 interval, tolerance;
    };
    const Row rows[] = {
        {1, 1, second, second},
        {1, 2, second, 2 * second},
        {3, 6, 5'333'333'333, 6 * 5'333'333'333ull},
        {1000, 2000, 16'000'000, 2 * second},
        {7'000'000, 10, 2286, 22860}, // 2285.71
        {9'999'999, 1, 1600, 1600},
        {10'000'000, 20'000'000, 1600, 2 * second},
        {1, 10'000'000, second, 10'000'000 * second}, // the longest there is: 116 days
    };
    for (const Row& row : rows) {
        INFO(row.per_sec << " per second, burst " << row.burst);
        const RateRow made = rate_row({row.per_sec, row.burst});
        CHECK(made.interval == row.interval);
        CHECK(made.tolerance == row.tolerance);
        CHECK(made.tolerance / made.interval == row.burst); // exactly so many at once
        CHECK(made.tolerance % made.interval == 0);
    }
    CHECK(rate_row({}).interval == 0);
    CHECK(rate_row({}).tolerance == 0);
}

TEST_CASE("rounding changes no rate by more than three in ten thousand", "[rates]")
{
    double worst = 0;
    for (u32 rate = 1; rate <= rate_max; rate += 1 + rate / 5000) {
        const double made = static_cast<double>(second) / static_cast<double>(rate_row({rate, 1}).interval);
        worst = std::max(worst, std::abs(made / rate - 1));
    }
    INFO(worst);
    CHECK(worst < 0.00032);
}

TEST_CASE("neither the longest burst nor decades of uptime overflow a bucket's time", "[rates]")
{
    constexpr u64 years = 36ull * 365 * 24 * 3600;
    const RateRow longest = rate_row({1, rate_max});
    const u64 now = years * 1'000'000'000 << rate_time_bits;
    CHECK(now >> rate_time_bits == years * 1'000'000'000);
    CHECK(now + longest.tolerance + longest.interval > now);
}

TEST_CASE("a proxy's row has each limit in its place, and masks of the source's prefix", "[rates]")
{
    PlanProxy proxy;
    proxy.per_source.requests = {1, 2};
    proxy.per_source.packets = {10, 3};
    proxy.per_target.requests = {100, 4};
    proxy.per_target.packets = {1000, 5};
    LimitsRow row = limits_row(proxy);
    CHECK(row.source_connections.interval == second);
    CHECK(row.source_connections.tolerance == 2 * second);
    CHECK(row.source_packets.interval == second / 10);
    CHECK(row.target_connections.interval == second / 100);
    CHECK(row.target_packets.interval == second / 1000);
    CHECK(row.target_packets.tolerance == 5 * second / 1000);
    CHECK(row.mask4 == be32(0xffffffff));
    CHECK(row.mask6 == address6("ffff:ffff:ffff:ffff::"));
    proxy.per_source.prefix_length_ipv4 = 20;
    proxy.per_source.prefix_length_ipv6 = 65;
    row = limits_row(proxy);
    CHECK(row.mask4 == be32(0xfffff000));
    CHECK(row.mask6 == address6("ffff:ffff:ffff:ffff:8000::"));
    proxy.per_source.prefix_length_ipv4 = 1;
    proxy.per_source.prefix_length_ipv6 = 128;
    row = limits_row(proxy);
    CHECK(row.mask4 == be32(0x80000000));
    CHECK(row.mask6 == address6("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
}
