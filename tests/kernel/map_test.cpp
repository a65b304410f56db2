// Maps: made, read, written, found again, shared as memory.
#include "kernel/bpffs.hpp"
#include "kernel/map.hpp"
#include "kernel/map_batch.hpp"
#include "kernel/map_mmap.hpp"
#include "kernel_fixture.hpp"

#include <cerrno>
#include <sys/wait.h>
#include <unistd.h>

using namespace lb;
using namespace lb::kernel;
using lb::bpf::MapSpec;
using lb::bpf::MapType;
using lb::test::contains;
using lb::test::must;

namespace {

MapSpec hash(const std::string& name, u32 entries, MapType type = MapType::hash)
{
    return {.name = name, .type = type, .key_size = 4, .value_size = 8, .max_entries = entries};
}

struct Pair {
    u32 first = 0;
    be32 second{};
};

} // namespace

template <>
inline constexpr auto lb::bpf::fields<Pair> = lb::bpf::describe<Pair>("pair", member("first", &Pair::first),
                                                                      member("second", &Pair::second));

TEST_CASE("a hash map gives back what was put in, and says what is not there")
{
    auto map = must(Map::create(hash("plain", 4)));
    must(map.update(u32{7}, u64{70}));
    CHECK(must(map.lookup<u32, u64>(7)) == 70);
    CHECK_FALSE(must(map.lookup<u32, u64>(8)).has_value());
    CHECK(must(map.remove(u32{7})));
    CHECK_FALSE(must(map.remove(u32{7})));
    CHECK_FALSE(must(map.lookup<u32, u64>(7)).has_value());
    must(map.update(u32{9}, u64{90}));
    CHECK(must(map.take<u32, u64>(9)) == 90);
    CHECK_FALSE(must(map.take<u32, u64>(9)).has_value());
}

TEST_CASE("an update says that the key exists, does not, or that the map is full")
{
    auto map = must(Map::create(hash("small", 1)));
    must(map.update(u32{1}, u64{1}, Update::only_new));
    auto exists = map.update(u32{1}, u64{2}, Update::only_new);
    REQUIRE_FALSE(exists);
    CHECK(exists.error().sys_errno == EEXIST);
    auto absent = map.update(u32{2}, u64{2}, Update::only_existing);
    REQUIRE_FALSE(absent);
    CHECK(absent.error().sys_errno == ENOENT);
    auto full = map.update(u32{2}, u64{2});
    REQUIRE_FALSE(full);
    CHECK(full.error().sys_errno == E2BIG);
    CHECK(full.error().message ==
          "updating map 'small': Argument list too long (E2BIG): its 1 entries are taken");
}

TEST_CASE("a key or value of another size than the map's is refused before the kernel reads past it")
{
    auto map = must(Map::create(hash("sizes", 4)));
    auto wrong = map.update(u64{1}, u64{1});
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().message == "map 'sizes' has keys of 4 and values of 8 bytes, not of 8 and 8");
    CHECK_FALSE(map.lookup<u32, u32>(1).has_value());
    CHECK_FALSE(map.remove(u16{1}).has_value());
    CHECK_FALSE(map.lookup_percpu<u32, u32>(1).has_value());
}

TEST_CASE("a map that the kernel refuses is an error that names it")
{
    auto none = Map::create(hash("empty", 0));
    REQUIRE_FALSE(none);
    CHECK(none.error().sys_errno == EINVAL);
    CHECK(none.error().message == "creating map 'empty': Invalid argument (EINVAL)");
    auto long_name = Map::create(hash("a_name_of_16_byt", 1));
    REQUIRE_FALSE(long_name);
    CHECK(contains(long_name.error().message, "a name has at most 15 bytes"));
}

TEST_CASE("without the right to bpf(2) the host is not ready")
{
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        if (::setuid(65534) != 0) ::_exit(2);
        auto map = Map::create(hash("denied", 1));
        ::_exit(!map && map.error().sys_errno == EPERM && map.error().kind == ErrorKind::host_not_ready &&
                        contains(map.error().message, "run as root, or with CAP_BPF")
                    ? 0
                    : 1);
    }
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
}

TEST_CASE("a per-CPU value has one part for every possible CPU")
{
    auto map = must(Map::create(
        {.name = "percpu", .type = MapType::percpu_array, .key_size = 4, .value_size = 4, .max_entries = 2}));
    const u32 cpus = must(possible_cpus());
    REQUIRE(map.value_bytes() == cpus * 8);
    std::vector<u32> written(cpus);
    for (u32 cpu = 0; cpu < cpus; ++cpu) written[cpu] = 100 + cpu;
    must(map.update_percpu<u32, u32>(1, written));
    CHECK(must(map.lookup_percpu<u32, u32>(1)) == written);
    CHECK(must(map.lookup_percpu<u32, u32>(0)) == std::vector<u32>(cpus, 0));
    CHECK(must(map.lookup_percpu<u32, u32>(2)).empty());
    std::vector<u32> too_many(cpus + 1);
    CHECK_FALSE((map.update_percpu<u32, u32>(1, too_many)).has_value());
}

