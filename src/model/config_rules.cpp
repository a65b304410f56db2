#include "model/config_rules.hpp"

#include <algorithm>
#include <array>

namespace lb::model {
namespace {

constexpr std::size_t interface_name_max = 15; // IFNAMSIZ with its end
constexpr std::size_t proxy_name_max = 63;
constexpr std::size_t instance_max = 31;

bool plain(std::string_view name)
{
    return std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
               c == '_' || c == '-';
    });
}

constexpr IpAddress mapped_network{std::array<u8, 16>{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}};

// Which kind of address a packet can't be sent to one host with; empty: none of these.
std::string_view not_unicast(const IpAddress& ip)
{
    if (ip.is_v6()) {
        if (ip == IpAddress(std::array<u8, 16>{})) return "the unspecified address";
        if (ip.v6()[0] == 0xff) return "a multicast address";
        // RFC 4291, 2.5.6: routers must not forward it.
        if (ip.v6()[0] == 0xfe && (ip.v6()[1] & 0xc0) == 0x80) return "a link-local address";
        // RFC 4291, 2.5.5.2: it stands for an IPv4 address within a host, and is never on the wire.
        return Prefix{mapped_network, 96}.contains(ip) ? "an IPv4-mapped address" : "";
    }
    const u32 bits = ip.v4().host();
    if (bits == 0) return "the unspecified address";
    if (bits == 0xffffffff) return "the broadcast address";
    return bits >> 28 == 0xe ? "a multicast address" : "";
}

} // namespace

// The kernel's dev_valid_name(), and no control characters.
std::string interface_problem(std::string_view name)
{
    const auto bad = [](char c) { return static_cast<u8>(c) <= ' ' || c == 0x7f || c == '/' || c == ':'; };
    const bool good = !name.empty() && name.size() <= interface_name_max && name != "." && name != ".." &&
                      std::ranges::none_of(name, bad);
    return good ? "" : "expected the name of an interface: 1..15 bytes without blanks, '/' and ':'";
}

std::string target_problem(const IpAddress& ip)
{
    if (const auto kind = not_unicast(ip); !kind.empty()) {
        return std::string(kind) + ": expected the address of a host";
    }
    if (ip.is_v6() && ip.is_loopback())
        return "IPv6 has no way to route to its loopback address: expected another address of this host";
    return "";
}

std::string listener_problem(const IpAddress& ip)
{
    if (const auto kind = not_unicast(ip); !kind.empty()) {
        return std::string(kind) + R"(: expected the address of a host, or "any")";
    }
    return "";
}

std::string full_nat_source_problem(const IpAddress& ip)
{
    const std::string_view kind = ip.is_loopback() ? "a loopback address" : not_unicast(ip);
    return kind.empty() ? "" : std::string(kind) + ": expected an address that targets can answer";
}

std::string proxy_name_problem(std::string_view name)
{
    if (!name.empty() && name.size() <= proxy_name_max && plain(name)) return "";
    return "expected a name: 1..63 of A-Z a-z 0-9 . _ -";
}

// It names a folder.
std::string instance_problem(std::string_view name)
{
    if (!name.empty() && name.size() <= instance_max && plain(name) && name.front() != '.') return "";
    return "expected a name: 1..31 of A-Z a-z 0-9 . _ -, not starting with .";
}

} // namespace lb::model
