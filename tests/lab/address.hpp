// Addresses of both families for tests: bytes as they are on the wire. A number in host order is an IPv4
// address, so tests may count with them. Pure values.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lb::lab {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using Bytes = std::vector<u8>;

struct Address {
    u8 version = 4;
    std::array<u8, 16> octets = {}; ///< of IPv4 the first four, the others are 0

    constexpr Address() = default;
    // NOLINTNEXTLINE(google-explicit-constructor): a number is an address wherever one is asked for
    constexpr Address(u32 v4)
        : octets{static_cast<u8>(v4 >> 24), static_cast<u8>(v4 >> 16), static_cast<u8>(v4 >> 8),
                 static_cast<u8>(v4)}
    {}
    /// 4 or 16 bytes.
    explicit Address(std::span<const u8> bytes);

    bool six() const { return version == 6; }
    std::span<const u8> bytes() const { return std::span(octets).first(six() ? 16 : 4); }
    /// Of an IPv4 address, in host order. Ends the test program for another.
    u32 v4() const;
    friend auto operator<=>(const Address&, const Address&) = default;
};
std::ostream& operator<<(std::ostream& out, const Address& address);

/// `ip("192.0.2.1")` as a number in host order. Ends the test program on anything else.
u32 ip(std::string_view dotted_quad);
/// `ip6("2001:db8::1")`. Ends the test program on anything else.
Address ip6(std::string_view text);
/// Either family.
Address any_ip(std::string_view text);
std::string ip_text(const Address& address);
/// `192.0.2.1:80`, `[2001:db8::1]:80`.
std::string endpoint_text(const Address& address, u16 port);

} // namespace lb::lab
