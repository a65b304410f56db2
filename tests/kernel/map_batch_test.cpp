// Thousands of entries per system call, and what can go wrong between two of them.
#include "kernel/map_batch.hpp"
#include "kernel_fixture.hpp"

#include <algorithm>
#include <cerrno>
#include <numeric>
#include <set>

using namespace lb;
using namespace lb::kernel;
using lb::bpf::MapSpec;
using lb::bpf::MapType;
using lb::test::contains;
using lb::test::must;

namespace {

constexpr u32 many = 12345;

struct Filled {
    std::vector<u32> keys;
    std::vector<u64> values;
};

Filled numbers(u32 count)
{
    Filled filled{std::vector<u32>(count), std::vector<u64>(count)};
    std::iota(filled.keys.begin(), filled.keys.end(), 0u);
    for (u32 i = 0; i < count; ++i) filled.values[i] = u64{i} * 3;
    return filled;
}

Map filled_map(MapType type, u32 count, u32 flags = 0)
{
    auto map = must(Map::create({.name = "many",
                                 .type = type,
                                 .key_size = 4,
                                 .value_size = 8,
                                 .max_entries = 20000,
                                 .flags = flags}));
    auto all = numbers(count);
    must(update_batch<u32, u64>(map, all.keys, all.values));
    return map;
}

} // namespace

TEST_CASE("a hash map of 12,345 entries is written, read and emptied in batches")
{
    auto map = filled_map(MapType::hash, many);
    CHECK(must(count_entries(map)) == 12345);
    auto entries = must(read_all<u32, u64>(map, 1000));
    REQUIRE(entries.size() == 12345);
    std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
    CHECK(entries[0].key == 0);
    CHECK(entries[12344].key == 12344);
    CHECK(entries[12344].value == 37032);

    auto keys = numbers(10001).keys;
    CHECK(must(remove_batch<u32>(map, keys)) == 10001);
    CHECK(must(count_entries(map)) == 2344);
}

TEST_CASE("a reader whose buffer is smaller than one bucket grows until the bucket fits")
{
    // 64 entries in 64 buckets by hash: some bucket holds two or more, which a buffer of one cannot take.
    auto map = must(Map::create(
        {.name = "buckets", .type = MapType::hash, .key_size = 4, .value_size = 8, .max_entries = 64}));
    auto all = numbers(64);
    must(update_batch<u32, u64>(map, all.keys, all.values));
    auto entries = must(read_all<u32, u64>(map, 1));
    std::set<u32> keys;
    for (const auto& entry : entries) keys.insert(entry.key);
    CHECK(entries.size() == 64);
    CHECK(keys.size() == 64);
}

TEST_CASE("keys that are not there are passed over when a batch is removed")
{
    auto map = filled_map(MapType::lru_hash, 100);
    std::vector<u32> keys = {5, 1000, 6, 1001, 1002, 7, 99, 1003};
    CHECK(must(remove_batch<u32>(map, keys)) == 4);
    CHECK(must(count_entries(map)) == 96);
    CHECK_FALSE(must(map.lookup<u32, u64>(99)).has_value());
}

TEST_CASE("an empty map reads as nothing, and an empty batch does nothing")
{
    auto map = filled_map(MapType::hash, 0);
    CHECK(must(read_all<u32, u64>(map)).empty());
    CHECK(must(remove_batch<u32>(map, {})) == 0);
    BatchReader reader(map);
    CHECK(must(reader.next()) == 0);
    CHECK(must(reader.next()) == 0);
}

TEST_CASE("a batch that does not fit says at which entry the map was full")
{
    auto map = must(Map::create(
        {.name = "tight", .type = MapType::hash, .key_size = 4, .value_size = 8, .max_entries = 10}));
    auto all = numbers(20);
    auto full = update_batch<u32, u64>(map, all.keys, all.values);
    REQUIRE_FALSE(full);
    CHECK(full.error().sys_errno == E2BIG);
    CHECK(contains(full.error().message, "(entry 10 of 20)"));
    CHECK_FALSE((update_batch<u32, u32>(map, std::vector<u32>(1), std::vector<u32>(1))).has_value());
    CHECK_FALSE((read_all<u32, u32>(map)).has_value());
    CHECK_FALSE(remove_batch<u64>(map, std::vector<u64>(1)).has_value());
}

TEST_CASE("arrays, tries and per-CPU maps read in batches too")
{
    auto array = must(Map::create(
        {.name = "array", .type = MapType::array, .key_size = 4, .value_size = 8, .max_entries = many}));
    auto all = numbers(many);
    must(update_batch<u32, u64>(array, all.keys, all.values));
    auto entries = must(read_all<u32, u64>(array, 1000));
    REQUIRE(entries.size() == 12345);
    CHECK(entries[12344].value == 37032);

    auto trie = must(Map::create({.name = "trie",
                                  .type = MapType::lpm_trie,
                                  .key_size = 8,
                                  .value_size = 8,
                                  .max_entries = 10000,
                                  .flags = bpf::map_no_prealloc}));
    std::vector<u64> keys, values;
    for (u32 i = 0; i < 10000; ++i) {
        keys.push_back(u64{__builtin_bswap32(i << 8)} << 32 | 24); // prefix length, then the address
        values.push_back(i);
    }
    must(update_batch<u64, u64>(trie, keys, values));
    CHECK(must(count_entries(trie)) == 10000);
    CHECK(must(remove_batch<u64>(trie, std::span(keys).first(9000))) == 9000);
    CHECK(must(count_entries(trie)) == 1000);

    auto percpu = must(Map::create({.name = "percpu",
                                    .type = MapType::percpu_hash,
                                    .key_size = 4,
                                    .value_size = 8,
                                    .max_entries = 100}));
    const u32 cpus = must(possible_cpus());
    must(percpu.update_percpu<u32, u64>(1, std::vector<u64>(cpus, 9)));
    BatchReader reader(percpu);
    REQUIRE(must(reader.next()) == 1);
    CHECK(reader.value(0).size() == cpus * 8);
    CHECK(reader.value_as<u64>(0) == 9);
}

TEST_CASE("a map type without batches is walked one by one")
{
    // Device maps have no batch operations; what they hold is an interface.
    auto map = must(Map::create({.name = "devices",
                                 .type = MapType::devmap_hash,
                                 .key_size = 4,
                                 .value_size = 4,
                                 .max_entries = 16}));
    std::vector<u32> keys = {10, 20, 30};
    std::vector<u32> loopback = {1, 1, 1};
    must(update_batch<u32, u32>(map, keys, loopback));
    CHECK(must(count_entries(map)) == 3);
    auto entries = must(read_all<u32, u32>(map, 2));
    REQUIRE(entries.size() == 3);
    CHECK(entries[0].value == 1);
    CHECK(must(remove_batch<u32>(map, std::vector<u32>{10, 15, 30})) == 2);
    CHECK(must(count_entries(map)) == 1);
}
