// ICMP errors about packets between IPv4 and IPv6, as they arrive and as they ought to leave.
#pragma once

#include "siit.hpp"

namespace lb::test {

/// An error about a packet of the connection that lb has sent on, and the same for who had sent it to lb.
struct ErrorCase {
    Packet sent = {};     ///< by lb
    Packet original = {}; ///< as the error is to quote it
    Address router = {};  ///< of the version of `sent`
    Address from = {};    ///< who the error is from, for who gets it

    ErrorCase(const Across& across, bool reply, Packet packet)
    {
        sent = across.expected(packet, reply, {});
        sent.id = 0x2222;
        original = packet;
        original.flow_label = 0;
        original.id = 0;
        original.fragment = lab::quote(lab::build(packet)).size() > 1260 ? 0x4000 : 0;
        router = lab::any_ip(sent.saddr.six() ? "2001:db8:99::1" : "203.0.113.99");
        from = packet.daddr;
    }
    Packet about(const Packet& packet, const lab::Icmp& icmp, const Address& source, std::size_t quoted) const
    {
        return {.tos = 0xc0,
                .id = 0x3333,
                .fragment = 0,
                .ttl = 60,
                .saddr = source,
                .daddr = packet.saddr,
                .l4 = icmp,
                .payload = lab::quote(lab::build(packet), quoted)};
    }
    Packet arrives(const lab::Icmp& icmp, std::size_t quoted) const
    {
        return about(sent, icmp, router, quoted);
    }
    /// `out`: its identification is free where it may be fragmented.
    Packet leaves(const lab::Icmp& icmp, std::size_t quoted, const Bytes& out) const
    {
        Packet packet = about(original, icmp, from, quoted);
        packet.id = 0;
        packet.fragment = 0x4000;
        if (packet.saddr.six() || lab::quote(lab::build(packet)).size() > 1260) return packet;
        packet.fragment = 0;
        if (const auto seen = lab::parse(out)) packet.id = seen->id;
        return packet;
    }
};

/// The length of its IP header, without options or extension headers.
inline std::size_t header(const Packet& packet) { return packet.saddr.six() ? 40 : 20; }

/// A packet of the connection with a traffic class and an ordinary number of hops left.
inline Packet packet_of(const Across& across, bool reply, std::size_t payload)
{
    Packet packet = reply ? across.reply() : across.request();
    packet.payload = lab::pattern(payload);
    packet.tos = 0xb8;
    packet.ttl = 33;
    packet.fragment = 0;
    return packet;
}

} // namespace lb::test
