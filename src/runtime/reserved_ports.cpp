#include "runtime/reserved_ports.hpp"

#include <algorithm>
#include <sstream>

#include "kernel/sysctl.hpp"
#include "model/port_set.hpp"

namespace lb::runtime {

using model::PortSet;

namespace {

constexpr const char* local_ports_setting = "net/ipv4/ip_local_port_range";

// "32768\t60999"
std::optional<PortSet> parse_local(const std::string& text)
{
    u32 first = 0, last = 0;
    std::istringstream words(text);
    if (!(words >> first >> last) || first > last || last > 65535) return std::nullopt;
    return PortSet::range(static_cast<u16>(first), static_cast<u16>(last));
}

Result<PortSet> read_ports(const char* setting, std::optional<PortSet> (*parse)(const std::string&))
{
    const auto text = kernel::read_sysctl(setting);
    if (!text) return context(text.error(), "the host's own ports, which full-nat keeps apart from");
    const auto ports = parse(*text);
    if (!ports)
        return fail(ErrorKind::host_not_ready,
                    std::string(setting) + " is \"" + *text + "\": expected ports");
    return *ports;
}

bool uses_own_address(const model::Plan& plan, std::span<const kernel::HostAddress> own)
{
    const auto& pool = plan.settings.full_nat.addresses;
    return pool.empty() || std::ranges::any_of(pool, [&](const IpAddress& each) {
               return std::ranges::find(own, each, &kernel::HostAddress::address) != own.end();
           });
}

} // namespace

Result<std::optional<std::string>> needed_reserved_ports(const model::Plan& plan,
                                                         std::span<const kernel::HostAddress> own)
{
    if (!plan.has_full_nat() || !uses_own_address(plan, own)) return std::optional<std::string>{};
    const auto local = read_ports(local_ports_setting, parse_local);
    if (!local) return std::unexpected(local.error());
    const auto reserved =
        read_ports(reserved_ports_setting, [](const std::string& text) { return PortSet::parse(text); });
    if (!reserved) return std::unexpected(reserved.error());
    const model::FullNatConfig& pool = plan.settings.full_nat;
    return model::needed_reserved_ports(*local, *reserved, PortSet::range(pool.port_first, pool.port_last));
}

} // namespace lb::runtime
