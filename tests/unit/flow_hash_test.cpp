// The hash that chooses a connection's slot: the same in every version, and well spread.
#include "model/flow_hash.hpp"

#include <vector>

#include <catch2/catch.hpp>

using namespace lb;
using namespace lb::model;

namespace {

constexpr u32 client = 0x0a000001, vip = 0xc0000201; // 10.0.0.1, 192.0.2.1

constexpr FlowKey4 tuple(u32 saddr, u32 daddr, u32 sport, u32 dport, u8 protocol = 6)
{
    return {be32(saddr), be32(daddr), be16(static_cast<u16>(sport)), be16(static_cast<u16>(dport)), protocol};
}

// Pearson's chi-square of the slots of 65536 tuples, over 64 equal parts of the table. For chance its mean is
// 63 and its deviation 11.2.
template <class Hash> double chi_square_of(u32 slots, const Hash& hash_of)
{
    constexpr u32 parts = 64, tuples = 65536;
    std::vector<u32> count(parts);
    for (u32 i = 0; i < tuples; ++i) ++count.at(u64{slot_of(hash_of(i), slots)} * parts / slots);
    double sum = 0;
    for (const u32 each : count) {
        const double difference = each - double(tuples) / parts;
        sum += difference * difference / (double(tuples) / parts);
    }
    return sum;
}

template <class Tuple> double chi_square(u32 slots, const Tuple& tuple_of)
{
    return chi_square_of(slots, [&](u32 i) { return flow_hash(tuple_of(i)); });
}

constexpr double chance = 63 + 6 * 11.2; // six deviations: a hash that spreads does not come here

} // namespace

// Made by another program, from the description alone: two balancers, or two versions of one, must pick the
// same target for a connection.
TEST_CASE("the hash of a tuple is the same in every version", "[flow]")
{
    CHECK(flow_hash(FlowKey4{}) == 0);
    CHECK(flow_hash(tuple(client, vip, 40000, 80)) == 0x8d79f345);
    CHECK(flow_hash(tuple(client, vip, 40000, 80, 17)) == 0x92975b19);
    CHECK(flow_hash(tuple(client, vip, 40001, 80)) == 0xacd00ab5);
    CHECK(flow_hash(tuple(client + 1, vip, 40000, 80)) == 0x06f43762);
    CHECK(flow_hash(tuple(client, vip + 1, 40000, 80)) == 0xcc6bd005);
    CHECK(flow_hash(tuple(client, vip, 40000, 81)) == 0x65831441);
    CHECK(flow_hash(tuple(~0u, ~0u, 65535, 65535, 255)) == 0xf7b2eb97);
}

TEST_CASE("a hash falls in the slot at its share of the table", "[flow]")
{
    struct Row {
        u32 hash, slots, slot;
    };
    const Row rows[] = {{0, 8191, 0},
                        {~0u, 8191, 8190},
                        {0x80000000, 8191, 4095},
                        {~0u, 1, 0},
                        {~0u, 65537, 65536},
                        {0x7fffffff, 2, 0},
                        {0x80000000, 2, 1},
                        {0xffffffff, 0x80000000, 0x7fffffff},
                        {0x55555556, 3, 1},
                        {0x55555555, 3, 0}};
    for (const Row& row : rows) CHECK(slot_of(row.hash, row.slots) == row.slot);
}

TEST_CASE("tuples that differ in one part only are spread as by chance", "[flow]")
{
    for (const u32 slots : {8191u, 65537u}) {
        CHECK(chi_square(slots, [](u32 i) { return tuple(client, vip, i, 80); }) < chance);
        CHECK(chi_square(slots, [](u32 i) { return tuple(client, vip, 40000, i); }) < chance);
        CHECK(chi_square(slots, [](u32 i) { return tuple(client + i, vip, 40000, 80); }) < chance);
        CHECK(chi_square(slots, [](u32 i) { return tuple(client + (i << 8), vip, 40000, 80); }) < chance);
        CHECK(chi_square(slots, [](u32 i) { return tuple(client, vip + i, 40000, 80); }) < chance);
        // A few clients, whose ports go up together.
        CHECK(chi_square(slots, [](u32 i) { return tuple(client + i % 16, vip, 32768 + i / 16, 443); }) <
              chance);
    }
}

TEST_CASE("the hash of a client's address is the same in every version, and spreads", "[flow]")
{
    CHECK(source_hash(be32(0)) == 0);
    CHECK(source_hash(be32(client)) == 0x36a478fd);
    CHECK(source_hash(be32(client + 1)) == 0xc5551d58);
    CHECK(source_hash(be32(~0u)) == 0xdadaebb6);
    const auto address6 = [](u64 high, u64 low) { return Address6{be64(high), be64(low)}; };
    CHECK(source_hash(address6(0, 0)) == 0);
    CHECK(source_hash(address6(0x20010db800000000, 1)) == 0xbb631a60);
    CHECK(source_hash(address6(0x20010db800000000, 2)) == 0xe67fcac6);
    CHECK(source_hash(address6(0x20010db800010000, 1)) == 0x710adcec);
    for (const u32 slots : {8191u, 65537u}) {
        CHECK(chi_square_of(slots, [](u32 i) { return source_hash(be32(client + i)); }) < chance);
        CHECK(chi_square_of(slots, [](u32 i) { return source_hash(be32(client + (i << 8))); }) < chance);
        CHECK(chi_square_of(slots, [&](u32 i) { return source_hash(address6(0x20010db8, i)); }) < chance);
        CHECK(chi_square_of(slots, [&](u32 i) { return source_hash(address6(u64{i} << 16, 7)); }) < chance);
    }
}
