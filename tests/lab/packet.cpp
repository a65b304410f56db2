#include "lab/packet.hpp"

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace lb::lab {
namespace {

constexpr std::size_t eth_size = 14;
constexpr std::size_t vlan_size = 4;
constexpr std::size_t ip_min = 20;
constexpr std::size_t tcp_min = 20;
constexpr std::size_t udp_size = 8;
constexpr std::size_t icmp_size = 8;
constexpr u8 icmp = 1, tcp = 6, udp = 17;

// Where the parts of a frame lie, and what its IPv4 header says.
struct Shape {
    std::size_t ip_at = 0;
    std::size_t l4_at = 0;
    std::size_t end = 0; // by the IPv4 total length
    u8 protocol = 0;
    bool first_fragment = true;
};

u16 get16(std::span<const u8> bytes, std::size_t at)
{
    return static_cast<u16>(bytes[at] << 8 | bytes[at + 1]);
}
u32 get32(std::span<const u8> bytes, std::size_t at)
{
    return static_cast<u32>(get16(bytes, at)) << 16 | get16(bytes, at + 2);
}
void put16(std::span<u8> bytes, std::size_t at, u32 value)
{
    bytes[at] = static_cast<u8>(value >> 8);
    bytes[at + 1] = static_cast<u8>(value);
}
void add8(Bytes& out, u32 value) { out.push_back(static_cast<u8>(value)); }
void add16(Bytes& out, u32 value)
{
    add8(out, value >> 8);
    add8(out, value);
}
void add32(Bytes& out, u32 value)
{
    add16(out, value >> 16);
    add16(out, value);
}
void add(Bytes& out, std::span<const u8> more) { out.insert(out.end(), more.begin(), more.end()); }

Bytes slice(std::span<const u8> bytes, std::size_t from, std::size_t to)
{
    const auto part = bytes.subspan(from, to - from);
    return {part.begin(), part.end()};
}

std::optional<Shape> shape_of(std::span<const u8> frame)
{
    std::size_t at = 12;
    while (frame.size() >= at + 2 + vlan_size && (get16(frame, at) == 0x8100 || get16(frame, at) == 0x88a8))
        at += vlan_size;
    Shape shape{.ip_at = at + 2};
    if (frame.size() < shape.ip_at + ip_min || get16(frame, at) != 0x0800) return std::nullopt;
    const u8 version_ihl = frame[shape.ip_at];
    const std::size_t header = (version_ihl & 15U) * std::size_t{4};
    shape.l4_at = shape.ip_at + header;
    shape.end = shape.ip_at + get16(frame, shape.ip_at + 2);
    if (version_ihl >> 4 != 4 || header < ip_min || shape.end > frame.size() || shape.l4_at > shape.end)
        return std::nullopt;
    shape.protocol = frame[shape.ip_at + 9];
    shape.first_fragment = (get16(frame, shape.ip_at + 6) & 0x1fff) == 0;
    return shape;
}

// The offset of the checksum within the L4 header; nothing where we know none or the header is cut short.
std::optional<std::size_t> checksum_at(const Shape& shape)
{
    const std::size_t room = shape.end - shape.l4_at;
    if (!shape.first_fragment) return std::nullopt;
    if (shape.protocol == tcp && room >= tcp_min) return shape.l4_at + 16;
    if (shape.protocol == udp && room >= udp_size) return shape.l4_at + 6;
    if (shape.protocol == icmp && room >= icmp_size) return shape.l4_at + 2;
    return std::nullopt;
}

u16 pseudo_header_sum(std::span<const u8> frame, const Shape& shape)
{
    const u32 length = static_cast<u32>(shape.end - shape.l4_at);
    return ones_sum(frame.subspan(shape.ip_at + 12, 8), shape.protocol + length);
}

u16 l4_sum(std::span<const u8> frame, const Shape& shape)
{
    const u32 start = shape.protocol == icmp ? 0 : pseudo_header_sum(frame, shape);
    return ones_sum(frame.subspan(shape.l4_at, shape.end - shape.l4_at), start);
}

u8 protocol_of(const Packet& packet)
{
    if (std::holds_alternative<Tcp>(packet.l4)) return tcp;
    if (std::holds_alternative<Udp>(packet.l4)) return udp;
    if (std::holds_alternative<Icmp>(packet.l4)) return icmp;
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
}

// Reads the L4 header at `shape`; `at` moves to its end.
std::optional<std::variant<Tcp, Udp, Icmp, Raw>> parse_l4(std::span<const u8> frame, const Shape& shape,
                                                          std::size_t& at)
{
    const std::size_t room = shape.end - shape.l4_at;
    if (!shape.first_fragment) return Raw{shape.protocol};
    if (shape.protocol == tcp) {
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
    if (shape.protocol == udp) {
        if (room < udp_size) return std::nullopt;
        Udp u{
            .sport = get16(frame, at), .dport = get16(frame, at + 2), .checksum = get16(frame, at + 6) != 0};
        at += udp_size;
        return u;
    }
    if (shape.protocol == icmp) {
        if (room < icmp_size) return std::nullopt;
        Icmp i{.type = frame[at], .code = frame[at + 1], .rest = get32(frame, at + 4)};
        at += icmp_size;
        return i;
    }
    return Raw{shape.protocol};
}

std::string flags_text(u8 flags)
{
    std::string out;
    for (int bit = 0; bit < 6; ++bit)
        if ((flags >> bit & 1) != 0) out += "FSRP.U"[bit];
    return out;
}

} // namespace

u32 ip(std::string_view dotted_quad)
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    char rest = 0;
    const std::string copy(dotted_quad);
    if (std::sscanf(copy.c_str(), "%3u.%3u.%3u.%3u%c", &a, &b, &c, &d, &rest) != 4 || a > 255 || b > 255 ||
        c > 255 || d > 255) {
        std::fprintf(stderr, "'%s' is not an IPv4 address\n", copy.c_str());
        std::abort();
    }
    return a << 24 | b << 16 | c << 8 | d;
}

std::string ip_text(u32 address)
{
    std::string out = std::to_string(address >> 24);
    for (int shift = 16; shift >= 0; shift -= 8) out += '.' + std::to_string(address >> shift & 255);
    return out;
}

Bytes text(std::string_view characters) { return {characters.begin(), characters.end()}; }

Bytes pattern(std::size_t count)
{
    Bytes out(count);
    for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<u8>(i % 251);
    return out;
}

Bytes build(const Packet& packet)
{
    Bytes l4;
    add_l4(l4, packet);
    Bytes out;
    add(out, packet.destination);
    add(out, packet.source);
    for (std::size_t i = 0; i < packet.vlans.size(); ++i) {
        add16(out, packet.vlans.size() == 2 && i == 0 ? 0x88a8 : 0x8100);
        add16(out, packet.vlans[i]);
    }
    add16(out, 0x0800);
    const std::size_t header = ip_min + packet.options.size();
    add8(out, static_cast<u32>(0x40 | header / 4));
    add8(out, packet.tos);
    add16(out, static_cast<u32>(header + l4.size() + packet.payload.size()));
    add16(out, packet.id);
    add16(out, packet.fragment);
    add8(out, packet.ttl);
    add8(out, protocol_of(packet));
    add16(out, 0);
    add32(out, packet.saddr);
    add32(out, packet.daddr);
    add(out, packet.options);
    const std::size_t l4_at = out.size();
    add(out, l4);
    add(out, packet.payload);
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
    for (std::size_t i = 0; i < 6; ++i) {
        p.destination[i] = frame[i];
        p.source[i] = frame[6 + i];
    }
    for (std::size_t at = eth_size; at < shape->ip_at; at += vlan_size) p.vlans.push_back(get16(frame, at));
    p.tos = frame[shape->ip_at + 1];
    p.id = get16(frame, shape->ip_at + 4);
    p.fragment = get16(frame, shape->ip_at + 6);
    p.ttl = frame[shape->ip_at + 8];
    p.saddr = get32(frame, shape->ip_at + 12);
    p.daddr = get32(frame, shape->ip_at + 16);
    p.options = slice(frame, shape->ip_at + ip_min, shape->l4_at);
    std::size_t at = shape->l4_at;
    auto l4 = parse_l4(frame, *shape, at);
    if (!l4) return std::nullopt;
    p.l4 = std::move(*l4);
    p.payload = slice(frame, at, shape->end);
    return p;
}

std::string describe(std::span<const u8> frame)
{
    const auto p = parse(frame);
    if (!p) return "not a whole IPv4 frame, " + std::to_string(frame.size()) + " bytes";
    std::string from = ip_text(p->saddr), to = ip_text(p->daddr), kind;
    if (const auto* t = std::get_if<Tcp>(&p->l4)) {
        from += ':' + std::to_string(t->sport);
        to += ':' + std::to_string(t->dport);
        kind = "tcp " + flags_text(t->flags);
    } else if (const auto* u = std::get_if<Udp>(&p->l4)) {
        from += ':' + std::to_string(u->sport);
        to += ':' + std::to_string(u->dport);
        kind = "udp";
    } else {
        kind = "protocol " + std::to_string(protocol_of(*p));
    }
    return from + " > " + to + ' ' + kind + " len " + std::to_string(p->payload.size());
}

u16 ones_sum(std::span<const u8> bytes, u32 start)
{
    u64 sum = start;
    for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) sum += get16(bytes, i);
    if (bytes.size() % 2 == 1) sum += static_cast<u32>(bytes.back()) << 8;
    while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<u16>(sum);
}