TEST_CASE("described keys and values are known to the kernel by name")
{
    auto map = must(Map::create(bpf::Map<u32, Pair>("described", MapType::hash, 4)));
    CHECK(map.info().btf_id != 0);
    must(map.update(u32{5}, Pair{6, be32(7)}));
    const std::string dump = test::run("bpftool map dump id " + std::to_string(map.info().id));
    CHECK(contains(dump, "\"first\": 6"));
    auto plain = must(Map::create(hash("bare", 4)));
    CHECK(plain.info().btf_id == 0);
}

TEST_CASE("a map of maps takes maps of its inner kind only")
{
    auto inner = hash("inner", 16);
    MapSpec outer{
        .name = "outer", .type = MapType::array_of_maps, .key_size = 4, .value_size = 4, .max_entries = 2};
    auto map = must(Map::create(outer, inner));
    auto first = must(Map::create(inner));
    must(map.update_inner(u32{0}, first));
    // What is read is the inner map's id, not an fd.
    CHECK(must(map.lookup<u32, u32>(0)) == first.info().id);
    auto again = must(Map::open_id(first.info().id));
    must(again.update(u32{1}, u64{11}));
    CHECK(must(first.lookup<u32, u64>(1)) == 11);
    auto other = must(Map::create(
        {.name = "other", .type = MapType::hash, .key_size = 8, .value_size = 8, .max_entries = 16}));
    auto refused = map.update_inner(u32{1}, other);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().sys_errno == EINVAL);
}

TEST_CASE("a pinned map is found again with its entries, if it is what was asked for")
{
    auto folder = must(PinFolder::create("maps", test::private_bpffs()));
    const auto spec = hash("pinned", 32);
    {
        auto map = must(Map::create(spec));
        must(map.update(u32{1}, u64{2}));
        must(map.pin(folder.path_of("pinned")));
        auto twice = map.pin(folder.path_of("pinned"));
        REQUIRE_FALSE(twice);
        CHECK(twice.error().sys_errno == EEXIST);
    }
    auto found = must(Map::open_pinned(folder.path_of("pinned"), spec));
    CHECK(must(found.lookup<u32, u64>(1)) == 2);

    MapSpec other{.name = "pinned",
                  .type = MapType::lru_hash,
                  .key_size = 8,
                  .value_size = 16,
                  .max_entries = 64,
                  .flags = 2};
    auto differs = Map::open_pinned(folder.path_of("pinned"), other);
    REQUIRE_FALSE(differs);
    CHECK(contains(
        differs.error().message,
        "map 'pinned' is not the map 'pinned' of this version: Invalid argument (EINVAL): type 1 instead of "
        "9, key size 4 instead of 8, value size 8 instead of 16, entries 32 instead of 64, flags 0 instead "
        "of 2"));
    auto missing = Map::open_pinned(folder.path_of("nothing"));
    REQUIRE_FALSE(missing);
    CHECK(missing.error().sys_errno == ENOENT);
    auto program = test::load(test::returning("not_a_map", bpf::ProgramType::xdp, bpf::AttachType::xdp, 2));
    must(program.pin(folder.path_of("program")));
    auto no_map = Map::open_pinned(folder.path_of("program"));
    REQUIRE_FALSE(no_map);
    CHECK(contains(no_map.error().message, "it is not a map"));
    must(folder.remove_all());
}

TEST_CASE("a map that the kernel rounds or marks by itself still matches its description")
{
    MapSpec devices{
        .name = "devices", .type = MapType::devmap_hash, .key_size = 4, .value_size = 8, .max_entries = 4};
    must(must(Map::create(devices)).matches(devices));
    constexpr u32 no_common_lru = 1u << 1;
    MapSpec lru{.name = "lru",
                .type = MapType::lru_hash,
                .key_size = 4,
                .value_size = 8,
                .max_entries = 1001,
                .flags = no_common_lru};
    must(must(Map::create(lru)).matches(lru));
}

TEST_CASE("a mapped array and the map are the same memory")
{
    MapSpec spec{.name = "mapped",
                 .type = MapType::array,
                 .key_size = 4,
                 .value_size = 8,
                 .max_entries = 1000,
                 .flags = bpf::map_mmapable};
    auto map = must(Map::create(spec));
    auto array = must(MappedArray::open(map));
    auto values = array.as<u64>();
    REQUIRE(values.size() == 1000);
    CHECK(array.bytes().size() == 8000);
    values[999] = 5;
    CHECK(must(map.lookup<u32, u64>(999)) == 5);
    must(map.update(u32{998}, u64{6}));
    CHECK(values[998] == 6);
    CHECK(array.as<Pair>().size() == 1000); // 8 bytes too
    struct Wide {
        u64 a, b;
    };
    CHECK(array.as<Wide>().empty());
    MappedArray moved = std::move(array);
    CHECK(moved.as<u64>()[999] == 5);
    CHECK(array.size() == 0);

    auto plain = must(Map::create(hash("unmapped", 4)));
    CHECK_FALSE(MappedArray::open(plain).has_value());
}
