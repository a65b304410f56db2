// Checksums of frames: judged, and computed from scratch. Written apart from the code under test.
#pragma once

#include <span>
#include <string>

#include "lab/address.hpp"

namespace lb::lab {

/// RFC 1071 over the bytes (an odd last byte is padded with zero), not complemented, folded to 16 bits.
u16 ones_sum(std::span<const u8> bytes, u32 start = 0);

/// What is wrong with the checksums of a frame, "" when nothing is. A UDP checksum of 0 is right in IPv4
/// (none, RFC 768) and wrong in IPv6 (RFC 8200, 8.1). The L4 sum of a fragment spans its fragments and is not
/// judged.
std::string checksum_fault(std::span<const u8> frame);
inline bool checksums_ok(std::span<const u8> frame) { return checksum_fault(frame).empty(); }
/// The same of the packet that an ICMP error quotes: its IPv4 header, and L4 where the quotation is whole.
std::string quoted_fault(std::span<const u8> frame);

/// Computes the IPv4 and L4 checksums from scratch and writes them (a UDP sum of 0 as 0xffff). The L4 sum of
/// a fragment stays as it is.
void recompute_checksums(std::span<u8> frame);
/// The same of the packet that an ICMP error quotes, where its bytes are there, and of the error then.
void recompute_quoted(std::span<u8> frame);

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
