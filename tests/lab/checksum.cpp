#include "lab/checksum.hpp"

#include "lab/headers.hpp"

namespace lb::lab {
namespace {

// The offset of the checksum within the L4 header; nothing where we know none or the header is cut short.
std::optional<std::size_t> checksum_at(const Shape& shape)
{
    const std::size_t room = shape.l4_length();
    if (!shape.first_fragment) return std::nullopt;
    if (shape.protocol == proto_tcp && room >= tcp_min) return shape.l4_at + 16;
    if (shape.protocol == proto_udp && room >= udp_size) return shape.l4_at + 6;
    const u8 icmp = shape.version == 4 ? proto_icmp : proto_icmp6;
    if (shape.protocol == icmp && room >= icmp_size) return shape.l4_at + 2;
    return std::nullopt;
}

// The addresses, the L4 length and the protocol (RFC 793, 3.1; RFC 8200, 8.1).
u16 pseudo_header_sum(std::span<const u8> bytes, const Shape& shape)
{
    const std::size_t length = shape.l4_length();
    const auto start = static_cast<u32>(shape.protocol + length);
    return shape.version == 4 ? ones_sum(bytes.subspan(shape.ip_at + 12, 8), start)
                              : ones_sum(bytes.subspan(shape.ip_at + 8, 32), start);
}

u16 l4_sum(std::span<const u8> bytes, const Shape& shape)
{
    // ICMP has no pseudo header, ICMPv6 has one (RFC 4443, 2.3).
    const u32 start = shape.protocol == proto_icmp ? 0 : pseudo_header_sum(bytes, shape);
    return ones_sum(bytes.subspan(shape.l4_at, shape.l4_length()), start);
}

std::string name_of(const Shape& shape)
{
    if (shape.protocol == proto_tcp) return "TCP";
    if (shape.protocol == proto_udp) return "UDP";
    return shape.protocol == proto_icmp ? "ICMP" : "ICMPv6";
}

std::string fault_of(std::span<const u8> bytes, const Shape& shape)
{
    const auto header = bytes.subspan(shape.ip_at, shape.l4_at - shape.ip_at);
    if (shape.version == 4 && ones_sum(header) != 0xffff) return "IPv4 header";
    if (shape.fragmented || shape.end > bytes.size()) return "";
    const auto at = checksum_at(shape);
    if (!at) return shape.protocol == proto_tcp || shape.protocol == proto_udp ? "L4 header cut short" : "";
    if (shape.protocol == proto_udp && get16(bytes, *at) == 0)
        return shape.version == 4 ? "" : "UDP without a checksum in IPv6";
    return l4_sum(bytes, shape) == 0xffff ? "" : name_of(shape);
}

void recompute(std::span<u8> bytes, const Shape& shape)
{
    if (shape.version == 4) {
        put16(bytes, shape.ip_at + 10, 0);
        const auto header = bytes.subspan(shape.ip_at, shape.l4_at - shape.ip_at);
        put16(bytes, shape.ip_at + 10, 0xffffU ^ ones_sum(header));
    }
    const auto at = checksum_at(shape);
    if (!at || shape.fragmented || shape.end > bytes.size()) return;
    put16(bytes, *at, 0);
    u32 check = 0xffffU ^ l4_sum(bytes, shape);
    if (check == 0 && shape.protocol == proto_udp) check = 0xffff;
    put16(bytes, *at, check);
}

// An ICMP error's bytes end where its IP header says; what follows is padding.
std::span<const u8> without_padding(std::span<const u8> frame) { return frame.first(shape_of(frame)->end); }

} // namespace

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
    return shape ? fault_of(frame, *shape) : "not a whole IP frame";
}

std::string quoted_fault(std::span<const u8> frame)
{
    const auto at = quoted_at(frame);
    if (!at) return "not an ICMP error";
    const auto error = without_padding(frame);
    const auto shape = shape_of_ip(error, *at);
    return shape ? fault_of(error, *shape) : "no whole IP header is quoted";
}

void recompute_checksums(std::span<u8> frame)
{
    if (const auto shape = shape_of(frame)) recompute(frame, *shape);
}

void recompute_quoted(std::span<u8> frame)
{
    const auto at = quoted_at(frame);
    if (!at) return;
    const auto error = frame.first(shape_of(frame)->end);
    if (const auto shape = shape_of_ip(error, *at)) recompute(error, *shape);
    recompute_checksums(frame);
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