std::string checksum_fault(std::span<const u8> frame)
{
    const auto shape = shape_of(frame);
    if (!shape) return "not a whole IPv4 frame";
    if (ones_sum(frame.subspan(shape->ip_at, shape->l4_at - shape->ip_at)) != 0xffff) return "IPv4 header";
    // The sum of a fragmented datagram spans its fragments and cannot be judged from one.
    if ((get16(frame, shape->ip_at + 6) & 0x3fff) != 0) return "";
    const auto at = checksum_at(*shape);
    if (!at) return shape->protocol == tcp || shape->protocol == udp ? "L4 header cut short" : "";
    if (shape->protocol == udp && get16(frame, *at) == 0) return "";
    if (l4_sum(frame, *shape) == 0xffff) return "";
    return shape->protocol == tcp ? "TCP" : shape->protocol == udp ? "UDP" : "ICMP";
}

void recompute_checksums(std::span<u8> frame)
{
    const auto shape = shape_of(frame);
    if (!shape) return;
    put16(frame, shape->ip_at + 10, 0);
    put16(frame, shape->ip_at + 10,
          0xffffU ^ ones_sum(frame.subspan(shape->ip_at, shape->l4_at - shape->ip_at)));
    const auto at = checksum_at(*shape);
    if (!at) return;
    put16(frame, *at, 0);
    u32 check = 0xffffU ^ l4_sum(frame, *shape);
    if (check == 0 && shape->protocol == udp) check = 0xffff;
    put16(frame, *at, check);
}

PartialChecksum make_partial(std::span<u8> frame)
{
    const auto shape = shape_of(frame);
    const auto at = shape ? checksum_at(*shape) : std::nullopt;
    if (!at) return {};
    put16(frame, *at, pseudo_header_sum(frame, *shape));
    return {static_cast<u16>(shape->l4_at), static_cast<u16>(*at - shape->l4_at)};
}

bool complete_partial(std::span<u8> frame, PartialChecksum where)
{
    if (where.start > frame.size() || where.start + where.offset + 2U > frame.size()) return false;
    const u32 sum = ones_sum(frame.subspan(where.start));
    put16(frame, where.start + std::size_t{where.offset}, sum == 0xffff ? 0xffffU : 0xffffU ^ sum);
    return true;
}

} // namespace lb::lab
