#include "lab/headers.hpp"

namespace lb::lab {
namespace {

constexpr u16 type_vlan = 0x8100, type_qinq = 0x88a8, type_ipv4 = 0x0800, type_ipv6 = 0x86dd;

std::optional<Shape> shape_of_v4(std::span<const u8> bytes, std::size_t at)
{
    if (bytes.size() < at + ipv4_min) return std::nullopt;
    Shape shape{.version = 4, .ip_at = at};
    const std::size_t header = (bytes[at] & 15U) * std::size_t{4};
    shape.l4_at = at + header;
    shape.end = at + get16(bytes, at + 2);
    if (header < ipv4_min || shape.l4_at > bytes.size() || shape.l4_at > shape.end) return std::nullopt;
    shape.protocol = bytes[at + 9];
    shape.fragmented = (get16(bytes, at + 6) & 0x3fff) != 0;
    shape.first_fragment = (get16(bytes, at + 6) & 0x1fff) == 0;
    return shape;
}

bool is_extension(u8 type)
{
    return type == ext_hop_by_hop || type == ext_routing || type == ext_fragment ||
           type == ext_authentication || type == ext_destination;
}

std::optional<Shape> shape_of_v6(std::span<const u8> bytes, std::size_t at)
{
    if (bytes.size() < at + ipv6_size) return std::nullopt;
    Shape shape{.version = 6, .ip_at = at, .l4_at = at + ipv6_size};
    shape.end = shape.l4_at + get16(bytes, at + 4);
    shape.protocol = bytes[at + 6];
    while (shape.first_fragment && is_extension(shape.protocol)) {
        if (bytes.size() < shape.l4_at + 8) return std::nullopt;
        ExtensionPlace here{.type = shape.protocol, .at = shape.l4_at, .size = 8};
        const u8 length = bytes[here.at + 1];
        if (here.type == ext_authentication)
            here.size = (length + 2U) * std::size_t{4}; // RFC 4302, 2.2
        else if (here.type != ext_fragment)
            here.size = (length + 1U) * std::size_t{8};
        if (here.type == ext_fragment) {
            shape.fragmented = (get16(bytes, here.at + 2) & 0xfff9) != 0; // all but the reserved bits
            shape.first_fragment = (get16(bytes, here.at + 2) & 0xfff8) == 0;
        }
        shape.protocol = bytes[here.at];
        shape.l4_at += here.size;
        if (bytes.size() < shape.l4_at) return std::nullopt;
        shape.extensions.push_back(here);
    }
    if (shape.l4_at > shape.end) return std::nullopt;
    return shape;
}

} // namespace

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

std::optional<Shape> shape_of_ip(std::span<const u8> bytes, std::size_t ip_at)
{
    if (bytes.size() <= ip_at) return std::nullopt;
    if (bytes[ip_at] >> 4 == 4) return shape_of_v4(bytes, ip_at);
    if (bytes[ip_at] >> 4 == 6) return shape_of_v6(bytes, ip_at);
    return std::nullopt;
}

std::optional<Shape> shape_of(std::span<const u8> frame)
{
    std::size_t at = 12;
    while (frame.size() >= at + 2 + vlan_size &&
           (get16(frame, at) == type_vlan || get16(frame, at) == type_qinq))
        at += vlan_size;
    if (frame.size() < at + 2) return std::nullopt;
    const auto shape = shape_of_ip(frame, at + 2);
    if (!shape || shape->end > frame.size()) return std::nullopt;
    if (get16(frame, at) != (shape->version == 4 ? type_ipv4 : type_ipv6)) return std::nullopt;
    return shape;
}

bool quotes_a_packet(u8 version, u8 icmp_type)
{
    if (version == 6) return icmp_type < 128;
    return icmp_type == 3 || icmp_type == 4 || icmp_type == 5 || icmp_type == 11 || icmp_type == 12;
}

std::optional<std::size_t> quoted_at(std::span<const u8> frame)
{
    const auto outer = shape_of(frame);
    if (!outer || outer->fragmented || outer->l4_length() < icmp_size) return std::nullopt;
    if (outer->protocol != (outer->version == 4 ? proto_icmp : proto_icmp6)) return std::nullopt;
    if (!quotes_a_packet(outer->version, frame[outer->l4_at])) return std::nullopt;
    return outer->l4_at + icmp_size;
}

} // namespace lb::lab
