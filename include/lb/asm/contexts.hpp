// What a program is given in r1: the kernel's xdp_md and the part of __sk_buff that is needed, as its UAPI
// lays them out. The verifier turns loads of these into loads of the real structures; `data` and `data_end`
// become pointers.
#pragma once

#include <array>

#include "lb/base/bytes.hpp"

namespace lb::bpf {

struct XdpMd {
    u32 data = 0, data_end = 0, data_meta = 0;
    u32 ingress_ifindex = 0, rx_queue_index = 0, egress_ifindex = 0;
};
static_assert(sizeof(XdpMd) == 24);

struct SkBuff {
    u32 len = 0, pkt_type = 0, mark = 0, queue_mapping = 0;
    u32 protocol = 0; ///< EtherType in network order
    u32 vlan_present = 0, vlan_tci = 0, vlan_proto = 0, priority = 0;
    u32 ingress_ifindex = 0, ifindex = 0, tc_index = 0;
    std::array<u32, 5> cb{};
    u32 hash = 0, tc_classid = 0;
    u32 data = 0, data_end = 0;
};
static_assert(sizeof(SkBuff) == 84);

enum class XdpAction : i32 { aborted = 0, drop = 1, pass = 2, tx = 3, redirect = 4 };
/// `unspec` lets the next program or filter on the interface decide; TCX calls it next.
enum class TcAction : i32 { unspec = -1, ok = 0, shot = 2 };

} // namespace lb::bpf
