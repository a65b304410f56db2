// What the plan says of admission, as code is generated for it: which lists and limits there are.
#include <algorithm>
#include <set>

#include "model/plan.hpp"

namespace lb::model {
namespace {

// Whether one of these proxies listens so.
bool listens(const Plan& plan, const std::set<u32>& which, Family family, Protocol protocol)
{
    return std::ranges::any_of(plan.listeners, [&](const PlanListener& each) {
        return each.family == family && each.protocol == protocol && which.contains(each.proxy);
    });
}

} // namespace

const PlanRate& PlanProxy::rate(Limit limit) const
{
    switch (limit) {
    case Limit::source_connections:
        return per_source.requests;
    case Limit::source_packets:
        return per_source.packets;
    case Limit::target_connections:
        return per_target.requests;
    case Limit::target_packets:
        break;
    }
    return per_target.packets;
}

bool Plan::has(Limit limit, Family family, Protocol protocol) const
{
    std::set<u32> limited;
    for (const auto& proxy : proxies)
        if (proxy.rate(limit).per_sec != 0) limited.insert(proxy.id);
    return listens(*this, limited, family, protocol);
}

bool Plan::has_lists(Family family, Protocol protocol) const
{
    std::set<u32> listed;
    for (const auto& prefix : prefixes)
        if (family_of(prefix.source.address) == family) listed.insert(prefix.proxy);
    return listens(*this, listed, family, protocol);
}

} // namespace lb::model
