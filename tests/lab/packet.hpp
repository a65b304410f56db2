// Frames for tests: build one from plain data, parse it back, say what it is. Written apart from the code
// under test (its own sums, its own header offsets), so that a shared mistake cannot hide. All numbers are in
// host order. `parse(build(p)) == p` for every Packet whose lengths fit. Pure values; safe from any thread.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lab/address.hpp"
#include "lab/checksum.hpp"

namespace lb::lab {

using Mac = std::array<u8, 6>;

/// The bytes of a text; a payload of `count` bytes that repeats 0..250.
Bytes text(std::string_view characters);
Bytes pattern(std::size_t count);

struct Tcp {
    static constexpr u8 fin = 1, syn = 2, rst = 4, psh = 8, ack_flag = 16, urg = 32;
    u16 sport = 40000;
    u16 dport = 80;
    u32 seq = 1;
    u32 ack = 0;
    u8 flags = syn;
    u16 window = 0xfaf0;
    u16 urgent = 0;
    Bytes options = {}; ///< a multiple of 4, at most 40
    friend bool operator==(const Tcp&, const Tcp&) = default;
};

struct Udp {
    u16 sport = 40000;
    u16 dport = 80;
    bool checksum = true; ///< false: the field is 0, "none" (RFC 768)
    friend bool operator==(const Udp&, const Udp&) = default;
};

/// ICMP in IPv4, ICMPv6 in IPv6. What an error quotes is the packet's payload.
struct Icmp {
    u8 type = 8;
    u8 code = 0;
    u32 rest = 0; ///< the four bytes after the checksum
    friend bool operator==(const Icmp&, const Icmp&) = default;
};

/// No header of ours after IP: the payload follows it directly.
struct Raw {
    u8 protocol = 253; ///< RFC 3692: for experiments
    friend bool operator==(const Raw&, const Raw&) = default;
};

using L4 = std::variant<Tcp, Udp, Icmp, Raw>;

/// An extension header of IPv6, without its next header and length bytes, which build() writes: 6 bytes more
/// than a multiple of 8 (authentication: 2 more than a multiple of 4; fragment: 6).
struct Extension {
    u8 type = 60;
    Bytes content = Bytes(6, 0);
    friend bool operator==(const Extension&, const Extension&) = default;
};
/// Options that are padding (RFC 8200, 4.2), `size` bytes with the two first.
Extension hop_by_hop(std::size_t size = 8);
Extension destination_options(std::size_t size = 8);
Extension routing(u8 segments_left, u8 type = 4, std::size_t addresses = 1);
/// `offset` in bytes.
Extension fragment_header(u16 offset, bool more, u32 id);
Extension authentication();

/// One Ethernet frame with IPv4 or IPv6, as its addresses are. Lengths and checksums are computed by build().
struct Packet {
    Mac destination = {0x02, 0, 0, 0, 0, 0x01};
    Mac source = {0x02, 0, 0, 0, 0, 0x02};
    std::vector<u16> vlans = {}; ///< VLAN tags, outermost first (TPID 0x8100; the outer one of two 0x88a8)
    u8 tos = 0;                  ///< IPv6: traffic class
    u16 id = 0x1234;             ///< IPv4
    u16 fragment = 0x4000;       ///< IPv4: flags and offset as in the header; 0x4000: don't fragment
    u8 ttl = 64;                 ///< IPv6: hop limit
    Address saddr = 0x0a000001;  ///< 10.0.0.1
    Address daddr = 0xc0000201;  ///< 192.0.2.1
    Bytes options = {};          ///< IPv4 options: a multiple of 4, at most 40
    L4 l4 = Tcp{};
    Bytes payload = {};
    u32 flow_label = 0;                     ///< IPv6
    std::vector<Extension> extensions = {}; ///< IPv6

    friend bool operator==(const Packet&, const Packet&) = default;
};

/// The frame with right lengths and checksums (a fragment's L4 checksum is 0: it is the whole's, see
/// split()).
Bytes build(const Packet& packet);
/// The reverse; nothing where the frame is not Ethernet with whole IP and L4 headers. Checksums are not
/// judged, and bytes after the IP length are ignored. Of a later fragment everything after IP is payload
/// (Raw).
std::optional<Packet> parse(std::span<const u8> frame);
/// A line for a failing test: `10.0.0.1:40000 > 192.0.2.1:80 tcp S len 0`.
std::string describe(std::span<const u8> frame);

/// The packet in fragments of at most `room` bytes of payload each (a multiple of 8), the L4 checksum being
/// that of the whole. IPv6: what must stay in front of the fragment header does (RFC 8200, 4.5).
std::vector<Bytes> split(const Packet& packet, std::size_t room, u32 id = 0x1234);

/// The IP packet of a frame without what is around it, its first `size` bytes: what an ICMP error quotes.
Bytes quote(std::span<const u8> frame, std::size_t size = 65535);
/// The bytes of a frame's IP header with options or extension headers.
std::size_t ip_header_size(std::span<const u8> frame);

} // namespace lb::lab
