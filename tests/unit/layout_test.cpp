// The layouts of map keys and values, as numbers: pinned maps of an earlier version are adopted by them, so a
// change here needs another flow_layout_version.
#include "model/layout.hpp"

#include <cstring>
#include <type_traits>

#include <catch2/catch.hpp>

using namespace lb;
using namespace lb::model;

namespace {

struct Member {
    const char* name;
    std::size_t offset, size;
    std::size_t expected_offset, expected_size;
};

template <std::size_t N> void check_members(const Member (&members)[N], std::size_t size)
{
    std::size_t end = 0;
    for (const Member& member : members) {
        INFO(member.name);
        CHECK(member.offset == member.expected_offset);
        CHECK(member.size == member.expected_size);
        CHECK(member.offset == end); // no hole: hash maps compare every byte
        end = member.offset + member.size;
    }
    CHECK(end == size);
}

#define MEMBER(type, name, offset, size)                                                                     \
    Member { #name, offsetof(type, name), sizeof(type::name), offset, size }

} // namespace

TEST_CASE("the layouts are those of version 1", "[layout]")
{
    CHECK(flow_layout_version == 2);
    CHECK(sizeof(FlowKey4) == 16);
    check_members({MEMBER(FlowKey4, saddr, 0, 4), MEMBER(FlowKey4, daddr, 4, 4),
                   MEMBER(FlowKey4, sport, 8, 2), MEMBER(FlowKey4, dport, 10, 2),
                   MEMBER(FlowKey4, protocol, 12, 1), MEMBER(FlowKey4, zero8, 13, 1),
                   MEMBER(FlowKey4, zero16, 14, 2)},
                  16);
    CHECK(sizeof(Flow4) == 64);
    check_members(
        {MEMBER(Flow4, saddr, 0, 4), MEMBER(Flow4, daddr, 4, 4), MEMBER(Flow4, sport, 8, 2),
         MEMBER(Flow4, dport, 10, 2), MEMBER(Flow4, address_delta, 12, 2), MEMBER(Flow4, l4_delta, 14, 2),
         MEMBER(Flow4, last_seen, 16, 8), MEMBER(Flow4, created, 24, 4), MEMBER(Flow4, carried, 28, 4),
         MEMBER(Flow4, packets, 32, 8), MEMBER(Flow4, bytes, 40, 8), MEMBER(Flow4, proxy, 48, 4),
         MEMBER(Flow4, target, 52, 4), MEMBER(Flow4, direction, 56, 1), MEMBER(Flow4, tcp_flags, 57, 1),
         MEMBER(Flow4, port_delta, 58, 2), MEMBER(Flow4, ended, 60, 4)},
        64);
    CHECK(sizeof(TargetRow) == 32);
    check_members({MEMBER(TargetRow, address6, 0, 16), MEMBER(TargetRow, address4, 16, 4),
                   MEMBER(TargetRow, port, 20, 2), MEMBER(TargetRow, replies, 22, 2),
                   MEMBER(TargetRow, proxy, 24, 4), MEMBER(TargetRow, carried, 28, 4)},
                  32);
    CHECK(sizeof(FlowKey6) == 40);
    check_members({MEMBER(FlowKey6, saddr, 0, 16), MEMBER(FlowKey6, daddr, 16, 16),
                   MEMBER(FlowKey6, sport, 32, 2), MEMBER(FlowKey6, dport, 34, 2),
                   MEMBER(FlowKey6, protocol, 36, 1), MEMBER(FlowKey6, zero8, 37, 1),
                   MEMBER(FlowKey6, zero16, 38, 2)},
                  40);
    CHECK(sizeof(Flow6) == 88);
    check_members(
        {MEMBER(Flow6, saddr, 0, 16), MEMBER(Flow6, daddr, 16, 16), MEMBER(Flow6, sport, 32, 2),
         MEMBER(Flow6, dport, 34, 2), MEMBER(Flow6, address_delta, 36, 2), MEMBER(Flow6, l4_delta, 38, 2),
         MEMBER(Flow6, last_seen, 40, 8), MEMBER(Flow6, created, 48, 4), MEMBER(Flow6, carried, 52, 4),
         MEMBER(Flow6, packets, 56, 8), MEMBER(Flow6, bytes, 64, 8), MEMBER(Flow6, proxy, 72, 4),
         MEMBER(Flow6, target, 76, 4), MEMBER(Flow6, direction, 80, 1), MEMBER(Flow6, tcp_flags, 81, 1),
         MEMBER(Flow6, port_delta, 82, 2), MEMBER(Flow6, ended, 84, 4)},
        88);
    CHECK(sizeof(RouteKey6) == 24);
    check_members({MEMBER(RouteKey6, prefix_length, 0, 4), MEMBER(RouteKey6, proxy, 4, 4),
                   MEMBER(RouteKey6, address, 8, 16)},
                  24);
    CHECK(sizeof(FlowOpened6) == 48);
    CHECK(sizeof(GroupRow) == 8);
    check_members({MEMBER(GroupRow, word, 0, 8)}, 8);
    CHECK(sizeof(RouteKey4) == 12);
    check_members({MEMBER(RouteKey4, prefix_length, 0, 4), MEMBER(RouteKey4, proxy, 4, 4),
                   MEMBER(RouteKey4, address, 8, 4)},
                  12);
    CHECK(sizeof(FlowOpened4) == 24);
    check_members({MEMBER(FlowOpened4, saddr, 0, 4), MEMBER(FlowOpened4, daddr, 4, 4),
                   MEMBER(FlowOpened4, sport, 8, 2), MEMBER(FlowOpened4, dport, 10, 2),
                   MEMBER(FlowOpened4, protocol, 12, 1), MEMBER(FlowOpened4, zero8, 13, 1),
                   MEMBER(FlowOpened4, zero16, 14, 2), MEMBER(FlowOpened4, proxy, 16, 4),
                   MEMBER(FlowOpened4, target, 20, 4)},
                  24);
    check_members({MEMBER(SourceKey<be32>, address, 0, 4), MEMBER(SourceKey<be32>, proxy, 4, 4),
                   MEMBER(SourceKey<be32>, zero32, 8, 4)},
                  12);
    check_members({MEMBER(SourceKey<Address6>, address, 0, 16), MEMBER(SourceKey<Address6>, proxy, 16, 4),
                   MEMBER(SourceKey<Address6>, zero32, 20, 4)},
                  24);
    check_members({MEMBER(Buckets, connections, 0, 8), MEMBER(Buckets, packets, 8, 8)}, 16);
    check_members({MEMBER(RateRow, interval, 0, 8), MEMBER(RateRow, tolerance, 8, 8)}, 16);
    check_members({MEMBER(LimitsRow, source_connections, 0, 16), MEMBER(LimitsRow, source_packets, 16, 16),
                   MEMBER(LimitsRow, target_connections, 32, 16), MEMBER(LimitsRow, target_packets, 48, 16),
                   MEMBER(LimitsRow, mask6, 64, 16), MEMBER(LimitsRow, mask4, 80, 4),
                   MEMBER(LimitsRow, zero32, 84, 4)},
                  88);
    CHECK(sizeof(ProxyRow) == 24);
    check_members({MEMBER(ProxyRow, group, 0, 4), MEMBER(ProxyRow, algorithm, 4, 1),
                   MEMBER(ProxyRow, mode, 5, 1), MEMBER(ProxyRow, zero16, 6, 2),
                   MEMBER(ProxyRow, session_ns, 8, 8), MEMBER(ProxyRow, id, 16, 4),
                   MEMBER(ProxyRow, zero32, 20, 4)},
                  24);
    CHECK(sizeof(MemberKey) == 8);
    check_members({MEMBER(MemberKey, group, 0, 4), MEMBER(MemberKey, target, 4, 4)}, 8);
    using SessionKey4 = SessionKey<be32>;
    using SessionKey6 = SessionKey<Address6>;
    CHECK(sizeof(SessionKey4) == 12);
    check_members({MEMBER(SessionKey4, proxy, 0, 4), MEMBER(SessionKey4, zero32, 4, 4),
                   MEMBER(SessionKey4, client, 8, 4)},
                  12);
    CHECK(sizeof(SessionKey6) == 24);
    check_members({MEMBER(SessionKey6, proxy, 0, 4), MEMBER(SessionKey6, zero32, 4, 4),
                   MEMBER(SessionKey6, client, 8, 16)},
                  24);
    CHECK(sizeof(Session) == 16);
    check_members({MEMBER(Session, target, 0, 4), MEMBER(Session, zero32, 4, 4), MEMBER(Session, seen, 8, 8)},
                  16);
    CHECK(sizeof(TargetCounters) == 48);
    check_members({MEMBER(TargetCounters, connections, 0, 8), MEMBER(TargetCounters, forward_packets, 8, 8),
                   MEMBER(TargetCounters, forward_bytes, 16, 8), MEMBER(TargetCounters, reply_packets, 24, 8),
                   MEMBER(TargetCounters, reply_bytes, 32, 8), MEMBER(TargetCounters, unrecorded, 40, 8)},
                  48);
}

TEST_CASE("map keys have no byte that a comparison would not see", "[layout]")
{
    CHECK(std::has_unique_object_representations_v<FlowKey4>);
    CHECK(std::has_unique_object_representations_v<RouteKey4>);
}

TEST_CASE("network order is kept in memory", "[layout]")
{
    const FlowKey4 key{be32(0x0a000001), be32(0xc0000201), be16(0x1234), be16(80), 6};
    const u8 bytes[16] = {10, 0, 0, 1, 192, 0, 2, 1, 0x12, 0x34, 0, 80, 6, 0, 0, 0};
    CHECK(std::memcmp(&key, bytes, sizeof key) == 0);
}

TEST_CASE("a group's row is one word: its first slot low, its number of slots high", "[layout]")
{
    constexpr GroupRow row = GroupRow::of(0x12345678, 8191);
    CHECK(row.word == 0x1fff12345678);
    CHECK(row.first() == 0x12345678);
    CHECK(row.slots() == 8191);
    CHECK(GroupRow{}.slots() == 0);
}

TEST_CASE("directions have their numbers, and counters add up", "[layout]")
{
    CHECK(static_cast<u8>(Direction::forward) == 0);
    CHECK(static_cast<u8>(Direction::reply) == 1);
    TargetCounters sum{1, 2, 3, 4, 5, 6};
    sum += {10, 20, 30, 40, 50, 60};
    CHECK(sum.connections == 11);
    CHECK(sum.forward_packets == 22);
    CHECK(sum.forward_bytes == 33);
    CHECK(sum.reply_packets == 44);
    CHECK(sum.reply_bytes == 55);
    CHECK(sum.unrecorded == 66);
    CHECK(loopback_network.host() == 0x7f000000);
    CHECK(loopback_mask.host() == 0xff000000);
}
