#include "runtime/inside.hpp"

#include <algorithm>

#include "kernel/routes.hpp"

namespace lb::runtime {

Result<std::vector<kernel::Interface>> inside_interfaces(const model::Plan& plan)
{
    std::vector<kernel::Interface> found;
    for (const auto& target : plan.targets) {
        if (!target.full_nat && !target.fast_nat) continue;
        const auto route = kernel::route_to(target.endpoint.ip);
        if (!route) return std::unexpected(route.error());
        if (!*route || (*route)->local) continue;
        if (std::ranges::find(found, (*route)->ifindex, &kernel::Interface::index) != found.end()) continue;
        auto interface = kernel::interface_by_index((*route)->ifindex);
        if (!interface) return std::unexpected(interface.error());
        const bool listens = std::ranges::find(plan.interfaces, interface->name) != plan.interfaces.end();
        if (!listens && interface->ethernet() && !interface->loopback())
            found.push_back(std::move(*interface));
    }
    return found;
}

} // namespace lb::runtime
