#include "model_tunnel.hpp"

#include <algorithm>

namespace lb::test {
namespace {

constexpr std::size_t ethernet = 14;

bool six(const Bytes& frame) { return number(frame, 12, 2) == 0x86dd; }

Address address_at(const Bytes& frame, std::size_t at, std::size_t size)
{
    return Address(std::span(frame).subspan(at, size));
}

u8 traffic_class(const Bytes& frame)
{
    return static_cast<u8>(six(frame) ? number(frame, ethernet, 2) >> 4 : frame[ethernet + 1]);
}

lab::Mac mac_at(const Bytes& frame, std::size_t at)
{
    lab::Mac mac{};
    std::copy_n(frame.begin() + static_cast<std::ptrdiff_t>(at), mac.size(), mac.begin());
    return mac;
}

} // namespace

std::string ModelTunnel::learn(const Bytes& out)
{
    const bool by6 = six(out);
    const std::size_t header = by6 ? 40 : 20;
    if (out.size() < ethernet + header + 8) return "the frame is too short for a tunnel";
    const Address to = by6 ? address_at(out, ethernet + 24, 16) : address_at(out, ethernet + 16, 4);
    u16 seen = 0;
    if (mode == ModelMode::gue)
        seen = static_cast<u16>(lb::test::number(out, ethernet + header, 2));
    else if (by6)
        seen = static_cast<u16>(lb::test::number(out, ethernet + 2, 2));
    if (!known) target = to;
    known = true;
    if (number == 0) number = seen;
    if (seen != 0 && seen < 49152) return "the connection's number is below the dynamic ports";
    return "";
}

Bytes encapsulated(const Bytes& frame, const ModelTunnel& tunnel)
{
    const bool by6 = tunnel.target.six();
    lab::Packet packet{.destination = mac_at(frame, 0),
                       .source = mac_at(frame, 6),
                       .tos = traffic_class(frame),
                       .id = 0,
                       .ttl = 64,
                       .saddr = by6 ? tunnel.source6 : tunnel.source4,
                       .daddr = tunnel.target,
                       .flow_label = tunnel.number};
    packet.payload = lab::quote(frame);
    if (tunnel.mode == ModelMode::gue)
        packet.l4 = lab::Udp{.sport = tunnel.number, .dport = tunnel.gue_port, .checksum = false};
    else
        packet.l4 = lab::Raw{static_cast<u8>(six(frame) ? 41 : 4)};
    Bytes out = lab::build(packet);
    // What is behind the packet in the frame stays there.
    const std::size_t end = ethernet + packet.payload.size();
    out.insert(out.end(), frame.begin() + static_cast<std::ptrdiff_t>(end), frame.end());
    return out;
}

Bytes too_big_answer(const Bytes& frame, u16 mtu, bool sent_back)
{
    const bool v6 = six(frame);
    lab::Packet packet{
        .destination = mac_at(frame, sent_back ? 6 : 0),
        .source = mac_at(frame, sent_back ? 0 : 6),
        .tos = static_cast<u8>(v6 ? 0 : 0xc0),
        .id = 0,
        .fragment = 0,
        .ttl = 64,
        .saddr = v6 ? address_at(frame, ethernet + 24, 16) : address_at(frame, ethernet + 16, 4),
        .daddr = v6 ? address_at(frame, ethernet + 8, 16) : address_at(frame, ethernet + 12, 4)};
    packet.l4 =
        v6 ? lab::Icmp{.type = 2, .code = 0, .rest = mtu} : lab::Icmp{.type = 3, .code = 4, .rest = mtu};
    packet.payload = lab::quote(frame, v6 ? 1232 : 504);
    return lab::build(packet);
}

} // namespace lb::test
