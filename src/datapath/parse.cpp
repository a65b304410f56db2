#include "datapath/parse.hpp"

namespace lb::datapath {

using namespace bpf;
using wire::Ethernet;
using wire::Ipv4;

namespace {

// Goes to `whole` where the kernel says that the frame holds all of IPv4's total length.
void ask_length(Dsl& b, const View<Ipv4>& ip, const StackVar<u64>& context, Label whole)
{
    b.note("the frame's length over all of its buffers");
    auto ctx = b.let<u64>("ctx", context());
    auto room = b.call<u64>(Helper::xdp_get_buff_len, {std::move(ctx)}, "room");
    room -= u64{sizeof(Ethernet)};
    auto total = b.let_host("total length", ip(&Ipv4::total_length));
    b.jump_if(room >= total, whole);
}

} // namespace

View<Ipv4> claim_ipv4(Dsl& b, PacketBounds& packet, const WayOut& leave, const ParseReasons& reasons)
{
    b.note("parse Ethernet and IPv4");
    auto [ethernet, ip] = packet.claim<Ethernet, Ipv4>(leave(reasons.truncated));
    b.jump_if(ethernet(&Ethernet::type) != wire::ethertype_ipv4, leave(reasons.not_ipv4));
    return std::move(ip);
}

void check_ipv4(Dsl& b, const View<Ipv4>& ip, const WayOut& leave, const ParseReasons& reasons)
{
    b.note("no options, no fragment");
    b.if_(ip(&Ipv4::version_ihl) != wire::ipv4_version_ihl, [&] {
        auto version_ihl = b.let<u8>("version_ihl", ip(&Ipv4::version_ihl));
        b.jump_if(version_ihl < u8{0x45}, leave(reasons.bad_header));
        b.jump_if(version_ihl > u8{0x4f}, leave(reasons.bad_header));
        b.jump(leave(reasons.ip_options));
    });
    b.jump_if(ip(&Ipv4::fragment).has(wire::ipv4_more_fragments_or_offset), leave(reasons.fragment));
}

template <class L4>
Headers<L4> parse_l4(Dsl& b, PacketBounds& packet, const WayOut& leave, const ParseReasons& reasons,
                     const WireLength* wire)
{
    auto [ethernet, ip, l4] = packet.claim<Ethernet, Ipv4, L4>(leave(reasons.truncated));
    const Label whole = b.label("whole");
    {
        auto total = b.let_host("total length", ip(&Ipv4::total_length));
        b.jump_if(total < u16{sizeof(Ipv4) + sizeof(L4)}, leave(reasons.bad_header));
        if (wire) {
            auto room = packet.length("room");
            room -= u64{sizeof(Ethernet)};
            b.jump_if(room >= total, whole);
        }
    }
    if (wire) {
        if (wire->context) ask_length(b, ip, *wire->context, whole);
        b.jump(leave(reasons.truncated));
    }
    b.bind(whole);
    return {std::move(ip), std::move(l4)};
}
template Headers<wire::Tcp> parse_l4(Dsl&, PacketBounds&, const WayOut&, const ParseReasons&,
                                     const WireLength*);
template Headers<wire::Udp> parse_l4(Dsl&, PacketBounds&, const WayOut&, const ParseReasons&,
                                     const WireLength*);

} // namespace lb::datapath
