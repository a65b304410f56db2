// From the first byte of a frame to its L4 header: Ethernet, IPv4 without options, not a fragment, TCP or
// UDP. All else leaves with a reason; nothing has been changed by then.
#pragma once

#include "datapath/frame.hpp"
#include "datapath/ways.hpp"

#include <functional>
#include <optional>

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

/// Where to go for a reason: a way out, or a stop on the way to it.
using WayOut = std::function<bpf::Label(model::Reason)>;

/// Emits the claim of Ethernet and IPv4; the frame says to be IPv4, and nothing more is known.
bpf::View<wire::Ipv4> claim_ipv4(bpf::Dsl& b, bpf::PacketBounds& packet, const WayOut& leave,
                                 const ParseReasons& reasons);
/// Emits the checks of that header: what it says must be what this version translates.
void check_ipv4(bpf::Dsl& b, const bpf::View<wire::Ipv4>& ip, const WayOut& leave,
                const ParseReasons& reasons);

/// How the way in learns whether a frame is as long as it says. A packet may lie in several buffers (XDP
/// frags); data_end is the end of the first, so that the kernel is asked about the rest, by the context.
struct WireLength {
    std::optional<bpf::StackVar<u64>> context = {}; ///< empty: one buffer holds all
};

/// Emits the claim of the L4 header and the check of IPv4's total length against it: some drivers put
/// data_end behind the packet, so the length is the header's. With `wire` it must also lie within the frame.
template <class L4>
Headers<L4> parse_l4(bpf::Dsl& b, bpf::PacketBounds& packet, const WayOut& leave, const ParseReasons& reasons,
                     const WireLength* wire);

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
