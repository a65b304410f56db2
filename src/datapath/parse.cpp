#include "datapath/parse.hpp"

namespace lb::datapath {

using namespace bpf;
using wire::Ethernet;
using wire::Ipv4;
using wire::Ipv6;

namespace {

constexpr u32 tags_max = 2;
constexpr u32 extension_headers_max = 6;

void go_by_type(const Parser& parser, const Var<be16>& type, std::optional<Label> v4, std::optional<Label> v6)
{
    Dsl& b = parser.b;
    b.jump_if(type == wire::ethertype_ipv4, v4 ? *v4 : parser.leave(parser.reasons.no_family));
    b.jump_if(type == wire::ethertype_ipv6, v6 ? *v6 : parser.leave(parser.reasons.no_family));
}

// IPv4 with options: the L4 header is further on, and the total length must leave room for it.
void skip_options(const Parser& parser, const View<Ipv4>& ip, PacketPointer& l4, Label plain)
{
    Dsl& b = parser.b;
    b.note("IPv4 options");
    auto length = b.let<u64>("header length", ip(&Ipv4::version_ihl));
    b.jump_if(length < u64{0x46}, parser.leave(parser.reasons.bad_header));
    b.jump_if(length > u64{0x4f}, parser.leave(parser.reasons.bad_header));
    length &= 0x0f;
    length <<= 2;
    l4.move_to(parser.packet);
    l4.advance(length);
    auto total = b.let_host_as<u64>("total length", ip(&Ipv4::total_length));
    length += u64{sizeof(wire::Udp)};
    b.if_(ip(&Ipv4::protocol) == wire::protocol_tcp,
          [&] { length += u64{sizeof(wire::Tcp) - sizeof(wire::Udp)}; });
    b.jump_if(length > total.value(), parser.leave(parser.reasons.bad_header));
    b.jump(plain);
}

// One extension header whose length is its own second byte; `next` becomes what follows it.
void skip_extension(const Parser& parser, PacketPointer& l4, Var<u8>& next)
{
    Dsl& b = parser.b;
    const Label known = b.label("extension header"), options = b.label("options");
    b.jump_if(next == wire::ipv6_hop_by_hop, known);
    b.jump_if(next == wire::ipv6_destination, known);
    b.jump_if(next == wire::ipv6_fragment, parser.leave(parser.reasons.fragment));
    b.jump_if(next != wire::ipv6_routing, parser.leave(parser.reasons.other_protocol));
    b.bind(known);
    auto [header] = l4.claim<wire::Ipv6Extension>(parser.too_short);
    b.jump_if(next != wire::ipv6_routing, options);
    // RFC 8200, 4.4: with segments left, this is not the packet's last destination, of which L4's checksum
    // is.
    b.jump_if(header(&wire::Ipv6Extension::segments_left) != u8{0},
              parser.leave(parser.reasons.extension_header));
    b.bind(options);
    next = header(&wire::Ipv6Extension::next_header);
    auto length = b.let<u64>("extension length", header(&wire::Ipv6Extension::length));
    length += 1;
    length <<= 3;
    l4.advance(length);
}

// The payload must hold the extension headers and L4.
void check_payload(const Parser& parser, const View<Ipv6>& ip, const PacketPointer& l4, u32 header)
{
    Dsl& b = parser.b;
    auto used = l4.distance_from(parser.packet, "used");
    used -= u64{sizeof(Ipv6) - header};
    auto payload = b.let_host_as<u64>("payload length", ip(&Ipv6::payload_length));
    b.jump_if(used > payload.value(), parser.leave(parser.reasons.bad_header));
}

void skip_extensions(const Parser& parser, const View<Ipv6>& ip, PacketPointer& l4, Var<u8>& next,
                     const Transports& to)
{
    Dsl& b = parser.b;
    const Label tcp = b.label("tcp behind extension headers"), udp = b.label("udp behind extension headers");
    for (u32 i = 0; i < extension_headers_max; ++i) {
        b.note("IPv6 extension header");
        skip_extension(parser, l4, next);
        b.jump_if(next == wire::protocol_tcp, tcp);
        b.jump_if(next == wire::protocol_udp, udp);
    }
    b.jump(parser.leave(parser.reasons.extension_header));
    next.release();
    b.bind(tcp);
    check_payload(parser, ip, l4, sizeof(wire::Tcp));
    b.jump(to.tcp);
    b.bind(udp);
    check_payload(parser, ip, l4, sizeof(wire::Udp));
    b.jump(to.udp);
}

} // namespace

View<Ipv4> parse_ethernet(const Parser& parser, std::optional<Label> v4, std::optional<Label> v6)
{
    Dsl& b = parser.b;
    b.note("parse Ethernet");
    auto [ethernet, first] = parser.packet.claim<Ethernet, Ipv4>(parser.too_short);
    auto type = b.let<be16>("ethertype", ethernet(&Ethernet::type));
    auto ip = parser.packet.advance_to(first);
    if (parser.l3_offset) (*parser.l3_offset)() = u64{sizeof(Ethernet)};
    go_by_type(parser, type, v4, v6);
    for (u32 tags = 1; tags <= tags_max; ++tags) {
        b.note("a VLAN tag in the frame");
        const Label tagged = b.label("tagged");
        b.jump_if(type == wire::ethertype_vlan, tagged);
        b.jump_if(type != wire::ethertype_qinq, parser.leave(parser.reasons.not_ip));
        b.bind(tagged);
        auto [tag, behind] = parser.packet.claim<wire::Vlan, Ipv4>(parser.too_short);
        type = tag(&wire::Vlan::type);
        parser.packet.advance_to(behind);
        if (parser.l3_offset) (*parser.l3_offset)() = u64{sizeof(Ethernet) + tags * sizeof(wire::Vlan)};
        go_by_type(parser, type, v4, v6);
    }
    b.jump_if(type == wire::ethertype_vlan, parser.leave(parser.reasons.too_many_tags));
    b.jump_if(type == wire::ethertype_qinq, parser.leave(parser.reasons.too_many_tags));
    b.jump(parser.leave(parser.reasons.not_ip));
    return ip;
}

void parse_ip(const Parser& parser, const View<Ipv4>& ip, PacketPointer& l4, const Transports& to)
{
    Dsl& b = parser.b;
    b.note("IPv4: options, fragment, protocol");
    const Label options = b.label("options"), plain = b.label("L4 found");
    b.jump_if(ip(&Ipv4::version_ihl) != wire::ipv4_version_ihl, options);
    b.bind(plain);
    b.jump_if(ip(&Ipv4::fragment).has(wire::ipv4_more_fragments_or_offset),
              parser.leave(parser.reasons.fragment));
    {
        auto protocol = b.let<u8>("protocol", ip(&Ipv4::protocol));
        b.jump_if(protocol == wire::protocol_tcp, to.tcp);
        b.jump_if(protocol == wire::protocol_udp, to.udp);
        b.jump(parser.leave(parser.reasons.other_protocol));
    }
    b.bind(options);
    skip_options(parser, ip, l4, plain);
}

void parse_ip(const Parser& parser, const View<Ipv6>& ip, PacketPointer& l4, const Transports& to)
{
    Dsl& b = parser.b;
    b.note("IPv6: version, next header");
    {
        auto version = b.let<be32>("version", ip(&Ipv6::version_class_label));
        version &= wire::ipv6_version_mask;
        b.jump_if(version != wire::ipv6_version, parser.leave(parser.reasons.bad_header));
    }
    auto next = b.let<u8>("next header", ip(&Ipv6::next_header));
    b.jump_if(next == wire::protocol_tcp, to.tcp);
    b.jump_if(next == wire::protocol_udp, to.udp);
    skip_extensions(parser, ip, l4, next, to);
}

Var<u64> ip_length(Dsl& b, const View<Ipv4>& ip)
{
    return b.let_host_as<u64>("total length", ip(&Ipv4::total_length));
}

Var<u64> ip_length(Dsl& b, const View<Ipv6>& ip)
{
    auto length = b.let_host_as<u64>("total length", ip(&Ipv6::payload_length));
    length += u64{sizeof(Ipv6)};
    return length;
}

template <class F, class L4>
Headers<F, L4> parse_l4(const Parser& parser, const View<typename F::Header>& ip, PacketPointer& l4)
{
    Dsl& b = parser.b;
    auto [header] = l4.template claim<L4>(parser.too_short);
    const Label whole = b.label("whole");
    {
        auto total = ip_length(b, ip);
        b.jump_if(total < u64{sizeof(typename F::Header) + sizeof(L4)},
                  parser.leave(parser.reasons.bad_header));
        if (parser.check_length) {
            auto room = parser.packet.length("room");
            b.jump_if(room >= total.value(), whole);
        }
    }
    if (parser.context) {
        b.note("the frame's length over all of its buffers");
        auto ctx = b.let<u64>("ctx", (*parser.context)());
        auto room = b.call<u64>(Helper::xdp_get_buff_len, {std::move(ctx)}, "room");
        room -= (*parser.l3_offset)();
        auto total = ip_length(b, ip);
        b.jump_if(room >= total.value(), whole);
    }
    if (parser.check_length) b.jump(parser.too_short);
    b.bind(whole);
    return {View<typename F::Header>(b, ip.base(), ip.offset()), std::move(header)};
}
template Headers<V4, wire::Tcp> parse_l4(const Parser&, const View<Ipv4>&, PacketPointer&);
template Headers<V4, wire::Udp> parse_l4(const Parser&, const View<Ipv4>&, PacketPointer&);
template Headers<V6, wire::Tcp> parse_l4(const Parser&, const View<Ipv6>&, PacketPointer&);
template Headers<V6, wire::Udp> parse_l4(const Parser&, const View<Ipv6>&, PacketPointer&);

} // namespace lb::datapath
