// Maps in memory: what each type finds and refuses, with the kernel's errnos.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cerrno>

#include "lb/asm/map_memory.hpp"

using namespace lb;
using namespace lb::bpf;

namespace {

constexpr auto any = UpdateFlag::any, no_exist = UpdateFlag::no_exist, exist = UpdateFlag::exist;

std::unique_ptr<MapMemory> make(const MapSpec& spec, u32 cpus = 1)
{
    auto map = MapMemory::create(spec, cpus);
    INFO((map ? "" : map.error()));
    REQUIRE(map);
    return std::move(*map);
}

std::string refusal(const MapSpec& spec)
{
    const auto map = MapMemory::create(spec, 1);
    REQUIRE_FALSE(map);
    return map.error();
}

template <class T> MapMemory::Bytes bytes_of(const T& value)
{
    return {reinterpret_cast<const u8*>(&value), sizeof value};
}

/// Key of a trie: length, then address, both as RouteKey4 has them.
struct Prefix4 {
    u32 length = 0;
    be32 address{};
    friend bool operator==(const Prefix4&, const Prefix4&) = default;
};

std::vector<u32> keys_of(MapMemory& map)
{
    std::vector<u32> keys;
    for (const auto& [key, value] : map.entries<u32, u64>()) keys.push_back(key);
    std::ranges::sort(keys);
    return keys;
}

} // namespace

TEST_CASE("a hash map finds what was put there, and says why it does not take more", "[interpreter][maps]")
{
    for (const auto& [type, flags] :
         {std::pair{MapType::hash, 0u}, {MapType::hash, map_no_prealloc}, {MapType::percpu_hash, 0u}}) {
        const auto map = make(Map<u32, u64>("numbers", type, 3, flags));
        CHECK_FALSE(map->lookup<u32, u64>(1));
        CHECK(map->update(u32{1}, u64{10}, exist) == -ENOENT);
        CHECK(map->update(u32{1}, u64{10}) == 0);
        CHECK(map->update(u32{1}, u64{11}, no_exist) == -EEXIST);
        CHECK(map->lookup<u32, u64>(1) == 10);
        CHECK(map->update(u32{1}, u64{12}, exist) == 0);
        CHECK(map->lookup<u32, u64>(1) == 12);
        CHECK(map->update(u32{2}, u64{20}, no_exist) == 0);
        CHECK(map->update(u32{3}, u64{30}) == 0);
        CHECK(map->update(u32{4}, u64{40}) == -E2BIG);
        CHECK(map->update(u32{4}, u64{40}, exist) == -ENOENT); // asked before room is looked for
        CHECK(map->update(u32{3}, u64{31}) == 0);              // a full map takes new values
        CHECK(map->remove(u32{9}) == -ENOENT);
        CHECK(map->remove(u32{2}) == 0);
        CHECK_FALSE(map->lookup<u32, u64>(2));
        CHECK(map->update(u32{4}, u64{40}) == 0);
        CHECK(keys_of(*map) == std::vector<u32>{1, 3, 4});
        CHECK(map->update_raw(bytes_of(u32{1}), bytes_of(u64{1}), 3, 0) == -EINVAL);
        CHECK(map->update_raw(bytes_of(u32{1}), bytes_of(u64{1}), 4, 0) ==
              -EINVAL); // BPF_F_LOCK without a lock
    }
}

TEST_CASE("an element that is replaced or deleted is stale, and is used anew when it was forgotten",
          "[interpreter][maps]")
{
    const auto map = make(Map<u32, u64>("numbers", MapType::hash, 2));
    map->update(u32{1}, u64{10});
    const u32 first = *map->find(bytes_of(u32{1}));
    CHECK(map->value(first, 0).size() == 8);
    map->update(u32{1}, u64{11});
    CHECK(map->value(first, 0).empty());
    map->update(u32{2}, u64{20});
    CHECK(map->value(first, 0).empty()); // still nobody else's
    const u32 second = *map->find(bytes_of(u32{2}));
    map->remove(u32{2});
    CHECK(map->value(second, 0).empty());
    map->forget_dropped();
    map->update(u32{3}, u64{30});
    const u32 third = *map->find(bytes_of(u32{3}));
    CHECK((third == first || third == second));
    CHECK(map->lookup<u32, u64>(3) == 30);
    CHECK(map->lookup<u32, u64>(1) == 11);
}

