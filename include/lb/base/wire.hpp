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

inline constexpr be16 ethertype_ipv4{0x0800};
inline constexpr u8 ipv4_version_ihl = 0x45; ///< version 4, no options
inline constexpr be16 ipv4_more_fragments_or_offset{0x3fff};
inline constexpr u8 protocol_tcp = 6, protocol_udp = 17;
inline constexpr u8 tcp_fin = 0x01, tcp_syn = 0x02, tcp_rst = 0x04, tcp_ack = 0x10;

} // namespace lb::wire
