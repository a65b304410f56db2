// From the first byte of a frame to its L4 header: Ethernet, up to two VLAN tags in the frame, IPv4 with
// options or IPv6 with extension headers. What is not translated leaves with a reason; nothing has been
// changed by then.
//
// The packet pointer stands at the IP header afterwards, wherever that is, and a second one at the L4 header:
// the plain packet costs two additions for it, and all others share the code that follows.
#pragma once

#include "datapath/frame.hpp"
#include "datapath/ways.hpp"

#include <functional>
#include <optional>

namespace lb::datapath {

/// The reasons by which one role's parser lets go of what it does not handle.
struct ParseReasons {
    model::Reason not_ip, no_family, too_many_tags, bad_header, extension_header, other_protocol, icmp_other,
        fragment_early;
};
inline constexpr ParseReasons ingress_parse_reasons{.not_ip = model::Reason::not_ip,
                                                    .no_family = model::Reason::no_family,
                                                    .too_many_tags = model::Reason::too_many_tags,
                                                    .bad_header = model::Reason::bad_header,
                                                    .extension_header = model::Reason::extension_header,
                                                    .other_protocol = model::Reason::other_protocol,
                                                    .icmp_other = model::Reason::icmp_other,
                                                    .fragment_early = model::Reason::fragment_early};
inline constexpr ParseReasons egress_parse_reasons{.not_ip = model::Reason::egress_not_ip,
                                                   .no_family = model::Reason::egress_no_family,
                                                   .too_many_tags = model::Reason::egress_too_many_tags,
                                                   .bad_header = model::Reason::egress_bad_header,
                                                   .extension_header = model::Reason::egress_extension_header,
                                                   .other_protocol = model::Reason::egress_other_protocol,
                                                   .icmp_other = model::Reason::egress_icmp_other,
                                                   .fragment_early = model::Reason::egress_fragment_early};

/// Where to go for a reason: a way out, or a stop on the way to it.
using WayOut = std::function<bpf::Label(model::Reason)>;

/// How a program reads a frame.
struct Parser {
    bpf::Dsl& b;
    bpf::PacketBounds& packet;
    WayOut leave;
    ParseReasons reasons;
    bpf::Label too_short; ///< where claims go that find no room
    /// Where the IP header begins, in bytes from the frame's start; empty where the program does not ask.
    std::optional<bpf::StackVar<u64>> l3_offset = {};
    /// Where a frame's length is compared with what IP says: some drivers put data_end behind the packet, so
    /// the length is the header's.
    bool check_length = false;
    /// With that: the context, by which the kernel is asked for the length of a packet that lies in several
    /// buffers (XDP frags).
    std::optional<bpf::StackVar<u64>> context = {};
    /// Where a frame goes that was sent to a group address. What is in there is not forwarded, whatever its
    /// own address (RFC 1812, 5.3.4); the kernel sees to that, so only who sends by itself asks.
    std::optional<bpf::Label> not_unicast = {};
    /// Where a fragment header is to be copied to (IPv6), also that of a packet that is whole; null where
    /// the program does not ask.
    const bpf::StackView<wire::Ipv6Fragment>* fragment_header = nullptr;
};

/// Emits the claim of Ethernet and its tags; goes to `v4` or `v6` with the packet pointer at the IP header,
/// of whose first bytes an Ipv4 is claimed; a family without a label leaves.
bpf::View<wire::Ipv4> parse_ethernet(const Parser& parser, std::optional<bpf::Label> v4,
                                     std::optional<bpf::Label> v6);

/// Where to go by L4 protocol, and with what has no L4 header. At `later_fragment` `frame.key` holds the
/// addresses and, of IPv4, the protocol.
struct Transports {
    bpf::Label tcp, udp, icmp, later_fragment;
};

/// Emits the checks of the IP header and of what is between it and L4, and goes to the protocol's label with
/// `l4` there.
void parse_ip(const Parser& parser, const Frame<V4>& frame, const bpf::View<wire::Ipv4>& ip,
              bpf::PacketPointer& l4, const Transports& to);
void parse_ip(const Parser& parser, const Frame<V6>& frame, const bpf::View<wire::Ipv6>& ip,
              bpf::PacketPointer& l4, const Transports& to);

/// Emits the check that IP says to be `least` bytes long or more, and where the parser checks lengths, that
/// the frame holds what IP says.
template <class Header> void check_whole(const Parser& parser, const bpf::View<Header>& ip, u32 least);

/// Emits the claim of the L4 header, and the check of the length that IP says.
template <class F, class L4>
Headers<F, L4> parse_l4(const Parser& parser, const bpf::View<typename F::Header>& ip,
                        bpf::PacketPointer& l4);

/// Emits the number of bytes from the IP header on, by what it says.
bpf::Var<u64> ip_length(bpf::Dsl& b, const bpf::View<wire::Ipv4>& ip);
bpf::Var<u64> ip_length(bpf::Dsl& b, const bpf::View<wire::Ipv6>& ip);

/// The TTL, or hop limit.
inline bpf::Field<u8> hops_left(const bpf::View<wire::Ipv4>& ip) { return ip(&wire::Ipv4::ttl); }
inline bpf::Field<u8> hops_left(const bpf::View<wire::Ipv6>& ip) { return ip(&wire::Ipv6::hop_limit); }

/// Emits the packet's tuple as the flow table's key.
template <class F, class L4>
void make_key(const bpf::StackView<typename F::Key>& key, const Headers<F, L4>& headers)
{
    using Key = typename F::Key;
    using Header = typename F::Header;
    copy_address(key(&Key::saddr), headers.ip(&Header::saddr));
    copy_address(key(&Key::daddr), headers.ip(&Header::daddr));
    key(&Key::sport) = headers.l4(&L4::sport);
    key(&Key::dport) = headers.l4(&L4::dport);
    key(&Key::protocol) = protocol_number<L4>;
    key(&Key::zero8) = u8{0};
    key(&Key::zero16) = u16{0};
}

} // namespace lb::datapath
