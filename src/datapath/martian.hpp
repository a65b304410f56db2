// Addresses that no client and no VIP can have. What comes from or to them is the kernel's to drop.
#pragma once

#include "datapath/frame.hpp"
#include "datapath/ways.hpp"
#include "model/plan.hpp"

namespace lb::datapath {

/// Emits, for a connection's first packet that a listener takes, `goto martian_address` where its source is
/// one of RFC 6890's that are no sources (this network, loopback but on lo, multicast, reserved; IPv6:
/// unspecified, loopback, mapped, link-local, multicast) or the packet's own destination, or where its
/// destination is multicast or reserved, which a listener on any address would take.
template <class F, class L4>
void refuse_martians(bpf::Dsl& b, const model::Plan& plan, const Headers<F, L4>& headers,
                     const bpf::StackVar<u32>& ifindex, Ways& ways);

} // namespace lb::datapath
