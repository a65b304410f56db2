// bpf_fib_lookup: where the kernel would send a packet, and by which Ethernet addresses. The struct is the
// kernel's UAPI (struct bpf_fib_lookup), in the two shapes that its unions have.
#pragma once

#include "lb/asm/dsl.hpp"
#include "lb/base/wire.hpp"

namespace lb::datapath {

/// An Ethernet address, in pieces as it is aligned.
struct Mac {
    be16 first{}, second{}, third{};
};
/// wire::Ethernet with addresses that can be copied.
struct EthernetMacs {
    Mac destination{}, source{};
    be16 type{};
};
static_assert(sizeof(EthernetMacs) == sizeof(wire::Ethernet));

struct FibLookup4 {
    u8 family = 0;
    u8 l4_protocol = 0;
    be16 sport{}, dport{};
    u16 total_length = 0; ///< from the IP header on; after the call the path's MTU
    u32 ifindex = 0;      ///< where the packet came in; after the call where it leaves
    u8 tos = 0;
    u8 zero8 = 0;
    u16 zero16 = 0;
    be32 saddr{};
    be32 no_source[3]{};
    be32 daddr{}; ///< after the call the next hop
    be32 no_destination[3]{};
    be16 vlan_protocol{}, vlan_tci{};
    Mac source{}, destination{}; ///< of the frame
};
static_assert(sizeof(FibLookup4) == 64);

struct FibLookup6 {
    u8 family = 0;
    u8 l4_protocol = 0;
    be16 sport{}, dport{};
    u16 total_length = 0;
    u32 ifindex = 0;
    be32 flow_info{};
    wire::Address6 saddr{}, daddr{};
    be16 vlan_protocol{}, vlan_tci{};
    Mac source{}, destination{};
};
static_assert(sizeof(FibLookup6) == 64);

inline constexpr u8 fib_inet = 2, fib_inet6 = 10; ///< AF_INET, AF_INET6

/// What it returns (BPF_FIB_LKUP_RET_*), of what is told apart here.
inline constexpr i32 fib_success = 0, fib_no_neighbour = 7, fib_too_big = 8;

} // namespace lb::datapath
