// From the IP header to the code of one L4 protocol: what both programs do alike.
#pragma once

#include "datapath/listener.hpp"
#include "datapath/parse.hpp"

namespace lb::datapath {

/// Emits the walk to the L4 header and, for each protocol of which packets of this family concern lb, the
/// code that `translate.operator()<L4>()` emits; the others leave with `unheard`. What the returned labels of
/// ICMP and later fragments stand for is the caller's to emit.
template <class F, class Translate>
Transports go_by_protocol(const Parser& parser, const model::Plan& plan, const Frame<F>& frame,
                          const bpf::View<typename F::Header>& ip, bpf::PacketPointer& l4,
                          model::Reason unheard, const Translate& translate)
{
    bpf::Dsl& b = parser.b;
    const auto to = [&](model::Protocol protocol, const char* name) {
        return hears(plan, F::family, protocol) ? b.label(name) : parser.leave(unheard);
    };
    const Transports transports{.tcp = to(model::Protocol::tcp, "tcp"),
                                .udp = to(model::Protocol::udp, "udp"),
                                .icmp = b.label("icmp"),
                                .later_fragment = b.label("later fragment")};
    parse_ip(parser, frame, ip, l4, transports);
    if (hears(plan, F::family, model::Protocol::udp)) {
        b.bind(transports.udp);
        translate.template operator()<wire::Udp>();
        parser.packet.retake_end();
    }
    if (hears(plan, F::family, model::Protocol::tcp)) {
        b.bind(transports.tcp);
        translate.template operator()<wire::Tcp>();
        parser.packet.retake_end();
    }
    return transports;
}

/// Emits the way of a frame to the code of its family, which `take.operator()<F>(ip)` emits; a family that no
/// listener has leaves.
template <class Take> void go_by_family(const Parser& parser, const model::Plan& plan, const Take& take)
{
    bpf::Dsl& b = parser.b;
    std::optional<bpf::Label> v4, v6;
    if (plan.has(model::Family::ipv4)) v4 = b.label("IPv4");
    if (plan.has(model::Family::ipv6)) v6 = b.label("IPv6");
    const auto ip = parse_ethernet(parser, v4, v6);
    if (v4) {
        b.bind(*v4);
        take.template operator()<V4>(ip);
    }
    if (v6) {
        b.bind(*v6);
        b.note("claim IPv6");
        const auto [ip6] = parser.packet.claim<wire::Ipv6>(parser.too_short);
        take.template operator()<V6>(ip6);
    }
}

} // namespace lb::datapath
