#include "lab/address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ostream>

namespace lb::lab {
namespace {

[[noreturn]] void refuse(const std::string& text, const char* wanted)
{
    std::fprintf(stderr, "'%s' is not an %s address\n", text.c_str(), wanted);
    std::abort();
}

} // namespace

Address::Address(std::span<const u8> bytes) : version(bytes.size() == 16 ? 6 : 4)
{
    if (bytes.size() != 16 && bytes.size() != 4) refuse(std::to_string(bytes.size()) + " bytes", "IP");
    std::ranges::copy(bytes, octets.begin());
}

u32 Address::v4() const
{
    if (six()) refuse(ip_text(*this), "IPv4");
    return static_cast<u32>(octets[0]) << 24 | static_cast<u32>(octets[1]) << 16 |
           static_cast<u32>(octets[2]) << 8 | octets[3];
}

std::ostream& operator<<(std::ostream& out, const Address& address) { return out << ip_text(address); }

u32 ip(std::string_view dotted_quad)
{
    const std::string copy(dotted_quad);
    in_addr parsed{};
    if (::inet_pton(AF_INET, copy.c_str(), &parsed) != 1) refuse(copy, "IPv4");
    return ntohl(parsed.s_addr);
}

Address ip6(std::string_view text)
{
    const std::string copy(text);
    in6_addr parsed{};
    if (::inet_pton(AF_INET6, copy.c_str(), &parsed) != 1) refuse(copy, "IPv6");
    return Address(std::span<const u8>(parsed.s6_addr, 16));
}

Address any_ip(std::string_view text) { return text.contains(':') ? ip6(text) : Address(ip(text)); }

std::string ip_text(const Address& address)
{
    std::array<char, INET6_ADDRSTRLEN> out{};
    const int family = address.six() ? AF_INET6 : AF_INET;
    return ::inet_ntop(family, address.octets.data(), out.data(), out.size());
}

std::string endpoint_text(const Address& address, u16 port)
{
    const std::string text = address.six() ? '[' + ip_text(address) + ']' : ip_text(address);
    return text + ':' + std::to_string(port);
}

} // namespace lb::lab
