// Where the parts of a frame lie: the walk over Ethernet, VLAN tags, IPv4 with options or IPv6 with extension
// headers that frames, checksums and descriptions share. Numbers in host order. Pure.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "lab/address.hpp"

namespace lb::lab {

inline constexpr std::size_t eth_size = 14, vlan_size = 4, ipv4_min = 20, ipv6_size = 40;
inline constexpr std::size_t tcp_min = 20, udp_size = 8, icmp_size = 8;
inline constexpr u8 proto_icmp = 1, proto_tcp = 6, proto_udp = 17, proto_icmp6 = 58;
inline constexpr u8 ext_hop_by_hop = 0, ext_routing = 43, ext_fragment = 44, ext_authentication = 51,
                    ext_destination = 60;

u16 get16(std::span<const u8> bytes, std::size_t at);
u32 get32(std::span<const u8> bytes, std::size_t at);
void put16(std::span<u8> bytes, std::size_t at, u32 value);
void add8(Bytes& out, u32 value);
void add16(Bytes& out, u32 value);
void add32(Bytes& out, u32 value);
void add(Bytes& out, std::span<const u8> more);
Bytes slice(std::span<const u8> bytes, std::size_t from, std::size_t to);

/// An extension header of IPv6 in its place.
struct ExtensionPlace {
    u8 type = 0;
    std::size_t at = 0;
    std::size_t size = 0;
};

/// An IP packet within `bytes`.
struct Shape {
    u8 version = 4;
    std::size_t ip_at = 0;
    std::size_t l4_at = 0;
    std::size_t end = 0; ///< as the IP header says; may lie behind the bytes of a quoted packet
    u8 protocol = 0;     ///< of L4; of a later fragment what its IP or fragment header says
    bool fragmented = false;
    bool first_fragment = true; ///< has an L4 header
    std::vector<ExtensionPlace> extensions = {};
    std::size_t l4_length() const { return end - l4_at; }
};

/// Of a whole frame; nothing where it is not Ethernet with IP headers and lengths that fit.
std::optional<Shape> shape_of(std::span<const u8> frame);
/// Of an IP packet at `ip_at`, which may end early behind its headers (a quoted one).
std::optional<Shape> shape_of_ip(std::span<const u8> bytes, std::size_t ip_at);

/// Where the packet begins that this ICMP error quotes; nothing where the frame is no ICMP error.
std::optional<std::size_t> quoted_at(std::span<const u8> frame);
/// Errors quote what they are about: destination unreachable, source quench, redirect, time exceeded,
/// parameter problem (RFC 792); every type below 128 (RFC 4443, 2.1).
bool quotes_a_packet(u8 version, u8 icmp_type);

} // namespace lb::lab
