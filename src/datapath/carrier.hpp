// How a packet gets to a target that answers by itself: in a tunnel's packet (IP in IP, GUE), or by the
// target's Ethernet address. Emitted once, behind everything else; it reads the packet anew. One too large
// for the way is answered (too_big.hpp).
//
// The way is asked for before a byte is changed. Where it is known to the end (route, neighbour, a device
// that XDP can send by), lb sends the packet; where it isn't, a tunnel's packet goes to the kernel, which
// routes it and asks for the neighbour.
#pragma once

#include "datapath/carry.hpp"
#include "datapath/way.hpp"

namespace lb::datapath {

/// What the parts of this stage share.
struct Carrier {
    bpf::Dsl& b;
    const Maps& maps;
    Ways& ways;
    const Carrying& carrying;
    const bpf::StackVar<u64>& context;
    bool frags; ///< whether packets may lie in several buffers
    const bpf::View<model::CarrierRow>& row;
    bpf::StackView<FibLookup4> fib4; ///< the same memory as fib6
    bpf::StackView<FibLookup6> fib6;
    bpf::StackVar<u64> length;   ///< of the client's packet, from its IP header on
    bpf::StackVar<u64> overhead; ///< of the tunnel
    bpf::StackVar<u64> inner6;   ///< whether the client's packet is IPv6
    bpf::StackVar<i64> result;   ///< of the lookup
    bpf::StackVar<u8> tos;       ///< DSCP and ECN of the client's packet
    bpf::Label too_big;          ///< with the way's MTU in fib4.total_length
    bpf::Label failed;           ///< the kernel refused to change the packet
};

/// Emits all of it.
void emit_carrier(bpf::Dsl& b, const model::Plan& plan, const Maps& maps, Ways& ways,
                  const Carrying& carrying, const bpf::StackVar<u64>& context,
                  const bpf::StackVar<u64>& l3_offset, bool frags);

/// Emits the Ethernet addresses of the way into the frame, and leaves.
void send(const Carrier& c);

/// Emits `r1 = the context` and reads the packet's bounds anew, as is needed after its start has moved.
bpf::XdpPacket packet_anew(bpf::Dsl& b, const bpf::StackVar<u64>& context);

} // namespace lb::datapath
