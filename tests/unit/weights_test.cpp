// Weights as percentages for people.
#include "model/weights.hpp"

#include <numeric>

#include <catch2/catch.hpp>

using namespace lb;
using namespace lb::model;

namespace {

std::vector<u32> percent(std::vector<u32> weights) { return weights_for_people(weights); }

} // namespace

TEST_CASE("percentages are rounded half up, and the first largest takes the difference to 100", "[weights]")
{
    using Row = std::pair<std::vector<u32>, std::vector<u32>>;
    const Row rows[] = {
        {{50, 30, 20}, {50, 30, 20}},
        {{50, 0, 20}, {71, 0, 29}}, // 71.4, 28.6
        {{70, 0, 10}, {87, 0, 13}}, // 87.5 and 12.5, both rounded up
        {{1, 1, 1}, {34, 33, 33}},
        {{1, 1, 1, 1, 1, 1}, {15, 17, 17, 17, 17, 17}}, // 16.7 each: two too many
        {{1, 1, 1, 1, 1, 1, 1}, {16, 14, 14, 14, 14, 14, 14}},
        {{1, 199}, {1, 99}}, // 0.5 and 99.5, both rounded up
        {{199, 1}, {99, 1}},
        {{1, 201}, {0, 100}},
        {{1, 2, 2}, {20, 40, 40}},
        {{1, 3, 3}, {14, 43, 43}},
        {{0, 7}, {0, 100}},
        {{100}, {100}},
        {{1}, {100}},
        {{4294967295, 4294967295}, {50, 50}},
        {{4294967295, 1}, {100, 0}},
        {{0, 0}, {0, 0}},
        {{}, {}},
    };
    for (const auto& [weights, people] : rows) CHECK(percent(weights) == people);
}

TEST_CASE("percentages sum to 100, for any number of targets", "[weights]")
{
    for (std::size_t count = 1; count <= 1024; ++count) {
        std::vector<u32> weights(count);
        for (std::size_t i = 0; i < count; ++i) weights[i] = static_cast<u32>(i * i % 17 + (i == 0 ? 1 : 0));
        const auto people = percent(weights);
        INFO(count);
        REQUIRE(std::accumulate(people.begin(), people.end(), 0u) == 100);
    }
    // 200 shares of half a percent round up to 200: the excess is taken from more than one, none below 0.
    const auto halves = percent(std::vector<u32>(200, 1));
    CHECK(std::accumulate(halves.begin(), halves.end(), 0u) == 100);
    CHECK(*std::ranges::max_element(halves) == 1);
}

TEST_CASE("a number is shared out by largest remainder, the first of equals first", "[weights]")
{
    struct Row {
        u32 size;
        std::vector<u32> weights, shares;
    };
    const Row rows[] = {
        {10, {1, 1, 1}, {4, 3, 3}}, {11, {1, 1, 1}, {4, 4, 3}}, {7, {50, 30, 20}, {4, 2, 1}}, // 3.5, 2.1, 1.4
        {1, {1, 3}, {0, 1}},        {5, {0, 2, 0}, {0, 5, 0}},  {9, {4294967295, 4294967295}, {5, 4}},
        {0, {1, 2}, {0, 0}},        {3, {0, 0}, {0, 0}},        {3, {}, {}},
    };
    for (const Row& row : rows) CHECK(shares_of(row.size, row.weights) == row.shares);
}
