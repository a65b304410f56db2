#include "lb/base/address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace lb {
namespace {

// A decimal number without sign, blanks or leading zeros, at most `max`.
std::optional<u32> parse_decimal(std::string_view text, u32 max)
{
    u32 value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value > max) return std::nullopt;
    if (text.size() > 1 && text.front() == '0') return std::nullopt;
    return value;
}

u8 mask_byte(u32 prefix_length, std::size_t index)
{
    const int bits = std::clamp(static_cast<int>(prefix_length) - static_cast<int>(index * 8), 0, 8);
    return static_cast<u8>(0xff00u >> bits);
}

} // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text)
{
    const std::string terminated(text);
    if (text.size() != std::strlen(terminated.c_str())) return std::nullopt; // an embedded NUL
    in_addr v4{};
    if (inet_pton(AF_INET, terminated.c_str(), &v4) == 1) return IpAddress(be32::from_raw(v4.s_addr));
    std::array<u8, 16> v6{};
    if (inet_pton(AF_INET6, terminated.c_str(), v6.data()) == 1) return IpAddress(v6);
    return std::nullopt;
}

std::string IpAddress::text() const
{
    std::array<char, INET6_ADDRSTRLEN> out{};
    const void* bytes = is_v6_ ? static_cast<const void*>(v6_.data()) : &v4_.raw;
    inet_ntop(is_v6_ ? AF_INET6 : AF_INET, bytes, out.data(), out.size());
    return out.data();
}

std::optional<Prefix> Prefix::parse(std::string_view text)
{
    const auto slash = text.find('/');
    const auto address = IpAddress::parse(text.substr(0, slash));
    if (!address) return std::nullopt;
    if (slash == std::string_view::npos) return Prefix{*address, address->bits()};
    const auto length = parse_decimal(text.substr(slash + 1), address->bits());
    if (!length) return std::nullopt;
    return Prefix{*address, static_cast<u8>(*length)};
}

Prefix Prefix::network() const
{
    if (address.is_v4()) {
        const u32 mask = length == 0 ? 0 : ~u32{0} << (32 - length);
        return {IpAddress(be32(address.v4().host() & mask)), length};
    }
    auto bytes = address.v6();
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<u8>(bytes[i] & mask_byte(length, i));
    return {IpAddress(bytes), length};
}

bool Prefix::contains(const IpAddress& other) const
{
    return other.is_v4() == address.is_v4() && Prefix{other, length}.network() == network();
}

std::string Prefix::text() const { return address.text() + "/" + std::to_string(length); }

std::optional<Endpoint> Endpoint::parse(std::string_view text)
{
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) return std::nullopt;
    std::string_view host = text.substr(0, colon);
    const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (bracketed) host = host.substr(1, host.size() - 2);
    const auto ip = IpAddress::parse(host);
    if (!ip || ip->is_v6() != bracketed) return std::nullopt;
    const auto port = parse_decimal(text.substr(colon + 1), 65535);
    if (!port || *port == 0) return std::nullopt;
    return Endpoint{*ip, static_cast<u16>(*port)};
}

std::string Endpoint::text() const
{
    return (ip.is_v6() ? "[" + ip.text() + "]" : ip.text()) + ":" + std::to_string(port);
}

} // namespace lb
