// A packet that does not fit on its way, once a tunnel's header is around it, it is of the other IP version,
// or its source is lb's: its sender is told what fits (RFC 1191, RFC 8201), in the name of whom it was sent
// to, by a packet made in the place of its own.
//
// IPv4 senders are told whether they forbid fragments or not: lb makes none, and a tunnel's fragments would
// have to be put together before the target sees what is inside.
#pragma once

#include "datapath/frame.hpp"
#include "datapath/ways.hpp"

namespace lb::datapath {

inline constexpr u64 least_mtu6 = 1280; ///< that every link of IPv6 has (RFC 8200, 5)

/// What it takes to answer. The packet is as it came, without tags in its frame.
struct TooBigAnswer {
    bpf::Dsl& b;
    const Maps& maps;
    Ways& ways;
    const bpf::StackVar<u64>& context;
    bool frags;                ///< whether packets may lie in several buffers
    bpf::StackVar<u64> mtu;    ///< what fits, for the sender
    bpf::StackVar<u64> length; ///< of the frame; written here, as is the next
    bpf::StackVar<i64> sent;   ///< whether lb sends the answer itself
    bpf::Label failed;         ///< the kernel refused to change the packet
};

/// Emits the question whether XDP can send by where the packet came from; before answer_too_big().
void ask_way_back(const TooBigAnswer& answer);

/// Emits the answer to a packet of F, and leaves.
template <class F> void answer_too_big(const TooBigAnswer& answer);

/// Where a packet goes that does not fit on its way once it is translated; it is not, yet.
struct TooLarge {
    /// `memory`: for the MTU; the packet's other variables are not read any more.
    TooLarge(bpf::Dsl& b, const bpf::StackVar<u64>& memory)
        : mtu(memory),
          four(b.label("too large, IPv4")),
          six(b.label("too large, IPv6"))
    {}
    bpf::StackVar<u64> mtu; ///< what its sender's packets may have
    bpf::Label four, six;   ///< by the version that it has come with
};

/// Emits the answers to such packets, at the labels of `too_large`, for the families that there are.
/// `failed`: where the kernel refuses to change the packet.
void emit_too_large(bpf::Dsl& b, const Maps& maps, Ways& ways, const bpf::StackVar<u64>& context, bool frags,
                    const TooLarge& too_large, bool ipv4, bool ipv6, model::Reason failed);

struct Carrier;

/// Emits the answers of direct server return, at `c.too_big`, for the families that clients may have.
void emit_too_big(const Carrier& c, bool ipv4, bool ipv6);

} // namespace lb::datapath
