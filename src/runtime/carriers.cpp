#include "runtime/carriers.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstring>

#include "kernel/link.hpp"
#include "kernel/neighbours.hpp"
#include "kernel/routes.hpp"
#include "kernel/xdp_features.hpp"
#include "runtime/inside.hpp"

namespace lb::runtime {
namespace {

/// From this MTU on, drivers may put a packet into several buffers (a page, without what XDP keeps of it).
constexpr u32 one_buffer_mtu = 3498;

// A row is not written at once, so one that is right already is left alone.
template <class Row> Result<void> write_row(const kernel::Map& map, u32 target, const Row& row)
{
    const auto before = map.lookup<u32, Row>(target);
    if (!before) return std::unexpected(before.error());
    if (*before && std::memcmp(&**before, &row, sizeof row) == 0) return {};
    return map.update(target, row);
}

// Whether full NAT sends to it from what the host calls itself on the way.
bool needs_source(const model::Plan& plan, const model::PlanTarget& target)
{
    return target.full_nat && plan.settings.full_nat.addresses.empty();
}

bool needs_carrier(const model::PlanTarget& target) { return target.carried || target.fast_nat; }

Result<void> follow_target(const model::Plan& plan, const Tables& tables, const model::PlanTarget& target,
                           u8 sends)
{
    const IpAddress& ip = target.endpoint.ip;
    const auto route = kernel::route_to(ip);
    if (!route) return std::unexpected(route.error());
    const auto source = *route ? (*route)->source : std::nullopt;
    if (!source) spdlog::warn("target {}: this host has no route to it", target.endpoint.text());
    if (needs_source(plan, target))
        if (auto done = write_row(tables["nat_sources"], target.id, model::source_row(source)); !done)
            return done;
    if (!needs_carrier(target)) return {};
    const auto proxy = std::ranges::find(plan.proxies, target.proxy, &model::PlanProxy::id);
    if (auto done = write_row(tables["carriers"], target.id, carrier_row(target, *proxy, source, sends));
        !done)
        return done;
    if (!source || (*route)->local) return {};
    // XDP takes neighbours as it finds them: it neither asks for one nor notes that one was used.
    if (auto asked = kernel::use_neighbour((*route)->ifindex, (*route)->gateway.value_or(ip)); !asked)
        spdlog::debug("{}", asked.error().message);
    return {};
}

bool is_generic(const kernel::Interface& interface)
{
    const auto occupant = kernel::xdp_occupant(interface.index);
    return occupant && *occupant && (*occupant)->mode == kernel::XdpMode::generic;
}

} // namespace

bool can_send(const kernel::Interface& interface, bool generic)
{
    if (!interface.up() || !interface.ethernet() || interface.loopback()) return false;
    if (generic) return interface.kind.empty() || interface.kind == "veth";
    const auto features = kernel::xdp_features(interface.index);
    if (!features || !*features || !(*features)->transmit) return false;
    return (*features)->transmit_frags || interface.mtu <= one_buffer_mtu;
}

namespace {

// Those that the programs are on.
std::vector<kernel::Interface> ingress_of(const model::Plan& plan, std::vector<kernel::Interface> interfaces)
{
    std::erase_if(interfaces, [&](const kernel::Interface& each) {
        return std::ranges::find(plan.interfaces, each.name) == plan.interfaces.end();
    });
    return interfaces;
}

Result<void> follow_devices(const std::vector<kernel::Interface>& interfaces, bool all_generic,
                            const kernel::Map& devices)
{
    for (const auto& interface : interfaces) {
        if (can_send(interface, all_generic)) {
            if (auto done = devices.update(interface.index, interface.index); !done) return done;
        } else if (auto done = devices.remove(interface.index); !done) {
            return std::unexpected(done.error());
        }
    }
    return {};
}

} // namespace

Result<void> follow_carriers(const model::Plan& plan, const Tables& tables)
{
    if (!plan.lb_sends() && !plan.has_full_nat()) return {};
    const auto interfaces = kernel::list_interfaces();
    if (!interfaces) return std::unexpected(interfaces.error());
    auto programs_on = ingress_of(plan, *interfaces);
    const auto inside = inside_interfaces(plan);
    if (!inside) return std::unexpected(inside.error());
    programs_on.insert(programs_on.end(), inside->begin(), inside->end());
    const bool all_generic = std::ranges::all_of(programs_on, is_generic);
    const bool tx =
        all_generic || std::ranges::find(programs_on, "veth", &kernel::Interface::kind) == programs_on.end();
    const u8 sends = tx ? model::sends_redirect | model::sends_tx : model::sends_redirect;
    for (const auto& target : plan.targets)
        if (needs_carrier(target) || needs_source(plan, target))
            if (auto done = follow_target(plan, tables, target, sends); !done) return done;
    if (!plan.lb_sends()) return {};
    return follow_devices(*interfaces, all_generic, tables["devices"]);
}

} // namespace lb::runtime
