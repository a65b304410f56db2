#include "datapath/parse.hpp"

namespace lb::datapath {

using namespace bpf;
using wire::Ethernet;
using wire::Ipv4;

View<Ipv4> parse_ipv4(Dsl& b, PacketBounds& packet, Ways& ways, const ParseReasons& reasons)
{
    b.note("parse Ethernet and IPv4");
    auto [ethernet, ip] = packet.claim<Ethernet, Ipv4>(ways.to(reasons.truncated));
    b.jump_if(ethernet(&Ethernet::type) != wire::ethertype_ipv4, ways.to(reasons.not_ipv4));
    b.if_(ip(&Ipv4::version_ihl) != wire::ipv4_version_ihl, [&] {
        auto version_ihl = b.let<u8>("version_ihl", ip(&Ipv4::version_ihl));
        b.jump_if(version_ihl < u8{0x45}, ways.to(reasons.bad_header));
        b.jump_if(version_ihl > u8{0x4f}, ways.to(reasons.bad_header));
        b.jump(ways.to(reasons.ip_options));
    });
    b.jump_if(ip(&Ipv4::fragment).has(wire::ipv4_more_fragments_or_offset), ways.to(reasons.fragment));
    return std::move(ip);
}

template <class L4>
Headers<L4> parse_l4(Dsl& b, PacketBounds& packet, Ways& ways, const ParseReasons& reasons, bool on_wire)
{
    auto [ethernet, ip, l4] = packet.claim<Ethernet, Ipv4, L4>(ways.to(reasons.truncated));
    auto total = b.let_host("total length", ip(&Ipv4::total_length));
    b.jump_if(total < u16{sizeof(Ipv4) + sizeof(L4)}, ways.to(reasons.bad_header));
    if (on_wire) {
        auto room = packet.length("room");
        room -= u64{sizeof(Ethernet)};
        b.jump_if(room < total, ways.to(reasons.truncated));
    }
    return {std::move(ip), std::move(l4)};
}
template Headers<wire::Tcp> parse_l4(Dsl&, PacketBounds&, Ways&, const ParseReasons&, bool);
template Headers<wire::Udp> parse_l4(Dsl&, PacketBounds&, Ways&, const ParseReasons&, bool);

} // namespace lb::datapath
