// What a tunnel puts around a packet, as one program writes and the other reads it. The bytes are those of
// the RFCs; they are cut so that each part that is read or copied is a member.
#pragma once

#include "lb/base/wire.hpp"

namespace lb::datapath::tunnel {

/// RFC 8200, with the traffic class where its bits lie.
struct Ipv6 {
    u8 version_class = 0; ///< version, upper half of the traffic class
    u8 class_label = 0;   ///< lower half of the traffic class (ECN in bits 4 and 5), flow label
    be16 label{};
    be16 payload_length{};
    u8 next_header = 0;
    u8 hop_limit = 0;
    be64 saddr_high{}, saddr_low{};
    be64 daddr_high{}, daddr_low{};
};
static_assert(sizeof(Ipv6) == 40);

/// GUE variant 0 (draft-ietf-intarea-gue, 3.2) without extensions.
struct Gue {
    u8 version_control_length = 0; ///< 2 bits, 1 bit, 5 bits: all 0 here
    u8 protocol = 0;
    be16 flags{};
};
static_assert(sizeof(Gue) == 4);

/// Both MAC addresses, to be copied.
struct MacAddresses {
    be32 first{}, second{}, third{};
};
static_assert(sizeof(MacAddresses) == 12);

/// The byte that tells an inner packet's version, and GUE's variant.
struct FirstByte {
    u8 value = 0;
};

inline constexpr u16 sport_first = 49152; ///< the tunnel's source ports: the dynamic ones (RFC 6335)
inline constexpr u8 protocol_ipip = 4, protocol_ipv6 = 41;                   ///< RFC 2003, RFC 2473
inline constexpr u8 ecn_not_ect = 0, ecn_ect1 = 1, ecn_ect0 = 2, ecn_ce = 3; ///< RFC 3168
/// Options of TCP (RFC 9293, 3.1).
inline constexpr u8 tcp_option_end = 0, tcp_option_nop = 1, tcp_option_mss = 2, tcp_option_mss_bytes = 4;

} // namespace lb::datapath::tunnel
