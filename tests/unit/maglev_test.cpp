// Slot tables: exact shares, the same table everywhere, and little movement when one target changes.
#include "model/maglev.hpp"

#include <algorithm>
#include <map>

#include <catch2/catch.hpp>

using namespace lb;
using namespace lb::model;

namespace {

struct Group {
    std::vector<GroupMember> members = {};
    std::vector<std::string> keys = {};
    std::vector<u32> slots(u32 size) const { return make_slots(members, keys, size); }
};

// Targets 0, 1, ... at 10.0.0.1:8080, 10.0.0.2:8080, ... with these weights.
Group group_of(std::initializer_list<u32> weights)
{
    Group group;
    for (const u32 weight : weights) {
        const u32 id = static_cast<u32>(group.members.size());
        group.members.push_back({id, weight});
        group.keys.push_back("10.0.0." + std::to_string(id + 1) + ":8080");
    }
    return group;
}

Group hundred_of(u32 weight)
{
    Group group;
    for (u32 id = 0; id < 100; ++id) {
        group.members.push_back({id, weight});
        group.keys.push_back("10.0.1." + std::to_string(id) + ":80");
    }
    return group;
}

std::vector<u32> counts(const std::vector<u32>& slots, std::size_t members)
{
    std::vector<u32> count(members);
    for (const u32 target : slots) ++count.at(target);
    return count;
}

// Of the slots that `changed` has neither before nor after, the share that another target has after.
double moved(const std::vector<u32>& before, const std::vector<u32>& after, u32 changed)
{
    u32 others = 0, moves = 0;
    for (std::size_t i = 0; i < before.size(); ++i) {
        if (before[i] == changed || after[i] == changed) continue;
        ++others;
        if (before[i] != after[i]) ++moves;
    }
    return double(moves) / double(others);
}

u64 fnv1a(const std::vector<u32>& slots)
{
    u64 hash = 0xcbf29ce484222325;
    for (const u32 target : slots) hash = (hash ^ target) * 0x100000001b3;
    return hash;
}

} // namespace

TEST_CASE("a group's table has 1 slot, 8191 up to eight members, and 65537 beyond", "[maglev]")
{
    CHECK(slots_for(1) == 1);
    CHECK(slots_for(2) == 8191);
    CHECK(slots_for(8) == 8191);
    CHECK(slots_for(9) == 65537);
    CHECK(slots_for(1024) == 65537);
}

TEST_CASE("each target gets its share of slots to the slot, by largest remainder", "[maglev]")
{
    struct Row {
        std::initializer_list<u32> weights;
        u32 size;
        std::vector<u32> counts;
    };
    const Row rows[] = {
        {{50, 30, 20}, 8191, {4096, 2457, 1638}}, // 4095.5, 2457.3, 1638.2
        {{1, 1, 1}, 8191, {2731, 2730, 2730}},    // equal remainders: the first keys
        {{70, 20, 10}, 8191, {5734, 1638, 819}},  // 5733.7, 1638.2, 819.1
        {{99, 1}, 8191, {8109, 82}},
        {{1, 1}, 65537, {32769, 32768}},
        {{0, 5, 0}, 8191, {0, 8191, 0}},
        {{4294967295, 4294967295, 1}, 65537, {32769, 32768, 0}},
        {{4294967295, 4294967295}, 8191, {4096, 4095}},
        {{3}, 1, {1}},
        {{1, 3}, 1, {0, 1}},
    };
    for (const Row& row : rows) {
        const auto slots = group_of(row.weights).slots(row.size);
        REQUIRE(slots.size() == row.size);
        CHECK(counts(slots, row.weights.size()) == row.counts);
    }
}

TEST_CASE("1024 targets each get within one slot of their share", "[maglev]")
{
    Group group;
    u64 sum = 0;
    for (u32 id = 0; id < 1024; ++id) {
        group.members.push_back({id, id * 7 % 101});
        group.keys.push_back("10.2." + std::to_string(id / 256) + "." + std::to_string(id % 256) + ":80");
        sum += id * 7 % 101;
    }
    const auto count = counts(group.slots(65537), 1024);
    u32 wrong = 0;
    for (u32 id = 0; id < 1024; ++id) {
        const double share = 65537.0 * group.members[id].weight / double(sum);
        if (count[id] + 1.0 <= share || count[id] >= share + 1.0) ++wrong;
    }
    CHECK(wrong == 0);
}

