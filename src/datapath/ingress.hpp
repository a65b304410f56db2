// What the stages of the XDP programs share, and what translates a packet's headers there.
#pragma once

#include "datapath/carry.hpp"
#include "datapath/checksum.hpp"
#include "datapath/crossing.hpp"
#include "datapath/fib.hpp"
#include "datapath/parse.hpp"
#include "datapath/too_big.hpp"

namespace lb::datapath {

struct Ingress {
    bpf::Dsl& b;
    const model::Plan& plan;
    const Maps& maps;
    Ways& ways;
    const Parser& parser;
    bpf::PacketBounds& packet;
    const bpf::StackVar<u32>& ifindex;
    const Carrying* carrying;          ///< null: lb sends nothing by itself, and no target answers by itself
    const Crossing* crossing;          ///< null: no connection is between families
    const bpf::StackVar<u64>* context; ///< where lb sends by itself, or is the source
    const bpf::StackVar<u64>* l3_offset; ///< the same
    const TooLarge* too_large;           ///< null: lb is no packet's source
};

/// Where a packet goes that may be of a connection between families; empty where there are none.
inline std::optional<bpf::Label> known_across(const Ingress& in)
{
    return in.crossing ? std::optional(in.crossing->known) : std::nullopt;
}

/// Emits what the entry says into the headers.
template <class F, class L4>
void write_headers(const Ingress& in, const Headers<F, L4>& headers, const bpf::View<typename F::Flow>& flow)
{
    bpf::Dsl& b = in.b;
    if constexpr (F::header_sum)
        apply_delta(b, headers.ip(&F::Header::checksum), flow(&F::Flow::address_delta), false);
    apply_delta(b, headers.l4(&L4::checksum), flow(&F::Flow::l4_delta), std::is_same_v<L4, wire::Udp>);
    if (in.plan.translates_replies_early(F::family))
        copy_address(headers.ip(&F::Header::saddr), flow(&F::Flow::saddr));
    copy_address(headers.ip(&F::Header::daddr), flow(&F::Flow::daddr));
    headers.l4(&L4::sport) = flow(&F::Flow::sport);
    headers.l4(&L4::dport) = flow(&F::Flow::dport);
}

/// Emits the packet as it will be by its entry, for the kernel's routing.
template <class F, class L4, class Fib>
void describe_translated(bpf::Dsl& b, const Headers<F, L4>& headers, const bpf::View<typename F::Flow>& flow,
                         const bpf::StackView<Fib>& fib)
{
    fib.fill(0);
    fib(&Fib::family) = F::header_sum ? fib_inet : fib_inet6;
    fib(&Fib::l4_protocol) = protocol_number<L4>;
    fib(&Fib::sport) = flow(&F::Flow::sport);
    fib(&Fib::dport) = flow(&F::Flow::dport);
    if constexpr (F::header_sum) fib(&Fib::tos) = headers.ip(&wire::Ipv4::tos);
    copy_address(fib(&Fib::saddr), flow(&F::Flow::saddr));
    copy_address(fib(&Fib::daddr), flow(&F::Flow::daddr));
    const auto total = ip_length(b, headers.ip);
    fib(&Fib::total_length).store(total.reg());
}

} // namespace lb::datapath