TEST_CASE("an LRU map makes room by the element that was not used for longest", "[interpreter][maps]")
{
    const auto map = make(Map<u32, u64>("recent", MapType::lru_hash, 3));
    for (u32 key = 1; key <= 3; ++key) CHECK(map->update(key, u64{key}) == 0);
    CHECK(map->find(bytes_of(u32{1}))); // a program's lookup is a use,
    CHECK(map->lookup<u32, u64>(2));    // user space's is none
    CHECK(map->update(u32{4}, u64{4}) == 0);
    CHECK(keys_of(*map) == std::vector<u32>{1, 3, 4});
    CHECK(map->update(u32{3}, u64{33}) == 0); // nobody has to go for a new value
    CHECK(map->update(u32{5}, u64{5}) == 0);
    CHECK(keys_of(*map) == std::vector<u32>{3, 4, 5});
    CHECK(map->update(u32{6}, u64{6}, exist) == -ENOENT);
    CHECK(map->update(u32{5}, u64{6}, no_exist) == -EEXIST);
    CHECK(map->remove(u32{4}) == 0);
    CHECK(map->update(u32{7}, u64{7}) == 0);
    CHECK(keys_of(*map) == std::vector<u32>{3, 5, 7});
}

TEST_CASE("an array has all its elements, and no others", "[interpreter][maps]")
{
    for (const MapType type : {MapType::array, MapType::percpu_array}) {
        const auto map = make(Map<u32, u64>("cells", type, 3));
        CHECK(map->lookup<u32, u64>(2) == 0);
        CHECK_FALSE(map->lookup<u32, u64>(3));
        CHECK(map->update(u32{2}, u64{20}) == 0);
        CHECK(map->update(u32{2}, u64{21}, exist) == 0);
        CHECK(map->lookup<u32, u64>(2) == 21);
        CHECK(map->update(u32{2}, u64{22}, no_exist) == -EEXIST);
        CHECK(map->update(u32{3}, u64{30}) == -E2BIG);
        CHECK(map->update(u32{3}, u64{30}, no_exist) == -E2BIG); // the index is looked at first
        CHECK(map->update_raw(bytes_of(u32{9}), bytes_of(u64{1}), 3, 0) == -EINVAL);
        CHECK(map->remove(u32{2}) == -EINVAL);
        CHECK(map->lookup<u32, u64>(2) == 21);
        CHECK(keys_of(*map) == std::vector<u32>{0, 1, 2});
        const u32 element = *map->find(bytes_of(u32{2}));
        CHECK(map->update(u32{2}, u64{23}) == 0); // in place: a pointer stays good
        CHECK(*reinterpret_cast<const u64*>(map->value(element, 0).data()) == 23);
    }
}

TEST_CASE("in a per-CPU map each CPU has a value of its own", "[interpreter][maps]")
{
    const auto array = make(Map<u32, u64>("cells", MapType::percpu_array, 2), 3);
    CHECK(array->update_raw(bytes_of(u32{1}), bytes_of(u64{7}), 0, 2) == 0);
    CHECK(array->lookup<u32, u64>(1, 2) == 7);
    CHECK(array->lookup<u32, u64>(1, 1) == 0);
    CHECK(array->lookup<u32, u64>(0, 2) == 0);

    const auto hash = make(Map<u32, u64>("numbers", MapType::percpu_hash, 2), 3);
    CHECK(hash->update_raw(bytes_of(u32{5}), bytes_of(u64{1}), 0, 1) == 0); // the others' begin with 0
    CHECK(hash->lookup<u32, u64>(5, 0) == 0);
    CHECK(hash->lookup<u32, u64>(5, 1) == 1);
    const u32 element = *hash->find(bytes_of(u32{5}));
    CHECK(hash->update_raw(bytes_of(u32{5}), bytes_of(u64{2}), 0, 2) == 0);
    CHECK(hash->value(element, 2).size() == 8); // in place, unlike in a shared hash
    CHECK(hash->lookup<u32, u64>(5, 1) == 1);
    CHECK(hash->lookup<u32, u64>(5, 2) == 2);
    CHECK(hash->update(u32{5}, u64{9}) == 0); // by user space: all of them
    for (u32 cpu = 0; cpu < 3; ++cpu) CHECK(hash->lookup<u32, u64>(5, cpu) == 9);

    const auto shared = make(Map<u32, u64>("numbers", MapType::hash, 2), 3);
    CHECK(shared->update_raw(bytes_of(u32{5}), bytes_of(u64{1}), 0, 1) == 0);
    CHECK(shared->lookup<u32, u64>(5, 2) == 1);
}

