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
    const Label bare = b.label("no L4 header");
    b.jump_if(ip(&Ipv4::fragment).has(wire::ipv4_fragment_offset), bare);
    length += u64{sizeof(wire::Udp)};
    b.if_(ip(&Ipv4::protocol) == wire::protocol_tcp,
          [&] { length += u64{sizeof(wire::Tcp) - sizeof(wire::Udp)}; });
    b.bind(bare);
    b.jump_if(length > total.value(), parser.leave(parser.reasons.bad_header));
    b.jump(plain);
}

// A fragment header: its identification is kept, and what has no ports goes its own way.
void read_fragment(const Parser& parser, const Frame<V6>& frame, const View<Ipv6>& ip, PacketPointer& l4,
                   Label later, Label done)
{
    using model::FlowKey6;
    using wire::Ipv6Fragment;
    Dsl& b = parser.b;
    auto [header] = l4.claim<Ipv6Fragment>(parser.too_short);
    // It is where others have their length: 0 there means 8 bytes, which is what this header has.
    b.jump_if(header(&Ipv6Fragment::reserved) != u8{0}, parser.leave(parser.reasons.extension_header));
    if (parser.fragment_header) parser.fragment_header->copy_from(header);
    // RFC 6946: offset 0 and nothing to follow is a whole packet.
    b.jump_unless(header(&Ipv6Fragment::offset).has(wire::ipv6_more_fragments_or_offset), done);
    {
        auto id = b.let_bits<u64>("identification", header(&Ipv6Fragment::id));
        auto mark = b.let<u64>("mark", fragment_mark);
        id |= mark.value();
        frame.fragment() = id;
    }
    b.jump_unless(header(&Ipv6Fragment::offset).has(wire::ipv6_fragment_offset), done);
    copy_address(frame.key(&FlowKey6::saddr), ip(&Ipv6::saddr));
    copy_address(frame.key(&FlowKey6::daddr), ip(&Ipv6::daddr));
    b.jump(later);
}

// One extension header; `next` becomes what follows it. All kinds share the code that steps over them: where
// each had its own, the verifier would have to follow every sequence of kinds to its end.
void skip_extension(const Parser& parser, const Frame<V6>& frame, const View<Ipv6>& ip, PacketPointer& l4,
                    Var<u8>& next, Label later_fragment)
{
    Dsl& b = parser.b;
    const Label known = b.label("extension header"), step = b.label("step over it"),
                no_fragment = b.label("no fragment header");
    for (const u8 kind : {wire::ipv6_hop_by_hop, wire::ipv6_destination, wire::ipv6_fragment})
        b.jump_if(next == kind, known);
    b.jump_if(next != wire::ipv6_routing, parser.leave(parser.reasons.other_protocol));
    b.bind(known);
    auto [header] = l4.claim<wire::Ipv6Extension>(parser.too_short);
    b.jump_if(next != wire::ipv6_fragment, no_fragment);
    read_fragment(parser, frame, ip, l4, later_fragment, step);
    b.bind(no_fragment);
    b.jump_if(next != wire::ipv6_routing, step);
    // RFC 8200, 4.4: with segments left, this is not the packet's last destination, of which L4's checksum
    // is.
    b.jump_if(header(&wire::Ipv6Extension::segments_left) != u8{0},
              parser.leave(parser.reasons.extension_header));
    b.bind(step);
    next = header(&wire::Ipv6Extension::next_header);
    auto length = b.let<u64>("extension length", header(&wire::Ipv6Extension::length));
    length += 1;
    length <<= 3;
    l4.advance(length);
}

// Extension headers in all may have so many bytes.
constexpr u32 extension_bytes_max = 2048;

// The payload must hold the extension headers and L4. The pointer to L4 is made anew from its distance: the
// verifier forgets by which headers it has come there, and has one case to follow instead of each.
void check_payload(const Parser& parser, const View<Ipv6>& ip, PacketPointer& l4, u32 header)
{
    Dsl& b = parser.b;
    auto used = l4.distance_from(parser.packet, "used");
    b.jump_if(used > u64{sizeof(Ipv6) + extension_bytes_max}, parser.leave(parser.reasons.extension_header));
    l4.move_to(parser.packet);
    l4.advance(used);
    used -= u64{sizeof(Ipv6) - header};
    auto payload = b.let_host_as<u64>("payload length", ip(&Ipv6::payload_length));
    b.jump_if(used > payload.value(), parser.leave(parser.reasons.bad_header));
}

void skip_extensions(const Parser& parser, const Frame<V6>& frame, const View<Ipv6>& ip, PacketPointer& l4,
                     Var<u8>& next, const Transports& to)
{
    Dsl& b = parser.b;
    const Label tcp = b.label("tcp behind extension headers"), udp = b.label("udp behind extension headers"),
                icmp = b.label("icmp behind extension headers");
    for (u32 i = 0; i < extension_headers_max; ++i) {
        b.note("IPv6 extension header");
        skip_extension(parser, frame, ip, l4, next, to.later_fragment);
        b.jump_if(next == wire::protocol_tcp, tcp);
        b.jump_if(next == wire::protocol_udp, udp);
        b.jump_if(next == wire::protocol_icmpv6, icmp);
    }
    for (const u8 kind :
         {wire::ipv6_hop_by_hop, wire::ipv6_destination, wire::ipv6_fragment, wire::ipv6_routing})
        b.jump_if(next == kind, parser.leave(parser.reasons.extension_header));
    b.jump(parser.leave(parser.reasons.other_protocol));
    next.release();
    b.bind(tcp);
    check_payload(parser, ip, l4, sizeof(wire::Tcp));
    b.jump(to.tcp);
    b.bind(udp);
    check_payload(parser, ip, l4, sizeof(wire::Udp));
    b.jump(to.udp);
    b.bind(icmp);
    check_payload(parser, ip, l4, sizeof(wire::Icmp));
    b.jump(to.icmp);
}

