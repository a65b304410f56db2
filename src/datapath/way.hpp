// The way of a packet that lb sends by itself: asked for, taken, and written into the frame.
#pragma once

#include "datapath/fib.hpp"
#include "datapath/maps.hpp"

namespace lb::datapath {

/// Emits the question to the kernel that is written in `fib`, with the answer there and the result in a
/// register: BPF_FIB_LKUP_RET_*, or negative.
bpf::Var<i64> ask_kernel(bpf::Dsl& b, const bpf::StackVar<u64>& context,
                         const bpf::StackView<FibLookup4>& fib);
/// Emits the question to the kernel that is written in `fib`, with the answer there; `goto unknown` where it
/// does not know the way to its end, or the packet does not fit.
void ask_way(bpf::Dsl& b, const bpf::StackVar<u64>& context, const bpf::StackView<FibLookup4>& fib,
             bpf::Label unknown);
/// Emits the taking of the way's device for sending; `goto cannot` where XDP cannot send by it.
void take_device(bpf::Dsl& b, const Maps& maps, const bpf::StackView<FibLookup4>& fib, bpf::Label cannot);
/// Emits one hop less to live.
void age(bpf::Dsl& b, const bpf::View<wire::Ipv4>& ip);
void age(bpf::Dsl& b, const bpf::View<wire::Ipv6>& ip);
/// Emits the Ethernet addresses of the way.
void write_macs(const bpf::View<EthernetMacs>& ethernet, const bpf::StackView<FibLookup4>& fib);
/// Emits `goto another` unless the way leads back by the interface that the packet came in by.
void jump_unless_back(bpf::Dsl& b, const bpf::StackVar<u64>& context, const bpf::StackView<FibLookup4>& fib,
                      bpf::Label another);

} // namespace lb::datapath