TEST_CASE("a trie finds the longest prefix, bits in network order", "[interpreter][maps]")
{
    const auto map = make(Map<Prefix4, u32>("routes", MapType::lpm_trie, 10, map_no_prealloc));
    const auto put = [&](u32 length, u32 address, u32 value) {
        CHECK(map->update(Prefix4{length, be32(address)}, value) == 0);
    };
    const auto at = [&](u32 address, u32 length = 32) {
        return map->lookup<Prefix4, u32>(Prefix4{length, be32(address)});
    };
    CHECK_FALSE(at(0x0a000001));
    put(8, 0x0a000000, 8);   // 10.0.0.0/8
    put(9, 0x0a800000, 9);   // 10.128.0.0/9
    put(31, 0x0a800002, 31); // 10.128.0.2/31
    put(32, 0x0a800003, 32); // 10.128.0.3
    struct Row {
        u32 address = 0;
        std::optional<u32> value = {};
    };
    for (const auto& [address, value] :
         {Row{0x0a000001, 8}, Row{0x0a7fffff, 8}, Row{0x0a800000, 9}, Row{0x0affffff, 9}, Row{0x0a800002, 31},
          Row{0x0a800003, 32}, Row{0x0a800001, 9}, Row{0x0b000000, {}}, Row{0x00000000, {}}}) {
        INFO(std::hex << address);
        CHECK(at(address) == value);
    }
    put(0, 0xffffffff, 1000); // everything else, whatever the bits behind the prefix are
    CHECK(at(0x0b000000) == 1000);
    CHECK(at(0x0a800003, 31) == 31); // a shorter key finds no longer prefix
    CHECK(at(0x0a800003, 8) == 8);
    CHECK(at(0x0a800003, 7) == 1000);
    CHECK_FALSE(map->lookup<Prefix4, u32>(Prefix4{33, be32(0x0a800003)}));
}

TEST_CASE("a trie's entries are its prefixes; errors are the kernel's", "[interpreter][maps]")
{
    const auto map = make(Map<Prefix4, u32>("routes", MapType::lpm_trie, 2, map_no_prealloc));
    CHECK(map->update(Prefix4{8, be32(0x0a000000)}, 1u, exist) == -ENOENT);
    CHECK(map->update(Prefix4{8, be32(0x0a000000)}, 1u) == 0);
    CHECK(map->update(Prefix4{8, be32(0x0a112233)}, 2u, no_exist) == -EEXIST); // the same 8 bits
    CHECK(map->update(Prefix4{8, be32(0x0a112233)}, 3u) == 0);
    CHECK(map->update(Prefix4{9, be32(0x0a000000)}, 4u) == 0);
    CHECK(map->update(Prefix4{10, be32(0x0a000000)}, 5u) == -ENOSPC);
    CHECK(map->update(Prefix4{10, be32(0x0a000000)}, 5u, exist) == -ENOENT);
    CHECK(map->update(Prefix4{9, be32(0x0a000000)}, 6u) == 0); // a full trie takes new values
    CHECK(map->update(Prefix4{33, be32(0x0a000000)}, 7u) == -EINVAL);
    CHECK(map->remove(Prefix4{33, be32(0x0a000000)}) == -EINVAL);
    CHECK(map->remove(Prefix4{10, be32(0x0a000000)}) == -ENOENT);
    const auto entries = map->entries<Prefix4, u32>();
    REQUIRE(entries.size() == 2);
    CHECK(std::ranges::count(entries, std::pair{Prefix4{8, be32(0x0a112233)}, u32{3}}) == 1);
    CHECK(std::ranges::count(entries, std::pair{Prefix4{9, be32(0x0a000000)}, u32{6}}) == 1);
    CHECK(map->remove(Prefix4{8, be32(0x0aff0000)}) == 0);
    CHECK_FALSE(map->lookup<Prefix4, u32>(Prefix4{32, be32(0x0aff0000)}));
    CHECK(map->lookup<Prefix4, u32>(Prefix4{32, be32(0x0a000001)}) == 6);
    CHECK(map->update(Prefix4{10, be32(0x0a000000)}, 5u) == 0);
}

