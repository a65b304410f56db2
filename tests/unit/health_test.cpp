// What a row of checks makes of a target.
#include <catch2/catch.hpp>

#include "model/health.hpp"

using namespace lb;
using namespace lb::model;

namespace {

// The percentages after each check of a row: '+' is a good one, '-' a bad one.
std::vector<u32> after(const std::string& checks, u32 healthy = 2, u32 unhealthy = 3)
{
    HealthState state({.healthy_threshold = healthy, .unhealthy_threshold = unhealthy});
    std::vector<u32> all;
    for (const char check : checks) {
        const u32 before = state.percent();
        const bool changed = state.report(check == '+');
        CHECK(changed == (state.percent() != before));
        all.push_back(state.percent());
    }
    return all;
}
using Percents = std::vector<u32>;

} // namespace

TEST_CASE("a target begins healthy, and is unhealthy from its threshold of bad checks in a row on",
          "[health]")
{
    CHECK(HealthState(HealthCheck{}).percent() == 100);
    CHECK(after("--") == Percents{100, 100});
    CHECK(after("---") == Percents{100, 100, 0});
    CHECK(after("--+--+--") == Percents(8, 100));
    CHECK(after("-----") == Percents{100, 100, 0, 0, 0});
    CHECK(after("-", 2, 1) == Percents{0});
    CHECK(after("----------", 2, 10) == Percents{100, 100, 100, 100, 100, 100, 100, 100, 100, 0});
}

TEST_CASE("it recovers in quarters, one with each good check from its threshold on", "[health]")
{
    CHECK(after("-+++++++", 2, 1) == Percents{0, 0, 25, 50, 75, 100, 100, 100});
    CHECK(after("-++++", 1, 1) == Percents{0, 25, 50, 75, 100});
    CHECK(after("-++-++", 3, 1) == Percents{0, 0, 0, 0, 0, 0});
}

TEST_CASE("a bad check halts a recovery, and as many as the threshold end it", "[health]")
{
    CHECK(after("---++-+++", 2, 3) == Percents{100, 100, 0, 0, 25, 25, 50, 75, 100});
    CHECK(after("---++---++", 2, 3) == Percents{100, 100, 0, 0, 25, 25, 25, 0, 0, 25});
}
