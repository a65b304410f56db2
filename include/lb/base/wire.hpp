// Headers as they are on the wire. Members are in network order where the type says so; structs have no
// padding.
#pragma once

#include <array>

#include "lb/base/bytes.hpp"

namespace lb::wire {

/// IEEE 802.3 with an EtherType.
struct Ethernet {
    std::array<u8, 6> destination{}, source{};
    be16 type{};
};
static_assert(sizeof(Ethernet) == 14);

/// IEEE 802.1Q: a tag, which stands between the addresses and the EtherType that it moves back.
struct Vlan {
    be16 tci{}; ///< priority, DEI and VLAN id
    be16 type{};
};
static_assert(sizeof(Vlan) == 4);

/// RFC 791, without options.
struct Ipv4 {
    u8 version_ihl = 0; ///< version in the high four bits, header length in words in the low four
    u8 tos = 0;
    be16 total_length{};
    be16 id{};
    be16 fragment{}; ///< flags and offset; see below
    u8 ttl = 0;
    u8 protocol = 0;
    be16 checksum{};
    be32 saddr{}, daddr{};
};
static_assert(sizeof(Ipv4) == 20);

/// An IPv6 address, in halves because registers have 64 bits.
struct Address6 {
    be64 high{}, low{};
    friend constexpr bool operator==(const Address6&, const Address6&) = default;
};
static_assert(sizeof(Address6) == 16);

/// RFC 8200, section 3.
struct Ipv6 {
    be32 version_class_label{}; ///< version in the highest four bits
    be16 payload_length{};      ///< of what follows, extension headers included
    u8 next_header = 0;
    u8 hop_limit = 0;
    Address6 saddr{}, daddr{};
};
static_assert(sizeof(Ipv6) == 40);

/// The part that hop-by-hop options, routing and destination options have in common (RFC 8200, section 4).
struct Ipv6Extension {
    u8 next_header = 0;
    u8 length = 0;        ///< in units of 8 bytes, without the first 8
    u8 type = 0;          ///< of a routing header
    u8 segments_left = 0; ///< of a routing header
    be32 rest{};
};
static_assert(sizeof(Ipv6Extension) == 8);

/// RFC 8200, section 4.5.
struct Ipv6Fragment {
    u8 next_header = 0;
    u8 reserved = 0;
    be16 offset{}; ///< in units of 8 bytes in the upper 13 bits; more fragments follow in the lowest
    be32 id{};
};
static_assert(sizeof(Ipv6Fragment) == 8);

/// RFC 792 and RFC 4443; what the rest means depends on the type.
struct Icmp {
    u8 type = 0, code = 0;
    be16 checksum{};
    be32 rest{};
};
static_assert(sizeof(Icmp) == 8);

/// RFC 9293, without options.
struct Tcp {
    be16 sport{}, dport{};
    be32 sequence{}, acknowledgment{};
    u8 data_offset = 0; ///< in words, in the high four bits
    u8 flags = 0;
    be16 window{};
    be16 checksum{};
    be16 urgent{};
};
static_assert(sizeof(Tcp) == 20);

/// RFC 768.
struct Udp {
    be16 sport{}, dport{};
    be16 length{};
    be16 checksum{}; ///< 0: none
};
static_assert(sizeof(Udp) == 8);

inline constexpr be16 ethertype_ipv4{0x0800}, ethertype_ipv6{0x86dd};
inline constexpr be16 ethertype_vlan{0x8100}, ethertype_qinq{0x88a8};
inline constexpr u8 ipv4_version_ihl = 0x45; ///< version 4, no options
inline constexpr be16 ipv4_dont_fragment{0x4000};
inline constexpr be16 ipv4_more_fragments_or_offset{0x3fff}, ipv4_fragment_offset{0x1fff};
inline constexpr be32 ipv6_version_mask{0xf0000000}, ipv6_version{0x60000000};
inline constexpr be16 ipv6_fragment_offset{0xfff8}, ipv6_more_fragments_or_offset{0xfff9};
inline constexpr u8 protocol_icmp = 1, protocol_tcp = 6, protocol_udp = 17, protocol_icmpv6 = 58;
/// Extension headers (RFC 8200, section 4.1).
inline constexpr u8 ipv6_hop_by_hop = 0, ipv6_routing = 43, ipv6_fragment = 44, ipv6_destination = 60;
inline constexpr u8 tcp_fin = 0x01, tcp_syn = 0x02, tcp_rst = 0x04, tcp_ack = 0x10;

} // namespace lb::wire