// IEEE 802, 8.2: the first bit that is sent.
struct GroupBit {
    u8 byte = 0;
};
constexpr u8 group_address = 1;

} // namespace

View<Ipv4> parse_ethernet(const Parser& parser, std::optional<Label> v4, std::optional<Label> v6)
{
    Dsl& b = parser.b;
    b.note("parse Ethernet");
    auto [ethernet, first] = parser.packet.claim<Ethernet, Ipv4>(parser.too_short);
    if (parser.not_unicast) {
        const View<GroupBit> destination(b, ethernet.base(), ethernet.offset());
        b.jump_if(destination(&GroupBit::byte).has(group_address), *parser.not_unicast);
    }
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

void parse_ip(const Parser& parser, const Frame<V4>& frame, const View<Ipv4>& ip, PacketPointer& l4,
              const Transports& to)
{
    using model::FlowKey4;
    Dsl& b = parser.b;
    b.note("IPv4: options, fragment, protocol");
    const Label options = b.label("options"), plain = b.label("L4 found"), fragment = b.label("fragment"),
                first = b.label("with ports");
    b.jump_if(ip(&Ipv4::version_ihl) != wire::ipv4_version_ihl, options);
    b.bind(plain);
    b.jump_if(ip(&Ipv4::fragment).has(wire::ipv4_more_fragments_or_offset), fragment);
    b.bind(first);
    {
        auto protocol = b.let<u8>("protocol", ip(&Ipv4::protocol));
        b.jump_if(protocol == wire::protocol_tcp, to.tcp);
        b.jump_if(protocol == wire::protocol_udp, to.udp);
        b.jump_if(protocol == wire::protocol_icmp, to.icmp);
        b.jump(parser.leave(parser.reasons.other_protocol));
    }
    b.bind(options);
    skip_options(parser, ip, l4, plain);
    b.note("an IPv4 fragment");
    b.bind(fragment);
    b.jump_unless(ip(&Ipv4::fragment).has(wire::ipv4_fragment_offset), first);
    copy_address(frame.key(&FlowKey4::saddr), ip(&Ipv4::saddr));
    copy_address(frame.key(&FlowKey4::daddr), ip(&Ipv4::daddr));
    frame.key(&FlowKey4::protocol) = ip(&Ipv4::protocol);
    b.jump(to.later_fragment);
}

void parse_ip(const Parser& parser, const Frame<V6>& frame, const View<Ipv6>& ip, PacketPointer& l4,
              const Transports& to)
{
    Dsl& b = parser.b;
    b.note("IPv6: version, next header");
    frame.fragment() = u64{0};
    {
        auto version = b.let<be32>("version", ip(&Ipv6::version_class_label));
        version &= wire::ipv6_version_mask;
        b.jump_if(version != wire::ipv6_version, parser.leave(parser.reasons.bad_header));
    }
    auto next = b.let<u8>("next header", ip(&Ipv6::next_header));
    b.jump_if(next == wire::protocol_tcp, to.tcp);
    b.jump_if(next == wire::protocol_udp, to.udp);
    b.jump_if(next == wire::protocol_icmpv6, to.icmp);
    skip_extensions(parser, frame, ip, l4, next, to);
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

template <class Header> void check_whole(const Parser& parser, const View<Header>& ip, u32 least)
{
    Dsl& b = parser.b;
    const Label whole = b.label("whole");
    {
        auto total = ip_length(b, ip);
        b.jump_if(total < u64{least}, parser.leave(parser.reasons.bad_header));
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
}
template void check_whole(const Parser&, const View<Ipv4>&, u32);
template void check_whole(const Parser&, const View<Ipv6>&, u32);

template <class F, class L4>
Headers<F, L4> parse_l4(const Parser& parser, const View<typename F::Header>& ip, PacketPointer& l4)
{
    auto [header] = l4.template claim<L4>(parser.too_short);
    check_whole(parser, ip, sizeof(typename F::Header) + sizeof(L4));
    return {View<typename F::Header>(parser.b, ip.base(), ip.offset()), std::move(header)};
}
template Headers<V4, wire::Tcp> parse_l4(const Parser&, const View<Ipv4>&, PacketPointer&);
template Headers<V4, wire::Udp> parse_l4(const Parser&, const View<Ipv4>&, PacketPointer&);
template Headers<V6, wire::Tcp> parse_l4(const Parser&, const View<Ipv6>&, PacketPointer&);
template Headers<V6, wire::Udp> parse_l4(const Parser&, const View<Ipv6>&, PacketPointer&);

} // namespace lb::datapath
