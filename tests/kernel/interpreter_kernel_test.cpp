// The interpreter against the kernel: programs at random, run by both on the same packets and maps, must
// agree in result, packet and memory. A failure prints its seed; LB_TEST_SEED=N runs that one again.
// LB_TEST_SECONDS=N goes on for so long.
#include <catch2/catch.hpp>

#include <sched.h>

#include <chrono>
#include <cstdlib>
#include <cstring>

#include "kernel/map_batch.hpp"
#include "kernel/program.hpp"
#include "kernel/ring_buffer.hpp"
#include "lb/asm/disasm.hpp"
#include "lb/asm/interpreter.hpp"
#include "need.hpp"
#include "random_maps.hpp"
#include "random_program.hpp"

using namespace lb;
using namespace lb::test;

namespace {

const bool ready = [] {
    need_bpf();
    need_kernel(6, 15, "every instruction");
    if (const auto cpus = kernel::possible_cpus(); !cpus || *cpus > bpf::Machine::cpus_max)
        skip("needs no more possible CPUs than the interpreter has");
    return true;
}();

/// Calls `play` with one seed after the other for the share of the time that this test has.
void play_seeds(const char* tag, double seconds, const std::function<void(u64)>& play)
{
    REQUIRE(ready);
    const char* given = std::getenv("LB_TEST_SEED");
    const u64 first = given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    const char* longer = std::getenv("LB_TEST_SECONDS");
    if (longer) seconds = std::strtod(longer, nullptr);
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    u64 seed = first;
    for (; seed == first || (!given && std::chrono::steady_clock::now() < end); ++seed) {
        INFO("seed " << seed << ": LB_TEST_SEED=" << seed << " interpreter_kernel_test '" << tag << "'");
        play(seed);
    }
    std::printf("%s: %llu programs from seed %llu\n", tag, static_cast<unsigned long long>(seed - first),
                static_cast<unsigned long long>(first));
}

template <class T> T must(Result<T> result)
{
    if (!result) FAIL(result.error().message);
    return std::move(*result);
}
void must(const Result<void>& result)
{
    if (!result) FAIL(result.error().message);
}

kernel::Program load(const bpf::Program& program, const kernel::Resolver& resolver)
{
    auto loaded = kernel::Program::load(program, resolver, {.btf = false});
    if (!loaded) FAIL(loaded.error().error.message << '\n' << bpf::disassemble(program));
    return std::move(*loaded);
}

bpf::LoadedProgram load(bpf::Machine& machine, const bpf::Program& program)
{
    auto loaded = machine.load(program);
    if (!loaded) FAIL(to_string(loaded.error()));
    return std::move(*loaded);
}

bpf::Outcome run(bpf::Machine& machine, const bpf::LoadedProgram& program, bpf::Input input)
{
    auto outcome = machine.run(program, std::move(input));
    if (!outcome) FAIL(to_string(outcome.error()) << '\n' << bpf::disassemble(program.program()));
    return std::move(*outcome);
}

std::vector<u8> random_bytes(Source& random, std::size_t size)
{
    std::vector<u8> bytes(size);
    for (std::size_t i = 0; i + 8 <= size; i += 8) {
        const u64 number = random.number();
        std::memcpy(&bytes[i], &number, 8);
    }
    return bytes;
}

using Words = std::array<u64, words_bytes / 8>;

} // namespace

TEST_CASE("instructions at random compute what the kernel computes", "[kernel][interpreter][instructions]")
{
    const auto words = must(kernel::Map::create(words_map()));
    bpf::Machine machine;
    play_seeds("[instructions]", 2, [&](u64 seed) {
        Source random(seed);
        const bpf::Program program = random_program(random, 10 + random.below(50));
        const auto in_kernel = load(program, {.maps = {{"words", words.fd()}}});
        const auto here = load(machine, program);
        for (int i = 0; i < 4; ++i) {
            const auto frame = random_bytes(random, random_packet_bytes);
            Words before{};
            for (u64& word : before) word = random.number();
            must(words.update(u32{0}, before));
            CHECK(machine.map("words").update(u32{0}, before) == 0);
            const auto theirs = must(in_kernel.run(frame));
            const auto ours = run(machine, here, bpf::XdpInput{.frame = frame});
            const bool same = theirs.retval == static_cast<u32>(ours.result) && theirs.out == ours.frame &&
                              must(words.lookup<u32, Words>(0)) == machine.map("words").lookup<u32, Words>(0);
            if (same) continue;
            INFO("packet " << i << '\n' << bpf::disassemble(program));
            CHECK(static_cast<u32>(ours.result) == theirs.retval);
            CHECK(ours.frame == theirs.out);
            CHECK(machine.map("words").lookup<u32, Words>(0) == must(words.lookup<u32, Words>(0)));
            FAIL("the interpreter and the kernel differ");
        }
    });
}

