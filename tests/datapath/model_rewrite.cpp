#include "model_rewrite.hpp"

#include <algorithm>

namespace lb::test {
namespace {

constexpr u8 udp = 17, icmp6 = 58;

std::span<const u8> addresses(const Bytes& frame, u8 version, std::size_t ip_at)
{
    return version == 4 ? std::span(frame).subspan(ip_at + 12, 8) : std::span(frame).subspan(ip_at + 8, 32);
}

void put16(Bytes& frame, std::size_t at, u16 value)
{
    frame[at] = static_cast<u8>(value >> 8);
    frame[at + 1] = static_cast<u8>(value);
}

u16 get16(const Bytes& frame, std::size_t at) { return static_cast<u16>(number(frame, at, 2)); }

// The header checksum of IPv4 follows from the addresses.
void update_header_sum(const Bytes& before, Bytes& after, u8 version, std::size_t ip_at)
{
    if (version != 4) return;
    put16(
        after, ip_at + 10,
        updated_checksum(get16(before, ip_at + 10), addresses(before, 4, ip_at), addresses(after, 4, ip_at)));
}

// That of TCP or UDP at `sum_at` follows from addresses and ports.
void update_l4_sum(const Bytes& before, Bytes& after, u8 version, std::size_t ip_at, std::size_t l4_at,
                   std::size_t sum_at, bool is_udp)
{
    u16 sum = get16(before, sum_at);
    if (is_udp && sum == 0) return; // RFC 768: the sender made none
    sum = updated_checksum(sum, addresses(before, version, ip_at), addresses(after, version, ip_at));
    sum = updated_checksum(sum, std::span(before).subspan(l4_at, 4), std::span(after).subspan(l4_at, 4));
    if (is_udp && sum == 0) sum = 0xffff;
    put16(after, sum_at, sum);
}

std::size_t sum_offset(u8 protocol) { return protocol == udp ? 6 : 16; }

// The error's own: over all of it, and in IPv6 over its addresses.
void update_icmp_sum(const Bytes& before, Bytes& after, const Parsed& parsed)
{
    const std::size_t at = parsed.l4_at, end = std::min(parsed.end, before.size());
    const auto message = [&](const Bytes& frame) {
        Bytes bytes(frame.begin() + static_cast<std::ptrdiff_t>(at),
                    frame.begin() + static_cast<std::ptrdiff_t>(end));
        bytes[2] = bytes[3] = 0;
        if (bytes.size() % 2 == 1) bytes.push_back(0);
        return bytes;
    };
    u16 sum = updated_checksum(get16(before, at + 2), message(before), message(after));
    if (parsed.tuple.protocol == icmp6)
        sum = updated_checksum(sum, addresses(before, 6, parsed.ip_at), addresses(after, 6, parsed.ip_at));
    put16(after, at + 2, sum);
}

// From scratch where everything was right: no sum that is carried on can hide a mistake then.
void from_scratch_if_right(const Bytes& before, Bytes& after)
{
    if (lab::checksums_ok(before)) lab::recompute_checksums(after);
}

} // namespace

u16 updated_checksum(u16 checksum, std::span<const u8> before, std::span<const u8> after)
{
    u32 sum = static_cast<u16>(~checksum);
    for (std::size_t i = 0; i + 1 < before.size(); i += 2) {
        sum += static_cast<u16>(~(before[i] << 8 | before[i + 1]));
        sum += static_cast<u32>(after[i] << 8 | after[i + 1]);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<u16>(~sum);
}

Bytes rewritten(const Bytes& frame, const Parsed& parsed, const ModelTuple& to)
{
    Bytes out = frame;
    put_addresses(out, parsed.version, parsed.ip_at, to.saddr, to.daddr);
    put_ports(out, parsed.l4_at, to.sport, to.dport);
    update_header_sum(frame, out, parsed.version, parsed.ip_at);
    const u8 protocol = parsed.tuple.protocol;
    const std::size_t sum_at = parsed.l4_at + sum_offset(protocol);
    update_l4_sum(frame, out, parsed.version, parsed.ip_at, parsed.l4_at, sum_at, protocol == udp);
    if (protocol == udp && get16(frame, sum_at) == 0) return out;
    from_scratch_if_right(frame, out);
    return out;
}

Bytes rewritten_fragment(const Bytes& frame, const Parsed& parsed, const Address& saddr, const Address& daddr)
{
    Bytes out = frame;
    put_addresses(out, parsed.version, parsed.ip_at, saddr, daddr);
    update_header_sum(frame, out, parsed.version, parsed.ip_at);
    from_scratch_if_right(frame, out);
    return out;
}

Bytes rewritten_error(const Bytes& frame, const Parsed& parsed, const Quoted& quoted, const Address& saddr,
                      const Address& daddr, const ModelTuple& inner)
{
    Bytes out = frame;
    put_addresses(out, parsed.version, parsed.ip_at, saddr, daddr);
    update_header_sum(frame, out, parsed.version, parsed.ip_at);
    put_addresses(out, parsed.version, quoted.ip_at, inner.saddr, inner.daddr);
    put_ports(out, quoted.l4_at, inner.sport, inner.dport);
    update_header_sum(frame, out, parsed.version, quoted.ip_at);
    const std::size_t sum_at = quoted.l4_at + sum_offset(inner.protocol);
    if (sum_at + 2 <= std::min(parsed.end, frame.size()))
        update_l4_sum(frame, out, parsed.version, quoted.ip_at, quoted.l4_at, sum_at, inner.protocol == udp);
    update_icmp_sum(frame, out, parsed);
    const bool unsummed = inner.protocol == udp && get16(frame, sum_at) == 0;
    if (lab::checksums_ok(frame) && lab::quoted_fault(frame).empty() && !unsummed)
        lab::recompute_quoted(out);
    else
        from_scratch_if_right(frame, out);
    return out;
}

} // namespace lb::test