TEST_CASE("a group whose weights are all 0 has no table", "[maglev]")
{
    CHECK(group_of({0}).slots(1).empty());
    CHECK(group_of({0, 0}).slots(8191).empty());
    CHECK(Group{}.slots(8191).empty());
}

// These were made by another program, from the description alone: a balancer of one version must pick as one
// of another does, because connections are handed over between them.
TEST_CASE("tables are the same in every version", "[maglev]")
{
    CHECK(group_of({50, 30, 20}).slots(13) == std::vector<u32>{1, 0, 2, 1, 0, 2, 0, 2, 1, 0, 1, 0, 0});
    CHECK(group_of({1, 1, 1}).slots(7) == std::vector<u32>{0, 0, 2, 1, 0, 1, 2});
    CHECK(group_of({1, 0, 2}).slots(7) == std::vector<u32>{0, 2, 2, 2, 0, 2, 2});
    CHECK(fnv1a(group_of({50, 30, 20}).slots(8191)) == 0x63eb03b04dd7ab52);
    Group hundred;
    for (u32 id = 0; id < 100; ++id) {
        hundred.members.push_back({id, 1 + id % 3});
        hundred.keys.push_back("10.0.0." + std::to_string(id) + ":80");
    }
    CHECK(fnv1a(hundred.slots(65537)) == 0x7df595a92578515d);
}

TEST_CASE("the order of the members and their ids do not matter, their keys do", "[maglev]")
{
    const Group group = group_of({50, 30, 20});
    const Group turned{{{2, 20}, {0, 50}, {1, 30}}, {"10.0.0.3:8080", "10.0.0.1:8080", "10.0.0.2:8080"}};
    CHECK(turned.slots(8191) == group.slots(8191));

    Group renumbered = group;
    for (auto& member : renumbered.members) member.target += 100;
    auto expected = group.slots(8191);
    for (u32& target : expected) target += 100;
    CHECK(renumbered.slots(8191) == expected);

    Group renamed = group;
    renamed.keys[0] = "10.0.0.1:8081";
    CHECK(renamed.slots(8191) != group.slots(8191));
}

TEST_CASE("a target with weight 0 leaves no trace in the table", "[maglev]")
{
    CHECK(group_of({50, 30, 0}).slots(8191) == group_of({50, 30}).slots(8191));
}

TEST_CASE("where one of a hundred targets changes, less than 2 percent of the others' slots move", "[maglev]")
{
    const Group group = hundred_of(10);
    const auto before = group.slots(slots_large);
    struct Change {
        u32 target, weight;
    };
    for (const auto& [target, weight] :
         {Change{0, 0}, {17, 0}, {99, 0}, {17, 1}, {17, 9}, {17, 11}, {50, 20}}) {
        Group changed = group;
        changed.members[target].weight = weight;
        const auto after = changed.slots(slots_large);
        INFO("target " << target << " to weight " << weight);
        CHECK(moved(before, after, target) < 0.02);
        CHECK(before != after);
    }
    // One that goes, and one that comes: the list is another, not only its weights.
    Group fewer = group;
    fewer.members.erase(fewer.members.begin() + 42);
    fewer.keys.erase(fewer.keys.begin() + 42);
    CHECK(moved(before, fewer.slots(slots_large), 42) < 0.02);
    CHECK(moved(fewer.slots(slots_large), before, 42) < 0.02);
}

TEST_CASE("where one of three targets goes, few of the others' slots move", "[maglev]")
{
    const auto before = group_of({50, 30, 20}).slots(slots_small);
    CHECK(moved(before, group_of({50, 0, 20}).slots(slots_small), 1) < 0.15);
    CHECK(moved(before, group_of({50, 30, 0}).slots(slots_small), 2) < 0.15);
}
