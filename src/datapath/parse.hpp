// From the first byte of a frame to its L4 header: Ethernet, IPv4 without options, not a fragment, TCP or
// UDP. All else leaves with a reason; nothing has been changed by then.
#pragma once

#include "datapath/frame.hpp"
#include "datapath/ways.hpp"

namespace lb::datapath {

/// The reasons by which one role's parser lets go of what it does not handle.
struct ParseReasons {
    model::Reason not_ipv4, truncated, bad_header, ip_options, fragment, other_protocol;
};
inline constexpr ParseReasons ingress_parse_reasons{model::Reason::not_ipv4,   model::Reason::truncated,
                                                    model::Reason::bad_header, model::Reason::ip_options,
                                                    model::Reason::fragment,   model::Reason::other_protocol};
inline constexpr ParseReasons egress_parse_reasons{
    model::Reason::egress_not_ipv4,   model::Reason::egress_truncated, model::Reason::egress_bad_header,
    model::Reason::egress_ip_options, model::Reason::egress_fragment,  model::Reason::egress_other_protocol};

/// Emits the checks down to the L4 protocol.
bpf::View<wire::Ipv4> parse_ipv4(bpf::Dsl& b, bpf::PacketBounds& packet, Ways& ways,
                                 const ParseReasons& reasons);

/// Emits the claim of the L4 header and the check of IPv4's total length against it: some drivers put
/// data_end behind the packet, so the length is the header's (`on_wire`: it must also lie within the frame).
template <class L4>
Headers<L4> parse_l4(bpf::Dsl& b, bpf::PacketBounds& packet, Ways& ways, const ParseReasons& reasons,
                     bool on_wire);

/// Emits the packet's tuple as the flow table's key.
template <class L4> void make_key(const bpf::StackView<model::FlowKey4>& key, const Headers<L4>& headers)
{
    using model::FlowKey4;
    key(&FlowKey4::saddr) = headers.ip(&wire::Ipv4::saddr);
    key(&FlowKey4::daddr) = headers.ip(&wire::Ipv4::daddr);
    key(&FlowKey4::sport) = headers.l4(&L4::sport);
    key(&FlowKey4::dport) = headers.l4(&L4::dport);
    key(&FlowKey4::protocol) = protocol_number<L4>;
    key(&FlowKey4::zero8) = u8{0};
    key(&FlowKey4::zero16) = u16{0};
}

} // namespace lb::datapath
