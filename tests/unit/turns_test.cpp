// Tables of turns: nginx's order, exact parts, and a bound on their length.
#include "model/turns.hpp"

#include <algorithm>
#include <map>

#include <catch2/catch.hpp>

using namespace lb;
using namespace lb::model;

namespace {

std::vector<GroupMember> members_of(std::initializer_list<u32> weights)
{
    std::vector<GroupMember> members;
    for (const u32 weight : weights) members.push_back({static_cast<u32>(members.size()), weight});
    return members;
}

std::map<u32, u32> count(const std::vector<u32>& turns)
{
    std::map<u32, u32> counts;
    for (const u32 target : turns) ++counts[target];
    return counts;
}

constexpr u32 enough = 8191;

} // namespace

TEST_CASE("turns are in the order of nginx's smooth weighted round-robin", "[turns]")
{
    struct Row {
        std::initializer_list<u32> weights;
        std::vector<u32> turns;
    };
    const Row rows[] = {
        {{5, 1, 1}, {0, 0, 1, 0, 2, 0, 0}}, // the example of its commit message: a a b a c a a
        {{1, 1, 1}, {0, 1, 2}},
        {{50, 30, 20}, {0, 1, 2, 0, 0, 1, 0, 2, 1, 0}}, // 5, 3, 2
        {{4, 2}, {0, 1, 0}},
        {{7}, {0}},
        {{0, 3, 0}, {1}},
        {{1, 0, 2}, {2, 0, 2}},
    };
    for (const Row& row : rows) CHECK(make_turns(members_of(row.weights), enough) == row.turns);
}

TEST_CASE("each member has exactly its weight's part of the turns", "[turns]")
{
    CHECK(count(make_turns(members_of({50, 30, 20}), enough)) == std::map<u32, u32>{{0, 5}, {1, 3}, {2, 2}});
    CHECK(count(make_turns(members_of({97, 2, 1}), enough)) == std::map<u32, u32>{{0, 97}, {1, 2}, {2, 1}});
    std::vector<GroupMember> many;
    for (u32 id = 0; id < 200; ++id) many.push_back({id, id});
    const auto turns = make_turns(many, 65537);
    CHECK(turns.size() == 19900);
    const auto counts = count(turns);
    CHECK(std::ranges::all_of(many, [&](const GroupMember& each) {
        return each.weight == 0 ? !counts.contains(each.target) : counts.at(each.target) == each.weight;
    }));
}

TEST_CASE("turns of one member are spread over the table", "[turns]")
{
    const auto turns = make_turns(members_of({90, 9, 1}), enough);
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < turns.size(); ++i)
        if (turns[i] == 1) places.push_back(i);
    REQUIRE(places.size() == 9);
    for (std::size_t i = 1; i < places.size(); ++i) {
        CHECK(places[i] - places[i - 1] > 5); // eleven on the average
        CHECK(places[i] - places[i - 1] < 22);
    }
}

TEST_CASE("a table has no more turns than fit; each share is then within one turn", "[turns]")
{
    const auto counts = count(make_turns(members_of({4294967295, 4294967294, 3, 1431655765}), 100));
    CHECK(counts == std::map<u32, u32>{{0, 43}, {1, 43}, {3, 14}}); // 42.9, 42.9, 0.0, 14.3
    CHECK(make_turns(members_of({101, 1}), 101).size() == 101);
    CHECK(make_turns(members_of({101, 1}), 102).size() == 102);
    CHECK(make_turns(members_of({1, 2}), 1) == std::vector<u32>{1});
}

TEST_CASE("without a weight above 0 there are no turns", "[turns]")
{
    CHECK(make_turns(members_of({0, 0}), enough).empty());
    CHECK(make_turns({}, enough).empty());
}
