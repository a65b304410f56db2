#include "frames.hpp"

#include <arpa/inet.h>

#include <stdexcept>

namespace lb::test {
namespace {

Bytes address(const std::string& text)
{
    Bytes bytes(text.find(':') == std::string::npos ? 4 : 16);
    const int family = bytes.size() == 4 ? AF_INET : AF_INET6;
    if (::inet_pton(family, text.c_str(), bytes.data()) != 1) throw std::invalid_argument(text);
    return bytes;
}

void put16(Bytes& bytes, std::size_t at, u32 value)
{
    bytes[at] = static_cast<u8>(value >> 8);
    bytes[at + 1] = static_cast<u8>(value);
}

u16 negated(u16 sum) { return static_cast<u16>(~sum); }

// The pseudo header of both families sums to the same: addresses, protocol, length.
u16 l4_sum(const Bytes& addresses, u8 protocol, const Bytes& l4)
{
    const u32 start = lab::ones_sum(addresses) + u32{protocol} + static_cast<u32>(l4.size());
    return lab::ones_sum(l4, start);
}

} // namespace

Bytes operator+(const Bytes& one, const Bytes& two)
{
    Bytes both = one;
    both.insert(both.end(), two.begin(), two.end());
    return both;
}

Bytes ip_packet(const IpText& text)
{
    const Bytes saddr = address(text.saddr), daddr = address(text.daddr);
    if (saddr.size() == 16) {
        Bytes header(8);
        header[0] = static_cast<u8>(0x60 | text.tos >> 4);
        header[1] = static_cast<u8>(text.tos << 4 | 0x0a); // a flow label, which is not ECN
        header[2] = 0xbc;
        header[3] = 0xde;
        put16(header, 4, static_cast<u32>(static_cast<int>(text.payload.size()) + text.length_change));
        header[6] = text.protocol;
        header[7] = 64;
        return header + saddr + daddr + text.payload;
    }
    Bytes header(12);
    const std::size_t header_size = 20 + text.options.size();
    header[0] = static_cast<u8>(0x40 | header_size / 4);
    header[1] = text.tos;
    put16(header, 2,
          static_cast<u32>(static_cast<int>(header_size + text.payload.size()) + text.length_change));
    put16(header, 4, 0x1234);
    put16(header, 6, text.fragment);
    header[8] = 64;
    header[9] = text.protocol;
    header = header + saddr + daddr + text.options;
    put16(header, 10, negated(lab::ones_sum(header)));
    return header + text.payload;
}

Bytes udp_packet(u16 dport, const Bytes& payload, int length_change)
{
    Bytes header(8);
    put16(header, 0, 49152);
    put16(header, 2, dport);
    put16(header, 4, static_cast<u32>(static_cast<int>(8 + payload.size()) + length_change));
    return header + payload;
}

Bytes framed(const Bytes& packet)
{
    const bool v6 = packet[0] >> 4 == 6;
    const Bytes macs = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9};
    return macs + (v6 ? Bytes{0x86, 0xdd} : Bytes{0x08, 0x00}) + packet;
}

Bytes tcp_packet(const Segment& segment)
{
    Bytes tcp(20);
    put16(tcp, 0, 80);
    put16(tcp, 2, 40000);
    tcp[7] = 1;
    tcp[11] = 2;
    const auto words = static_cast<u8>(5 + segment.options.size() / 4);
    tcp[12] = static_cast<u8>((segment.data_offset ? segment.data_offset : words) << 4);
    tcp[13] = segment.flags;
    put16(tcp, 14, 0xfaf0);
    tcp = tcp + segment.options + segment.payload;
    put16(tcp, 16, negated(l4_sum(address(segment.saddr) + address(segment.daddr), 6, tcp)));
    return ip_packet({.saddr = segment.saddr, .daddr = segment.daddr, .payload = tcp});
}

bool tcp_sum_is_right(const Bytes& packet)
{
    const bool v6 = packet[0] >> 4 == 6;
    const auto part = [&](std::ptrdiff_t from, std::ptrdiff_t to) {
        return Bytes(packet.begin() + from, packet.begin() + to);
    };
    const auto size = static_cast<std::ptrdiff_t>(packet.size());
    return v6 ? l4_sum(part(8, 40), 6, part(40, size)) == 0xffff
              : l4_sum(part(12, 20), 6, part((packet[0] & 15) * 4, size)) == 0xffff;
}

bool header_sum_is_right(const Bytes& packet)
{
    return lab::ones_sum(Bytes(packet.begin(), packet.begin() + (packet[0] & 15) * 4)) == 0xffff;
}

} // namespace lb::test