TEST_CASE("a ring buffer gives records in the order they were reserved, up to one that is open",
          "[interpreter][maps]")
{
    const auto map = make({.name = "ring", .type = MapType::ringbuf, .max_entries = 64});
    RingMemory& ring = *map->ring();
    const auto record = [&](u8 first) {
        const auto id = ring.reserve(4);
        REQUIRE(id);
        ring.record(*id)[0] = first;
        return *id;
    };
    const u32 one = record(1), two = record(2), three = record(3);
    CHECK(ring.query(0) == 3 * 16); // 8 bytes of header, 4 of data, rounded up to 8
    CHECK(ring.query(1) == 64);
    CHECK(ring.query(2) == 0);
    CHECK(ring.query(3) == 3 * 16);
    CHECK(ring.query(4) == 0);
    ring.submit(two);
    ring.discard(three);
    CHECK(ring.take().empty()); // the first is open
    CHECK(ring.is_reserved(one));
    ring.submit(one);
    CHECK_FALSE(ring.is_reserved(one));
    const auto taken = ring.take();
    REQUIRE(taken.size() == 2);
    CHECK(taken[0] == std::vector<u8>{1, 0, 0, 0});
    CHECK(taken[1] == std::vector<u8>{2, 0, 0, 0});
    CHECK(ring.query(0) == 0);
    CHECK(ring.query(2) == 3 * 16);
    map->forget_dropped();
    const std::vector<u8> data{7, 8};
    CHECK(ring.output(data) == 0);
    CHECK(ring.take() == std::vector<std::vector<u8>>{data});
}

TEST_CASE("a ring buffer is never filled to the last byte", "[interpreter][maps]")
{
    const auto map = make({.name = "ring", .type = MapType::ringbuf, .max_entries = 64});
    RingMemory& ring = *map->ring();
    CHECK_FALSE(ring.reserve(57)); // larger than the ring
    CHECK_FALSE(ring.reserve(56)); // all of it: the producer would meet the consumer
    const std::vector<u8> data(8);
    for (int i = 0; i < 3; ++i) CHECK(ring.output(data) == 0);
    CHECK(ring.output(data) == -EAGAIN);
    CHECK(ring.take().size() == 3);
    CHECK(ring.output(data) == 0);
    CHECK(map->remove_raw({}) == -524);
    CHECK(map->update_raw({}, {}, 0, 0) == -524);
}

TEST_CASE("a map is refused that the kernel would not make, or that is not interpreted",
          "[interpreter][maps]")
{
    struct Row {
        MapSpec spec = {};
        const char* message = "";
    };
    const Row rows[] = {
        {Map<u32, u64>("m", MapType::hash, 0), "map 'm': needs entries and a value size"},
        {Map<u64, u64>("m", MapType::array, 1), "map 'm': an array has keys of 4 bytes, not of 8"},
        {Map<u32, u64>("m", MapType::lpm_trie, 1, map_no_prealloc),
         "map 'm': a trie has keys of 5 to 260 bytes, not of 4"},
        {Map<u64, u64>("m", MapType::lpm_trie, 1), "map 'm': a trie is not preallocated"},
        {Map<u32, u64>("m", MapType::hash, 1, 1u << 7), "map 'm': flags 128 are not interpreted"},
        {Map<u32, u64>("m", MapType::devmap_hash, 1), "map 'm': type 25 is not interpreted"},
        {{.name = "m", .type = MapType::hash, .value_size = 4, .max_entries = 1},
         "map 'm': needs a key size"},
        {{.name = "m", .type = MapType::ringbuf, .max_entries = 100},
         "map 'm': a ring buffer has no keys or values, and a size that is a power of two"},
    };
    for (const auto& [spec, message] : rows) CHECK(refusal(spec) == message);
}
