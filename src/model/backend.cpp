#include "model/backend.hpp"

#include <algorithm>
#include <set>

#include "model/config_rules.hpp"
#include "model/json_text.hpp"

namespace lb::model {
namespace {

constexpr u16 ipv4_header = 20, ipv6_header = 40, udp_header = 8, tcp_header = 20;
constexpr u16 mss_least = 536; // RFC 9293, 3.7.1: what a host without the option is sent

bool may_come_by_ipv6(const Backend& backend)
{
    return backend.senders.empty() ||
           std::ranges::any_of(backend.senders, [](const Prefix& each) { return each.address.is_v6(); });
}

std::unexpected<Error> usage(std::string message) { return fail(ErrorKind::usage, std::move(message)); }

Result<void> check_vip(const IpAddress& vip)
{
    const bool multicast = vip.is_v6() ? vip.v6()[0] == 0xff : (vip.v4().host() >> 28) == 0xe;
    const bool none = vip == IpAddress(be32{}) || vip == IpAddress(std::array<u8, 16>{});
    if (vip.is_loopback() || multicast || none)
        return usage("--vip " + vip.text() + ": expected the address of a service");
    return {};
}

Result<void> check_names(const std::vector<std::string>& names, const char* flag)
{
    std::set<std::string> seen;
    for (const auto& name : names) {
        if (name == "lo") return usage(std::string(flag) + " lo: expected an interface toward the balancer");
        if (!seen.insert(name).second) return usage(std::string(flag) + " " + name + " is given twice");
    }
    return {};
}

} // namespace

u16 tunnel_overhead(const Backend& backend)
{
    if (backend.tunnel == Tunnel::l2) return 0;
    const u16 outer = may_come_by_ipv6(backend) ? ipv6_header : ipv4_header;
    return backend.tunnel == Tunnel::gue ? outer + udp_header : outer;
}

Result<std::optional<MssLimits>> mss_limits(const Backend& backend, u32 mtu)
{
    if (backend.mss) return MssLimits{.ipv4 = *backend.mss, .ipv6 = *backend.mss};
    if (backend.tunnel == Tunnel::l2) return std::optional<MssLimits>{};
    constexpr u32 mtu_max = 65535;
    const u32 taken = tunnel_overhead(backend) + u32{ipv6_header} + tcp_header;
    if (mtu < taken + mss_least)
        return fail(ErrorKind::host_not_ready,
                    "an MTU of " + std::to_string(mtu) + " leaves no room for the tunnel: segments of " +
                        std::to_string(mss_least) + " bytes need " + std::to_string(taken + mss_least));
    const u32 room = std::min(mtu, mtu_max) - tunnel_overhead(backend) - tcp_header;
    return MssLimits{.ipv4 = *narrow<u16>(room - ipv4_header), .ipv6 = *narrow<u16>(room - ipv6_header)};
}

Result<void> check_backend(const Backend& backend)
{
    if (backend.interfaces.empty())
        return usage("--interface is missing: where the balancer's packets arrive");
    if (backend.vips.empty()) return usage("--vip is missing: the addresses that the balancer serves");
    if (backend.vips.size() > vips_max)
        return usage("--vip: at most " + std::to_string(vips_max) + " are possible");
    if (backend.senders.size() > senders_max)
        return usage("--from: at most " + std::to_string(senders_max) + " are possible");
    if (auto fine = check_names(backend.interfaces, "--interface"); !fine) return fine;
    if (auto fine = check_names(backend.egress_interfaces, "--egress-interface"); !fine) return fine;
    std::set<IpAddress> vips;
    for (const auto& vip : backend.vips) {
        if (auto fine = check_vip(vip); !fine) return fine;
        if (!vips.insert(vip).second) return usage("--vip " + vip.text() + " is given twice");
    }
    for (const auto& sender : backend.senders)
        if (sender != sender.network())
            return usage("--from " + sender.text() +
                         " has bits below its length: " + sender.network().text() + " is meant?");
    if (backend.tunnel == Tunnel::l2 && !backend.senders.empty())
        return usage("--from does not go with --mode l2: packets come there with the clients' addresses");
    if (const auto problem = instance_problem(backend.instance); !problem.empty())
        return usage("--instance " + quoted(backend.instance) + ": " + problem);
    return {};
}

} // namespace lb::model
