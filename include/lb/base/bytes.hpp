// Integers with a width and, where it matters, a byte order. Network-order values are their own types, so
// that a host-order number never meets a wire field without a visible conversion. Pure values; safe from any
// thread.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

namespace lb {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i8 = std::int8_t;
using i16 = std::int16_t;
using i32 = std::int32_t;
using i64 = std::int64_t;

static_assert(std::endian::native == std::endian::little, "lb generates code for little-endian hosts only");

/// An unsigned integer in network byte order. `raw` is the value as a little-endian load would see it.
template <std::unsigned_integral T> struct BigEndian {
    using Host = T;
    T raw = 0;

    constexpr BigEndian() = default;
    /// From a number in host order.
    constexpr explicit BigEndian(T host) : raw(std::byteswap(host)) {}
    /// From bytes that are in network order already, as read from the wire or by inet_pton.
    static constexpr BigEndian from_raw(T bytes)
    {
        BigEndian value;
        value.raw = bytes;
        return value;
    }
    constexpr T host() const { return std::byteswap(raw); }

    friend constexpr bool operator==(BigEndian, BigEndian) = default;
    friend constexpr auto operator<=>(BigEndian a, BigEndian b) { return a.host() <=> b.host(); }
    friend constexpr BigEndian operator&(BigEndian a, BigEndian b) { return from_raw(T(a.raw & b.raw)); }
    friend constexpr BigEndian operator|(BigEndian a, BigEndian b) { return from_raw(T(a.raw | b.raw)); }
    friend constexpr BigEndian operator~(BigEndian a) { return from_raw(T(~a.raw)); }
};

using be16 = BigEndian<u16>;
using be32 = BigEndian<u32>;
using be64 = BigEndian<u64>;

/// `value` as a `To`, or nothing where it does not fit. The one way to narrow a number that came from
/// outside.
template <std::integral To, std::integral From> constexpr std::optional<To> narrow(From value)
{
    if (!std::in_range<To>(value)) return std::nullopt;
    return static_cast<To>(value);
}

} // namespace lb