namespace {

/// The maps of random_maps(), in the kernel and in a machine.
struct MapsOfBoth {
    MapsOfBoth() : machine(must(kernel::possible_cpus()))
    {
        for (const auto& spec : random_maps()) {
            kernel.emplace(spec.name, must(kernel::Map::create(spec)));
            resolver.maps[spec.name] = kernel.at(spec.name).fd();
        }
        ring = must(kernel::RingBuffer::open(kernel.at("ring")));
    }

    std::map<std::string, kernel::Map> kernel = {};
    kernel::Resolver resolver = {};
    kernel::RingBuffer ring = {};
    bpf::Machine machine;
};

template <class K> using Contents = std::map<K, std::vector<u64>>; ///< per key, the value of each CPU

template <class K> Contents<K> contents(const kernel::Map& map)
{
    Contents<K> all;
    K key{}, next{};
    for (bool more = must(map.next_key_raw(nullptr, &next)); more;
         more = must(map.next_key_raw(&key, &next))) {
        key = next;
        all[key] = map.per_cpu() ? must(map.lookup_percpu<K, u64>(key))
                                 : std::vector{must(map.lookup<K, u64>(key)).value()};
    }
    return all;
}

template <class K> Contents<K> contents(bpf::MapMemory& map)
{
    Contents<K> all;
    for (u32 cpu = 0; cpu < (map.per_cpu() ? map.cpus() : 1); ++cpu)
        for (const auto& [key, value] : map.entries<K, u64>(cpu)) all[key].push_back(value);
    return all;
}

void compare_maps(MapsOfBoth& maps)
{
    for (const auto& spec : random_maps()) {
        INFO("map " << spec.name);
        if (spec.type == bpf::MapType::ringbuf) continue;
        const kernel::Map& theirs = maps.kernel.at(spec.name);
        bpf::MapMemory& ours = maps.machine.map(spec.name);
        if (spec.type == bpf::MapType::lpm_trie)
            CHECK((contents<RouteKey>(ours) == contents<RouteKey>(theirs)));
        else
            CHECK((contents<u32>(ours) == contents<u32>(theirs)));
    }
}

/// Length and first 8 bytes of each record: what the programs write of it.
using Records = std::vector<std::pair<std::size_t, std::vector<u8>>>;
void add(Records& records, std::span<const u8> record)
{
    records.emplace_back(
        record.size(),
        std::vector<u8>(record.begin(), record.begin() + std::min<long>(8, std::ssize(record))));
}

void compare_rings(MapsOfBoth& maps)
{
    Records theirs, ours;
    maps.ring.consume([&](std::span<const u8> record) { add(theirs, record); });
    for (const auto& record : maps.machine.ring("ring").take()) add(ours, record);
    CHECK((ours == theirs));
}

void stay_on_cpu(u32 cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    REQUIRE(::sched_setaffinity(0, sizeof set, &set) == 0);
}

} // namespace

TEST_CASE("maps and ring buffers answer and hold what the kernel's do", "[kernel][interpreter][maps]")
{
    stay_on_cpu(0); // the environment's CPU, unless told otherwise
    play_seeds("[maps]", 1.5, [&](u64 seed) {
        Source random(seed);
        MapsOfBoth maps;
        for (int i = 0; i < 20; ++i) {
            const bpf::Program program = random_map_program(random, 1 + random.below(12));
            INFO("program " << i << '\n' << bpf::disassemble(program));
            const auto in_kernel = load(program, maps.resolver);
            const auto here = load(maps.machine, program);
            const auto frame = random_bytes(random, 64);
            const auto theirs = must(in_kernel.run(frame));
            const auto ours = run(maps.machine, here, bpf::XdpInput{.frame = frame});
            REQUIRE(static_cast<u32>(ours.result) == theirs.retval);
            REQUIRE(ours.frame == theirs.out);
            compare_maps(maps);
            if (random.one_in(3)) compare_rings(maps);
        }
    });
}

TEST_CASE("skb helpers change packets as the kernel's do", "[kernel][interpreter][skb]")
{
    const auto words = must(kernel::Map::create(words_map()));
    bpf::Machine machine;
    play_seeds("[skb]", 0.5, [&](u64 seed) {
        Source random(seed);
        const bpf::Program program = random_skb_program(random, 1 + random.below(8));
        INFO(bpf::disassemble(program));
        const auto in_kernel = load(program, {.maps = {{"words", words.fd()}}});
        const auto here = load(machine, program);
        for (int i = 0; i < 4; ++i) {
            auto frame = random_bytes(random, 128);
            std::memset(&frame[12], 0, 2); // an EtherType that nobody looks into
            const auto theirs = must(in_kernel.run(frame));
            const auto ours = run(machine, here, bpf::SkbInput{.frame = frame});
            REQUIRE(static_cast<u32>(ours.result) == theirs.retval);
            REQUIRE(ours.frame == theirs.out);
            REQUIRE(machine.map("words").lookup<u32, Words>(0).value()[0] ==
                    must(words.lookup<u32, Words>(0)).value()[0]);
        }
    });
}
