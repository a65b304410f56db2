// Records from a program to this process, through shared memory.
#include "kernel/ring_buffer.hpp"
#include "kernel_fixture.hpp"

#include <array>
#include <poll.h>

using namespace lb;
using namespace lb::kernel;
using namespace lb::bpf; // the programs read as listings
using lb::test::must;

namespace {

constexpr i64 helper_ringbuf_output = 130;
constexpr i64 helper_ringbuf_reserve = 131;
constexpr i64 helper_ringbuf_submit = 132;
constexpr i64 helper_ringbuf_discard = 133;

kernel::Map ring_map(u32 bytes)
{
    return must(kernel::Map::create({.name = "events", .type = MapType::ringbuf, .max_entries = bytes}));
}

/// Writes the first eight bytes of the frame, then `size` bytes in all; returns what the helper said,
/// negated.
kernel::Program writing(const kernel::Map& map, i64 size)
{
    auto program = test::assemble("writer", ProgramType::xdp, AttachType::xdp,
                                  {load(Width::w32, r2, r1, 0), load(Width::w32, r3, r1, 4), mov64(r4, r2),
                                   alu64(Alu::add, r4, 14), mov64(r0, 0), jump(Jmp::gt, r4, r3, 11),
                                   load(Width::w64, r5, r2, 0), store(Width::w64, fp, -16, r5),
                                   store(Width::w64, fp, -8, i64{0x55}), ld_imm64(r1, 0, Pseudo::map_fd),
                                   mov64(r2, fp), alu64(Alu::add, r2, -16), mov64(r3, size), mov64(r4, 0),
                                   call_helper(helper_ringbuf_output), neg64(r0), bpf::exit()});
    program.relocs = {{.slot = 9, .symbol = "events"}};
    return test::load(program, {.maps = {{"events", map.fd()}}});
}

std::array<u8, 14> frame(u64 number)
{
    std::array<u8, 14> bytes{};
    __builtin_memcpy(bytes.data(), &number, 8);
    return bytes;
}

} // namespace

TEST_CASE("records arrive whole, in order, and wake the poller")
{
    auto map = ring_map(4096);
    auto ring = must(RingBuffer::open(map));
    auto writer = writing(map, 13);
    pollfd waiting{.fd = ring.fd(), .events = POLLIN};
    CHECK(::poll(&waiting, 1, 0) == 0);
    u64 next = 0;
    // Many times around the buffer, so that records lie across its end.
    for (u64 number = 0; number < 5000; ++number) {
        CHECK(must(writer.run(frame(number))).retval == 0);
        if (number % 50 != 49) continue;
        REQUIRE(::poll(&waiting, 1, 1000) == 1);
        const u32 got = ring.consume([&](std::span<const u8> record) {
            REQUIRE(record.size() == 13);
            u64 value = 0;
            __builtin_memcpy(&value, record.data(), 8);
            REQUIRE(value == next);
            REQUIRE(record[8] == 0x55);
            ++next;
        });
        REQUIRE(got == 50);
    }
    CHECK(next == 5000);
    CHECK(::poll(&waiting, 1, 0) == 0);
    CHECK(ring.consume([](std::span<const u8>) { FAIL("there is no record"); }) == 0);
}

TEST_CASE("a full ring refuses the record, and takes more once it was read")
{
    auto map = ring_map(4096);
    auto ring = must(RingBuffer::open(map));
    auto writer = writing(map, 16);
    u32 taken = 0;
    while (must(writer.run(frame(taken))).retval == 0) ++taken;
    CHECK(taken == 170); // 24 bytes each, of 4096
    CHECK(ring.consume([](std::span<const u8>) {}, 10) == 10);
    CHECK(must(writer.run(frame(0))).retval == 0);
    CHECK(ring.consume([](std::span<const u8>) {}) == 161);
}

TEST_CASE("a discarded record is passed over")
{
    auto map = ring_map(4096);
    auto ring = must(RingBuffer::open(map));
    auto reserve = [](i64 finish) {
        return std::vector<Insn>{ld_imm64(r1, 0, Pseudo::map_fd),
                                 mov64(r2, 8),
                                 mov64(r3, 0),
                                 call_helper(helper_ringbuf_reserve),
                                 jump(Jmp::eq, r0, 0, 4),
                                 store(Width::w64, r0, 0, i64{7}),
                                 mov64(r1, r0),
                                 mov64(r2, 0),
                                 call_helper(finish),
                                 mov64(r0, 0),
                                 bpf::exit()};
    };
    for (i64 finish : {helper_ringbuf_discard, helper_ringbuf_submit}) {
        auto program = test::assemble("finisher", ProgramType::xdp, AttachType::xdp, reserve(finish));
        program.relocs = {{.slot = 0, .symbol = "events"}};
        must(test::load(program, {.maps = {{"events", map.fd()}}}).run(frame(0)));
    }
    u32 records = 0;
    CHECK(ring.consume([&](std::span<const u8> record) {
        ++records;
        CHECK(record.size() == 8);
        CHECK(record[0] == 7);
    }) == 1);
    CHECK(records == 1);
}

TEST_CASE("a ring buffer outlives the map object that it was opened from, and may be moved")
{
    RingBuffer ring;
    kernel::Program writer;
    {
        auto map = ring_map(4096);
        ring = must(RingBuffer::open(map));
        writer = writing(map, 8);
    }
    must(writer.run(frame(1)));
    CHECK(ring.consume([](std::span<const u8>) {}) == 1);
}

TEST_CASE("only a ring buffer can be read as one")
{
    auto map = must(kernel::Map::create(
        {.name = "array", .type = MapType::array, .key_size = 4, .value_size = 4, .max_entries = 1}));
    CHECK_FALSE(RingBuffer::open(map).has_value());
}
