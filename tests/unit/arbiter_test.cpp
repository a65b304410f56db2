// The arbiter of weights as a table: what is known of the targets, and the weights that follow.
#include <catch2/catch.hpp>

#include "model/arbiter.hpp"

using namespace lb;
using namespace lb::model;

namespace {

using Weights = std::vector<u32>;

constexpr TargetFacts good{}, down{.health_percent = 0}, out{.enabled = false},
    out_and_recovering{.enabled = false, .health_percent = 50},
    out_and_down{.enabled = false, .health_percent = 0};
constexpr TargetFacts at(u32 percent) { return {.health_percent = percent}; }

struct Row {
    const char* name;
    Weights configured;
    std::vector<TargetFacts> facts;
    Weights kept;     ///< what is effective where all unhealthy keep their weights, as percentages
    Weights rejected; ///< the same where they take nothing
};

const Row rows[] = {
    {"all are well", {50, 30, 20}, {good, good, good}, {50, 30, 20}, {50, 30, 20}},
    {"one is down", {50, 30, 20}, {good, down, good}, {71, 0, 29}, {71, 0, 29}},
    {"one is down, rounded up to more than 100", {70, 20, 10}, {good, down, good}, {87, 0, 13}, {87, 0, 13}},
    {"two are down", {50, 30, 20}, {down, down, good}, {0, 0, 100}, {0, 0, 100}},
    {"all are down", {50, 30, 20}, {down, down, down}, {50, 30, 20}, {0, 0, 0}},
    {"the only one is down", {100}, {down}, {100}, {0}},
    {"a quarter of its weight", {50, 50}, {good, at(25)}, {80, 20}, {80, 20}},
    {"a half", {50, 50}, {good, at(50)}, {67, 33}, {67, 33}},
    {"three quarters", {50, 50}, {good, at(75)}, {57, 43}, {57, 43}},
    {"a quarter of a weight that is no multiple of four", {99, 1}, {at(25), good}, {96, 4}, {96, 4}},
    {"one recovers, one is down", {50, 30, 20}, {at(50), good, down}, {45, 55, 0}, {45, 55, 0}},
    {"the only one that is not down recovers", {50, 50}, {at(25), down}, {100, 0}, {100, 0}},
    {"one is out of service", {50, 30, 20}, {good, out, good}, {71, 0, 29}, {71, 0, 29}},
    {"out of service and recovering is out", {50, 50}, {good, out_and_recovering}, {100, 0}, {100, 0}},
    {"out of service and down is out", {50, 50}, {good, out_and_down}, {100, 0}, {100, 0}},
    {"those in service are down: out stays out", {50, 30, 20}, {down, out, down}, {71, 0, 29}, {0, 0, 0}},
    {"all are out of service", {50, 50}, {out, out}, {0, 0}, {0, 0}},
    {"a weight of 0 stays 0", {0, 3}, {good, good}, {0, 100}, {0, 100}},
    {"the only one with weight is down", {0, 3}, {good, down}, {0, 100}, {0, 0}},
};

} // namespace

TEST_CASE("effective weights follow from what is known of the targets, all of it together", "[arbiter]")
{
    for (const Row& row : rows) {
        INFO(row.name);
        CHECK(percentages(effective_weights(row.configured, row.facts, AllUnhealthy::keep)) == row.kept);
        CHECK(percentages(effective_weights(row.configured, row.facts, AllUnhealthy::reject)) ==
              row.rejected);
    }
}

TEST_CASE("effective weights are exact: rounding is for people", "[arbiter]")
{
    CHECK(effective_weights(Weights{50, 30, 20}, std::vector{good, down, good}, AllUnhealthy::keep) ==
          Weights{50, 0, 20});
    CHECK(effective_weights(Weights{7, 3}, std::vector{good, at(75)}, AllUnhealthy::keep) == Weights{28, 9});
    // As large as weights may be, they still fit.
    const u32 largest = 0xffffffff;
    const auto two =
        effective_weights(Weights{largest, largest}, std::vector{good, at(50)}, AllUnhealthy::keep);
    CHECK(two[0] / 2 == two[1]);
    CHECK(two[0] > largest - 4);
}

TEST_CASE("percentages are rounded half up, and sum to 100", "[arbiter]")
{
    CHECK(percentages(Weights{1, 1, 1}) == Weights{34, 33, 33});
    CHECK(percentages(Weights{1, 1, 1, 1, 1, 1}) == Weights{15, 17, 17, 17, 17, 17});
    CHECK(percentages(Weights{1, 7}) == Weights{13, 87});
    CHECK(percentages(Weights{}) == Weights{});
    CHECK(percentages(Weights{0, 0}) == Weights{0, 0});
    CHECK(percentages(Weights{0xffffffff, 0xffffffff}) == Weights{50, 50});
}
