// IP addresses, prefixes and endpoints as values. Addresses are in network order, prefix lengths and ports in
// host order. Text forms are those of RFC 4291 / RFC 5952 and the usual dotted quad. Pure values; safe from
// any thread.
#pragma once

#include <array>
#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "lb/base/wire.hpp"

namespace lb {

/// An IPv4 or IPv6 address. IPv4 is kept as itself, not as a mapped IPv6 address.
class IpAddress {
public:
    constexpr IpAddress() = default;
    constexpr explicit IpAddress(be32 v4) : v4_(v4) {}
    constexpr explicit IpAddress(const std::array<u8, 16>& v6) : is_v6_(true), v6_(v6) {}

    /// Parses `10.0.0.1` or `2001:db8::1`; nothing else (no port, no zone, no leading zeros in a quad).
    static std::optional<IpAddress> parse(std::string_view text);

    constexpr bool is_v4() const { return !is_v6_; }
    constexpr bool is_v6() const { return is_v6_; }
    constexpr be32 v4() const { return v4_; }                      ///< meaningful when is_v4()
    constexpr const std::array<u8, 16>& v6() const { return v6_; } ///< meaningful when is_v6()
    /// The same as it is in headers and layouts; meaningful when is_v6().
    constexpr wire::Address6 address6() const
    {
        u64 high = 0, low = 0;
        for (std::size_t i = 0; i < 8; ++i) {
            high = high << 8 | v6_[i];
            low = low << 8 | v6_[i + 8];
        }
        return {be64(high), be64(low)};
    }
    static constexpr IpAddress from(const wire::Address6& address)
    {
        std::array<u8, 16> bytes{};
        for (std::size_t i = 0; i < 8; ++i) {
            bytes[i] = static_cast<u8>(address.high.host() >> (56 - 8 * i));
            bytes[i + 8] = static_cast<u8>(address.low.host() >> (56 - 8 * i));
        }
        return IpAddress(bytes);
    }
    static constexpr IpAddress from(be32 address) { return IpAddress(address); }
    constexpr bool is_loopback() const;
    constexpr u8 bits() const { return is_v6_ ? 128 : 32; }
    std::string text() const;

    friend constexpr bool operator==(const IpAddress&, const IpAddress&) = default;
    friend constexpr auto operator<=>(const IpAddress&, const IpAddress&) = default;

private:
    bool is_v6_ = false;
    be32 v4_{};
    std::array<u8, 16> v6_{};
};

constexpr bool IpAddress::is_loopback() const
{
    if (!is_v6_) return (v4_.host() >> 24) == 127;
    std::array<u8, 16> one{};
    one[15] = 1;
    return v6_ == one;
}

/// An address and how many of its leading bits count.
struct Prefix {
    IpAddress address = {};
    u8 length = 0; ///< 0..32 or 0..128

    /// Parses `192.0.2.0/24`, or a single address as /32 or /128. Host bits may be set; see network().
    static std::optional<Prefix> parse(std::string_view text);
    /// The same prefix with the host bits cleared.
    Prefix network() const;
    bool contains(const IpAddress& other) const;
    std::string text() const;

    friend constexpr bool operator==(const Prefix&, const Prefix&) = default;
    friend constexpr auto operator<=>(const Prefix&, const Prefix&) = default;
};

/// An address and a port (host order, 1..65535 where parsed).
struct Endpoint {
    IpAddress ip = {};
    u16 port = 0;

    /// Parses `10.0.0.1:8080` or `[2001:db8::1]:8080`.
    static std::optional<Endpoint> parse(std::string_view text);
    /// The same form; this is a target's id everywhere.
    std::string text() const;

    friend constexpr bool operator==(const Endpoint&, const Endpoint&) = default;
    friend constexpr auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

} // namespace lb
