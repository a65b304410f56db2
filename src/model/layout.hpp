// The layouts of map keys and values, defined once: generated code reaches them by member, user space uses
// the same structs. A change here changes `flow_layout_version`, which is part of the pinned name. Byte
// order: be types are network order, all else is host order.
#pragma once

#include "lb/base/wire.hpp"

namespace lb::model {

inline constexpr u32 flow_layout_version = 2;

/// As Flow::carried: the packet is written anew in the other IP version (full NAT between families, RFC
/// 7915). The addresses are IPv6 addresses in both entries, of which the one for IPv4 packets is in a table
/// of its own.
inline constexpr u32 carried_across = 3;

/// 127.0.0.0/8 (RFC 1122, 3.2.1.3 g): never on the wire.
inline constexpr be32 loopback_network{0x7f000000}, loopback_mask{0xff000000};

using wire::Address6;

/// A tuple as it is on the wire, of IPv4 (A: be32) or IPv6. Every byte is named, because hash maps compare
/// all of them.
template <class A> struct FlowKey {
    A saddr{}, daddr{};
    be16 sport{}, dport{};
    u8 protocol = 0;
    u8 zero8 = 0;
    u16 zero16 = 0;
    friend bool operator==(const FlowKey&, const FlowKey&) = default;
};
using FlowKey4 = FlowKey<be32>;
using FlowKey6 = FlowKey<Address6>;
static_assert(sizeof(FlowKey4) == 16 && sizeof(FlowKey6) == 40);

/// `reply`: translated where it leaves. `reply_here`: its packets come to an address of lb's own (full NAT)
/// and are translated where they arrive. `reply_either`: where they arrive if lb can send them on from there
/// (fast path), else where they leave.
enum class Direction : u8 { forward = 0, reply = 1, reply_here = 2, reply_either = 3 };

/// What to do with a packet of that tuple: a rewrite that is ready to be applied, and what was seen so far.
/// A connection has two of these, one per direction; each is found by the tuple that its packets carry.
template <class A> struct Flow {
    A saddr{}, daddr{};    ///< the addresses to write
    be16 sport{}, dport{}; ///< the ports to write
    u16 address_delta = 0; ///< one's complement sum of the change of addresses, as loaded (RFC 1624)
    u16 l4_delta = 0;      ///< the same of addresses and ports
    u64 last_seen = 0;     ///< jiffies64
    u32 created = 0;       ///< the low half of jiffies64
    /// 0: what is said here is written. Else the packet goes to its target as it is, by the row of
    /// `carriers`; `sport` is the tunnel's source port then, and there is no reply entry, since no reply
    /// comes this way. 1: a connection without an entry would not keep its target. 2: it would, since the
    /// pick is the same for each of its packets. `carried_across` is neither.
    u32 carried = 0;
    u64 packets = 0; ///< of this direction
    u64 bytes = 0;   ///< of this direction, from the IP header on
    u32 proxy = 0;   ///< proxy id
    u32 target = 0;  ///< target id
    Direction direction = Direction::forward;
    u8 tcp_flags = 0;   ///< every TCP flag seen in this direction, or-ed
    u16 port_delta = 0; ///< the same of ports alone
    /// Of the forward entry, where live connections are counted: when its target had one less, as the low
    /// half of jiffies64 with the last bit set. 0: it is counted still.
    u32 ended = 0;
};
using Flow4 = Flow<be32>;
using Flow6 = Flow<Address6>;
static_assert(sizeof(Flow4) == 64 && sizeof(Flow6) == 88);

/// A target. Its id is the index into the array. It has an address of one family; the other is 0.
struct TargetRow {
    Address6 address6{};
    be32 address4{};
    be16 port{};
    u16 replies = 0; ///< where they are translated: what is to be added to Direction::reply
    u32 proxy = 0;
    u32 carried = 0; ///< as in Flow
};
static_assert(sizeof(TargetRow) == 32);

/// An address that full NAT sends from, of one family; the other is 0. By number in the pool, or where there
/// is no pool by target id: what this host calls itself on the way there.
struct SourceRow {
    Address6 address6{};
    be32 address4{};
    u32 known = 0; ///< 0: this host has no address toward the target now
};
static_assert(sizeof(SourceRow) == 24);

/// How packets get to a target of direct server return. By target id; there only where some proxy has such a
/// mode.
struct CarrierRow {
    Address6 saddr6{}, daddr6{}; ///< of the tunnel's packet; in dsr-l2 the daddr is whose neighbour is asked
    be32 saddr4{}, daddr4{};
    u8 mode = 0;   ///< model::ForwardingMode
    u8 family = 0; ///< of these addresses, 4 or 6; 0: this host has no address toward the target now
    be16 port{};   ///< the tunnel's destination port, for dsr_gue
    u8 sends = 0;  ///< how lb may send by itself: sends_redirect, sends_tx
    u8 zero8 = 0;
    u16 zero16 = 0;
};
static_assert(sizeof(CarrierRow) == 48);

/// Bits of what XDP may do with a packet: redirect it to an interface that the map `devices` has, and send it
/// back by the one where it came in. A veth that gets packets back delivers them late or never unless its
/// other end has an XDP program; redirected to the same end, they arrive.
inline constexpr u8 sends_redirect = 1, sends_tx = 2;

/// What a connection's first packet has to know of its proxy. By proxy id; there only where some proxy asks
/// for more than Maglev and NAT.
struct ProxyRow {
    u32 group = 0;    ///< the default group's id
    u8 algorithm = 0; ///< model::Algorithm
    u8 mode = 0;      ///< model::ForwardingMode
    u16 zero16 = 0;
    i64 session_ns = 0; ///< how long a client stays with its target; 0: it doesn't
    /// Its own id. Read from here it is any number to the verifier, which would follow a constant of each
    /// leaf of the listeners' tree on its own, as far as it is the key of a lookup.
    u32 id = 0;
    u32 zero32 = 0;
};
static_assert(sizeof(ProxyRow) == 24);

/// Where a group's slot table lies. One 64-bit word, so that one store switches a group to another table.
struct GroupRow {
    u64 word =
        0; ///< first slot in the low 32 bits, number of slots in the high 32; 0: the group takes nothing
    static constexpr GroupRow of(u32 first, u32 slots) { return {u64{slots} << 32 | first}; }
    constexpr u32 first() const { return static_cast<u32>(word); }
    constexpr u32 slots() const { return static_cast<u32>(word >> 32); }
};

/// Who belongs to a group; the value is the effective weight there. A target may be in several groups.
struct MemberKey {
    u32 group = 0;  ///< group id
    u32 target = 0; ///< target id
};
static_assert(sizeof(MemberKey) == 8);

/// A client of a proxy with session persistence: its port is not part of it.
template <class A> struct SessionKey {
    u32 proxy = 0; ///< proxy id
    u32 zero32 = 0;
    A client{};
};
static_assert(sizeof(SessionKey<be32>) == 12 && sizeof(SessionKey<Address6>) == 24);

/// The target that it was given.
struct Session {
    u32 target = 0; ///< target id
    u32 zero32 = 0;
    i64 seen = 0; ///< when its last connection began, in ns since boot
};
static_assert(sizeof(Session) == 16);

/// Key of source routes and of allow and deny lists: longest prefix match over the proxy id (all of its bits)
/// and the source address.
template <class A> struct RouteKey {
    u32 prefix_length = 0; ///< host order: 32 + the source prefix's length
    u32 proxy = 0;
    A address{};
};
using RouteKey4 = RouteKey<be32>;
using RouteKey6 = RouteKey<Address6>;
static_assert(sizeof(RouteKey4) == 12 && sizeof(RouteKey6) == 24);

/// Key of the buckets of sources: of one proxy, by the bits of the address that its limits count.
template <class A> struct SourceKey {
    A address{};
    u32 proxy = 0;
    u32 zero32 = 0;
};
static_assert(sizeof(SourceKey<be32>) == 12 && sizeof(SourceKey<Address6>) == 24);

/// The two token buckets of a source or a target. Each is one number, so that one compare-and-exchange takes
/// a token: the time at which the bucket will be full again, in ns since boot with rate_time_bits behind the
/// point. One that lies in the past, as 0 does, is full.
struct Buckets {
    u64 connections = 0;
    u64 packets = 0;
};
static_assert(sizeof(Buckets) == 16);

/// 36 years of uptime fit, and a rate of ten million is right to 0.03 percent.
inline constexpr u32 rate_time_bits = 4;

/// A token bucket's rate and burst, in the same unit.
struct RateRow {
    u64 interval = 0;  ///< between two tokens; 0: no limit
    u64 tolerance = 0; ///< in which an empty bucket gets full: as many intervals as the burst has tokens
};

/// A proxy's rate limits, by proxy id.
struct LimitsRow {
    RateRow source_connections{}, source_packets{}, target_connections{}, target_packets{};
    Address6 mask6{}; ///< the bits of a source's address that count
    be32 mask4{};
    u32 zero32 = 0;
};
static_assert(sizeof(LimitsRow) == 88);

/// What the program sends through the ring buffer for each new connection, where `stats-enabled` asks for it.
template <class A> struct FlowOpened {
    A saddr{}, daddr{}; ///< as the client sends them
    be16 sport{}, dport{};
    u8 protocol = 0;
    u8 zero8 = 0;
    u16 zero16 = 0;
    u32 proxy = 0;  ///< proxy id
    u32 target = 0; ///< target id
};
using FlowOpened4 = FlowOpened<be32>;
using FlowOpened6 = FlowOpened<Address6>;
static_assert(sizeof(FlowOpened4) == 24 && sizeof(FlowOpened6) == 48); // told apart by their size

/// A datagram of which fragments are on their way: its later fragments have no ports (RFC 791, RFC 8200 4.5).
template <class A> struct FragmentKey {
    A saddr{}, daddr{}; ///< as on the wire
    u32 id = 0;         ///< the header's identification, as loaded
    u8 protocol = 0;    ///< IPv6: 0, it is not part of what tells datagrams apart
    Direction direction =
        Direction::forward; ///< where it is changed: `reply` where it leaves, else where it arrives
    u16 zero16 = 0;
};
static_assert(sizeof(FragmentKey<be32>) == 16 && sizeof(FragmentKey<Address6>) == 40);

/// What its first fragment was translated to.
template <class A> struct Fragment {
    A saddr{}, daddr{};    ///< the addresses to write
    u64 seen = 0;          ///< when, in ns since boot
    u16 address_delta = 0; ///< as in Flow
    be16 sport{};          ///< of the tunnel, where `carrier` is not 0
    u32 carrier = 0;       ///< 0: translated; else the id, plus 1, of the target that it was carried to
};
static_assert(sizeof(Fragment<be32>) == 24 && sizeof(Fragment<Address6>) == 48);

/// The ring of the connections that began last, in which the next one takes the oldest place.
struct BacklogRow {
    u64 begun = 0;   ///< connections ever; the next one's place is this, modulo the ring's size
    u64 evicted = 0; ///< connections taken out half-open because their place was the oldest
};

/// How many senders were told that a packet does not fit, one row per CPU.
struct AnswersRow {
    u64 window = 0; ///< which, of 2^30 ns of the monotonic clock each
    u64 count = 0;  ///< in it
};
inline constexpr u64 answers_max = 1000; ///< in a window

/// Counters of a target, one row per CPU; they only grow.
struct TargetCounters {
    u64 connections = 0;
    u64 forward_packets = 0, forward_bytes = 0;
    u64 reply_packets = 0, reply_bytes = 0;
    u64 unrecorded = 0; ///< forward packets of connections for which the table had no room

    constexpr TargetCounters& operator+=(const TargetCounters& other)
    {
        connections += other.connections;
        forward_packets += other.forward_packets;
        forward_bytes += other.forward_bytes;
        reply_packets += other.reply_packets;
        reply_bytes += other.reply_bytes;
        unrecorded += other.unrecorded;
        return *this;
    }
};

} // namespace lb::model
