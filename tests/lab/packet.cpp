#include "lab/packet.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "lab/headers.hpp"

namespace lb::lab {
namespace {

u8 protocol_of(const Packet& packet)
{
    if (std::holds_alternative<Tcp>(packet.l4)) return proto_tcp;
    if (std::holds_alternative<Udp>(packet.l4)) return proto_udp;
    if (std::holds_alternative<Icmp>(packet.l4)) return packet.saddr.six() ? proto_icmp6 : proto_icmp;
    return std::get<Raw>(packet.l4).protocol;
}

void add_l4(Bytes& out, const Packet& packet)
{
    if (const auto* t = std::get_if<Tcp>(&packet.l4)) {
        add16(out, t->sport);
        add16(out, t->dport);
        add32(out, t->seq);
        add32(out, t->ack);
        add8(out, static_cast<u32>((tcp_min + t->options.size()) / 4) << 4);
        add8(out, t->flags);
        add16(out, t->window);
        add16(out, 0);
        add16(out, t->urgent);
        add(out, t->options);
    } else if (const auto* u = std::get_if<Udp>(&packet.l4)) {
        add16(out, u->sport);
        add16(out, u->dport);
        add16(out, static_cast<u32>(udp_size + packet.payload.size()));
        add16(out, 0);
    } else if (const auto* i = std::get_if<Icmp>(&packet.l4)) {
        add8(out, i->type);
        add8(out, i->code);
        add16(out, 0);
        add32(out, i->rest);
    }
    add(out, packet.payload);
}

void add_ethernet(Bytes& out, const Packet& packet)
{
    add(out, packet.destination);
    add(out, packet.source);
    for (std::size_t i = 0; i < packet.vlans.size(); ++i) {
        add16(out, packet.vlans.size() == 2 && i == 0 ? 0x88a8 : 0x8100);
        add16(out, packet.vlans[i]);
    }
    add16(out, packet.saddr.six() ? 0x86dd : 0x0800);
}

void add_ipv4(Bytes& out, const Packet& packet, std::size_t l4_size)
{
    const std::size_t header = ipv4_min + packet.options.size();
    add8(out, static_cast<u32>(0x40 | header / 4));
    add8(out, packet.tos);
    add16(out, static_cast<u32>(header + l4_size));
    add16(out, packet.id);
    add16(out, packet.fragment);
    add8(out, packet.ttl);
    add8(out, protocol_of(packet));
    add16(out, 0);
    add(out, packet.saddr.bytes());
    add(out, packet.daddr.bytes());
    add(out, packet.options);
}

// The second byte: reserved, or a length in units of 8 (authentication: of 4) beyond the first ones.
u32 length_byte(const Extension& extension)
{
    const std::size_t size = extension.content.size() + 2;
    if (extension.type == ext_fragment) return 0;
    return static_cast<u32>(extension.type == ext_authentication ? size / 4 - 2 : size / 8 - 1);
}

void add_ipv6(Bytes& out, const Packet& packet, std::size_t l4_size)
{
    std::size_t payload = l4_size;
    for (const auto& each : packet.extensions) payload += 2 + each.content.size();
    add32(out, u32{6} << 28 | static_cast<u32>(packet.tos) << 20 | packet.flow_label);
    add16(out, static_cast<u32>(payload));
    add8(out, packet.extensions.empty() ? protocol_of(packet) : packet.extensions.front().type);
    add8(out, packet.ttl);
    add(out, packet.saddr.bytes());
    add(out, packet.daddr.bytes());
    for (std::size_t i = 0; i < packet.extensions.size(); ++i) {
        const bool last = i + 1 == packet.extensions.size();
        add8(out, last ? protocol_of(packet) : packet.extensions[i + 1].type);
        add8(out, length_byte(packet.extensions[i]));
        add(out, packet.extensions[i].content);
    }
}

// Reads the L4 header at `shape`; `at` moves to its end.
std::optional<L4> parse_l4(std::span<const u8> frame, const Shape& shape, std::size_t& at)
{
    const std::size_t room = shape.l4_length();
    if (!shape.first_fragment) return Raw{shape.protocol};
    if (shape.protocol == proto_tcp) {
        if (room < tcp_min) return std::nullopt;
        const std::size_t header = (frame[at + 12] >> 4) * std::size_t{4};
        if (header < tcp_min || header > room) return std::nullopt;
        Tcp t{.sport = get16(frame, at), .dport = get16(frame, at + 2), .seq = get32(frame, at + 4)};
        t.ack = get32(frame, at + 8);
        t.flags = frame[at + 13];
        t.window = get16(frame, at + 14);
        t.urgent = get16(frame, at + 18);
        t.options = slice(frame, at + tcp_min, at + header);
        at += header;
        return t;
    }
    if (shape.protocol == proto_udp) {
        if (room < udp_size) return std::nullopt;
        Udp u{
            .sport = get16(frame, at), .dport = get16(frame, at + 2), .checksum = get16(frame, at + 6) != 0};
        at += udp_size;
        return u;
    }
    if (shape.protocol == (shape.version == 4 ? proto_icmp : proto_icmp6)) {
        if (room < icmp_size) return std::nullopt;
        Icmp i{.type = frame[at], .code = frame[at + 1], .rest = get32(frame, at + 4)};
        at += icmp_size;
        return i;
    }
    return Raw{shape.protocol};
}

void parse_ip(std::span<const u8> frame, const Shape& shape, Packet& p)
{
    const std::size_t at = shape.ip_at;
    if (shape.version == 4) {
        p.tos = frame[at + 1];
        p.id = get16(frame, at + 4);
        p.fragment = get16(frame, at + 6);
        p.ttl = frame[at + 8];
        p.saddr = Address(frame.subspan(at + 12, 4));
        p.daddr = Address(frame.subspan(at + 16, 4));
        p.options = slice(frame, at + ipv4_min, shape.l4_at);
        return;
    }
    p.tos = static_cast<u8>(get16(frame, at) >> 4);
    p.flow_label = get32(frame, at) & 0xfffff;
    p.ttl = frame[at + 7];
    p.saddr = Address(frame.subspan(at + 8, 16));
    p.daddr = Address(frame.subspan(at + 24, 16));
    for (const auto& each : shape.extensions)
        p.extensions.push_back({each.type, slice(frame, each.at + 2, each.at + each.size)});
}

// Padding as RFC 8200, 4.2 has it: PadN with its length, then zeros.
Extension padding(u8 type, std::size_t size)
{
    Extension out{.type = type, .content = Bytes(size - 2, 0)};
    out.content[0] = 1;
    out.content[1] = static_cast<u8>(std::min<std::size_t>(size - 4, 255));
    return out;
}

} // namespace

Extension hop_by_hop(std::size_t size) { return padding(ext_hop_by_hop, size); }
Extension destination_options(std::size_t size) { return padding(ext_destination, size); }

Extension routing(u8 segments_left, u8 type, std::size_t addresses)
{
    Extension out{.type = ext_routing, .content = Bytes(6 + 16 * addresses, 0)};
    out.content[0] = type;
    out.content[1] = segments_left;
    return out;
}

Extension fragment_header(u16 offset, bool more, u32 id)
{
    Extension out{.type = ext_fragment, .content = {}};
    add16(out.content, offset | (more ? 1U : 0U));
    add32(out.content, id);
    return out;
}

Extension authentication() { return {.type = ext_authentication, .content = Bytes(22, 0x5c)}; }

Bytes text(std::string_view characters) { return {characters.begin(), characters.end()}; }

Bytes pattern(std::size_t count)
{
    Bytes out(count);
    for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<u8>(i % 251);
    return out;
}

Bytes build(const Packet& packet)
{
    if (packet.saddr.version != packet.daddr.version) {
        std::fprintf(stderr, "a packet from %s to %s\n", ip_text(packet.saddr).c_str(),
                     ip_text(packet.daddr).c_str());
        std::abort();
    }
    Bytes l4;
    add_l4(l4, packet);
    Bytes out;
    add_ethernet(out, packet);
    if (packet.saddr.six())
        add_ipv6(out, packet, l4.size());
    else
        add_ipv4(out, packet, l4.size());
    const std::size_t l4_at = out.size();
    add(out, l4);
    recompute_checksums(out);
    const auto* u = std::get_if<Udp>(&packet.l4);
    if (u != nullptr && !u->checksum) put16(out, l4_at + 6, 0);
    return out;
}

std::optional<Packet> parse(std::span<const u8> frame)
{
    const auto shape = shape_of(frame);
    if (!shape) return std::nullopt;
    Packet p;
    std::copy_n(frame.begin(), 6, p.destination.begin());
    std::copy_n(frame.begin() + 6, 6, p.source.begin());
    for (std::size_t at = eth_size; at < shape->ip_at; at += vlan_size) p.vlans.push_back(get16(frame, at));
    parse_ip(frame, *shape, p);
    std::size_t at = shape->l4_at;
    auto l4 = parse_l4(frame, *shape, at);
    if (!l4) return std::nullopt;
    p.l4 = std::move(*l4);
    p.payload = slice(frame, at, shape->end);
    return p;
}

std::vector<Bytes> split(const Packet& packet, std::size_t room, u32 id)
{
    const Bytes whole = build(packet);
    const auto shape = shape_of(whole);
    Packet piece = packet;
    std::size_t from = shape->l4_at; // of what is cut into pieces
    piece.l4 = Raw{shape->protocol};
    std::size_t kept = 0;
    for (std::size_t i = 0; i < packet.extensions.size(); ++i)
        if (packet.extensions[i].type == ext_hop_by_hop || packet.extensions[i].type == ext_routing)
            kept = i + 1;
    if (kept < packet.extensions.size()) {
        from = shape->extensions[kept].at;
        piece.l4 = Raw{shape->extensions[kept].type};
    }
    std::vector<Bytes> out;
    for (std::size_t at = from; at < shape->end; at += room) {
        const std::size_t end = std::min(at + room, shape->end);
        const bool more = end < shape->end;
        piece.payload = slice(whole, at, end);
        if (packet.saddr.six()) {
            piece.extensions = packet.extensions;
            piece.extensions.resize(kept);
            piece.extensions.push_back(fragment_header(static_cast<u16>(at - from), more, id));
        } else {
            piece.id = static_cast<u16>(id);
            piece.fragment = static_cast<u16>((at - from) / 8 | (more ? 0x2000U : 0U));
        }
        out.push_back(build(piece));
    }
    return out;
}

Bytes quote(std::span<const u8> frame, std::size_t size)
{
    const auto shape = shape_of(frame);
    if (!shape) return {};
    return slice(frame, shape->ip_at, std::min(shape->end, shape->ip_at + size));
}

std::size_t ip_header_size(std::span<const u8> frame)
{
    const auto shape = shape_of(frame);
    return shape ? shape->l4_at - shape->ip_at : 0;
}

} // namespace lb::lab
