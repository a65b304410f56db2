// Frames for tests: build one from plain data, parse it back, judge its checksums. Written apart from the
// code under test (its own sums, its own header offsets), so that a shared mistake cannot hide. All numbers
// are in host order. `parse(build(p)) == p` for every Packet whose lengths fit. Pure values; safe from any
// thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace lb::lab {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using Bytes = std::vector<u8>;
using Mac = std::array<u8, 6>;

/// `ip("192.0.2.1")` as a number in host order. Ends the test program on anything else.
u32 ip(std::string_view dotted_quad);
std::string ip_text(u32 address);
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

struct Icmp {
    u8 type = 8;
    u8 code = 0;
    u32 rest = 0; ///< the four bytes after the checksum
    friend bool operator==(const Icmp&, const Icmp&) = default;
};

/// No header of ours after IPv4: the payload follows it directly.
struct Raw {
    u8 protocol = 253; ///< RFC 3692: for experiments
    friend bool operator==(const Raw&, const Raw&) = default;
};

/// One Ethernet frame with IPv4. Lengths and checksums are computed by build().
struct Packet {
    Mac destination = {0x02, 0, 0, 0, 0, 0x01};
    Mac source = {0x02, 0, 0, 0, 0, 0x02};
    std::vector<u16> vlans = {}; ///< VLAN tags, outermost first (TPID 0x8100; the outer one of two 0x88a8)
    u8 tos = 0;
    u16 id = 0x1234;
    u16 fragment = 0x4000; ///< flags and offset as in the header; 0x4000: don't fragment
    u8 ttl = 64;
    u32 saddr = 0x0a000001; ///< 10.0.0.1
    u32 daddr = 0xc0000201; ///< 192.0.2.1
    Bytes options = {};     ///< IPv4 options: a multiple of 4, at most 40
    std::variant<Tcp, Udp, Icmp, Raw> l4 = Tcp{};
    Bytes payload = {};

    friend bool operator==(const Packet&, const Packet&) = default;
};

/// The frame with right lengths and checksums.
Bytes build(const Packet& packet);
/// The reverse; nothing where the frame is not Ethernet with whole IPv4 and L4 headers. Checksums are not
/// judged, and bytes after the IPv4 total length are ignored. Of a later fragment everything after IPv4 is
/// payload (Raw).
std::optional<Packet> parse(std::span<const u8> frame);
/// A line for a failing test: `10.0.0.1:40000 > 192.0.2.1:80 tcp S len 0`.
std::string describe(std::span<const u8> frame);

/// RFC 1071 over the bytes (an odd last byte is padded with zero), not complemented, folded to 16 bits.
u16 ones_sum(std::span<const u8> bytes, u32 start = 0);
/// What is wrong with the checksums of an IPv4 frame, "" when nothing is. A UDP checksum of 0 is right
/// (none).
std::string checksum_fault(std::span<const u8> frame);
inline bool checksums_ok(std::span<const u8> frame) { return checksum_fault(frame).empty(); }
/// Computes the IPv4 and L4 checksums from scratch and writes them (a UDP sum of 0 as 0xffff).
void recompute_checksums(std::span<u8> frame);

/// Where a device is asked to finish a sum: from `start` to the end of the frame, written at `start +
/// offset`.
struct PartialChecksum {
    u16 start = 0;
    u16 offset = 0;
    friend bool operator==(const PartialChecksum&, const PartialChecksum&) = default;
};

/// Makes the TCP or UDP checksum partial, as Linux hands it to a device that sums: the field holds the sum of
/// the pseudo header only, not complemented.
PartialChecksum make_partial(std::span<u8> frame);
/// What the device does with it then. False when the place lies outside of the frame.
bool complete_partial(std::span<u8> frame, PartialChecksum where);

} // namespace lb::lab
