#include "model/config.hpp"

#include <algorithm>

namespace lb::model {

std::string name_of(Algorithm algorithm)
{
    switch (algorithm) {
    case Algorithm::maglev:
        return "maglev";
    case Algorithm::round_robin:
        return "round-robin";
    case Algorithm::random:
        return "random";
    case Algorithm::least_connections:
        return "least-connections";
    case Algorithm::source_hash:
        break;
    }
    return "source-hash";
}

std::string name_of(ForwardingMode mode)
{
    switch (mode) {
    case ForwardingMode::nat:
        return "nat";
    case ForwardingMode::full_nat:
        return "full-nat";
    case ForwardingMode::dsr_l2:
        return "dsr-l2";
    case ForwardingMode::dsr_ipip:
        return "dsr-ipip";
    case ForwardingMode::dsr_gue:
        break;
    }
    return "dsr-gue";
}

std::string name_of(Family family) { return family == Family::ipv4 ? "IPv4" : "IPv6"; }

bool is_dsr(ForwardingMode mode)
{
    return mode == ForwardingMode::dsr_l2 || mode == ForwardingMode::dsr_ipip ||
           mode == ForwardingMode::dsr_gue;
}

bool picks_by_hash(Algorithm algorithm)
{
    return algorithm == Algorithm::maglev || algorithm == Algorithm::source_hash;
}

bool within_one_family(ForwardingMode mode)
{
    return mode == ForwardingMode::nat || mode == ForwardingMode::dsr_l2;
}

bool has_target(const ProxyConfig& proxy, Family family)
{
    const auto of_it = [&](const TargetConfig& target) { return family_of(target.endpoint.ip) == family; };
    return std::ranges::any_of(proxy.default_targets, of_it) ||
           std::ranges::any_of(proxy.source_routes, [&](const RouteConfig& route) {
               return std::ranges::any_of(route.targets, of_it);
           });
}

std::vector<Family> listen_families(const ProxyConfig& proxy)
{
    bool v4 = true, v6 = true;
    if (proxy.listen.kind == AddressKind::given) {
        v4 = std::ranges::any_of(proxy.listen.addresses, &IpAddress::is_v4);
        v6 = std::ranges::any_of(proxy.listen.addresses, &IpAddress::is_v6);
    } else if (within_one_family(proxy.forwarding.mode) && !proxy.default_targets.empty()) {
        v4 = proxy.default_targets.front().endpoint.ip.is_v4();
        v6 = !v4;
    } else if (proxy.forwarding.mode == ForwardingMode::full_nat) {
        v4 = has_target(proxy, Family::ipv4);
        v6 = has_target(proxy, Family::ipv6) || !v4;
    }
    std::vector<Family> families;
    if (v4) families.push_back(Family::ipv4);
    if (v6) families.push_back(Family::ipv6);
    return families;
}

std::string without_effect(const Config& config)
{
    if (config.settings.health_check_enabled) return "";
    const HealthCheck none;
    const auto is_written = [&](const std::vector<TargetConfig>& targets) {
        return std::ranges::any_of(targets, [&](const auto& each) { return each.health_check != none; });
    };
    bool written = config.settings.health_check != none;
    for (const auto& proxy : config.proxies) {
        written = written || proxy.health_check != none || is_written(proxy.default_targets);
        for (const auto& route : proxy.source_routes) written = written || is_written(route.targets);
    }
    return written
               ? "health checks are written, and nobody is checked: settings.health-check-enabled is false"
               : "";
}

} // namespace lb::model
