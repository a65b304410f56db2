// Frames of tunnels for tests, from bytes, apart from the code under test: lengths and sums are made here
// from the RFCs. Pure values; safe from any thread.
#pragma once

#include <string>
#include <vector>

#include "lab/packet.hpp"

namespace lb::test {

using lab::Bytes;
using lab::u16;
using lab::u32;
using lab::u64;
using lab::u8;

/// An IPv4 or IPv6 packet, by the form of its addresses.
struct IpText {
    std::string saddr, daddr;
    u8 protocol = 6;
    Bytes payload = {};
    u8 tos = 0; ///< or traffic class
    Bytes options = {};
    u16 fragment = 0x4000;
    int length_change = 0; ///< added to what the length field would rightly say
};
/// With a right header checksum.
Bytes ip_packet(const IpText& text);
/// No checksum (RFC 6935 allows it for tunnels).
Bytes udp_packet(u16 dport, const Bytes& payload, int length_change = 0);
/// Behind an Ethernet header whose type follows from the packet's version.
Bytes framed(const Bytes& packet);
Bytes operator+(const Bytes& one, const Bytes& two);

/// A TCP segment with a right checksum for these addresses.
struct Segment {
    std::string saddr, daddr;
    u8 flags = 0x12; ///< SYN, ACK
    Bytes options = {};
    u8 data_offset = 0; ///< in words; 0: the right one
    Bytes payload = {};
};
Bytes tcp_packet(const Segment& segment);
/// Whether the TCP checksum of a packet (from its IP header on) is right.
bool tcp_sum_is_right(const Bytes& packet);
/// Whether the header checksum of an IPv4 packet is.
bool header_sum_is_right(const Bytes& packet);

} // namespace lb::test
