#include "model/plan.hpp"

#include <algorithm>
#include <set>
#include <tuple>

#include "model/maglev.hpp"

namespace lb::model {
namespace {

// The lowest number that no name has yet.
u32 lowest_free(const std::map<std::string, u32>& ids)
{
    std::set<u32> used;
    for (const auto& [name, id] : ids) used.insert(id);
    u32 free = 0;
    for (const u32 id : used) {
        if (id != free) break;
        ++free;
    }
    return free;
}

u32 id_of(std::map<std::string, u32>& ids, const std::string& name)
{
    const auto known = ids.find(name);
    if (known != ids.end()) return known->second;
    return ids[name] = lowest_free(ids);
}

class Planner {
public:
    Planner(const Config& config, const Ids& previous) : config_(config) { plan_.ids = previous; }

    Plan make()
    {
        plan_.instance = config_.settings.instance;
        plan_.settings = config_.settings;
        plan_.max_connections = config_.settings.max_connections;
        collect_interfaces();
        for (const auto& proxy : config_.proxies) add_proxy(proxy);
        sort_listeners();
        return std::move(plan_);
    }

private:
    void collect_interfaces();
    void add_proxy(const ProxyConfig& proxy);
    void add_listeners(const ListenConfig& listen, u32 proxy);
    u32 add_group(const std::vector<TargetConfig>& targets, const std::string& proxy_name, u32 proxy);
    u32 add_target(const Endpoint& endpoint, const std::string& proxy_name, u32 proxy);
    void sort_listeners();

    const Config& config_;
    Plan plan_ = {};
};

void Planner::collect_interfaces()
{
    std::set<std::string> ingress, egress;
    for (const auto& proxy : config_.proxies) {
        ingress.insert(proxy.listen.interfaces.begin(), proxy.listen.interfaces.end());
        egress.insert(proxy.listen.egress_interfaces.begin(), proxy.listen.egress_interfaces.end());
    }
    egress.insert(ingress.begin(), ingress.end());
    plan_.interfaces.assign(ingress.begin(), ingress.end());
    plan_.egress_interfaces.assign(egress.begin(), egress.end());
    plan_.loopback_interface = ingress.contains("lo");
}

u32 Planner::add_target(const Endpoint& endpoint, const std::string& proxy_name, u32 proxy)
{
    const u32 id = id_of(plan_.ids.targets, proxy_name + "/" + endpoint.text());
    if (std::ranges::find(plan_.targets, id, &PlanTarget::id) == plan_.targets.end()) {
        plan_.targets.push_back({.id = id, .proxy = proxy, .endpoint = endpoint});
        if (endpoint.ip.is_loopback()) plan_.loopback_targets = true;
    }
    return id;
}

// Routes often name the same targets: one table serves them all.
u32 Planner::add_group(const std::vector<TargetConfig>& targets, const std::string& proxy_name, u32 proxy)
{
    PlanGroup group{.id = static_cast<u32>(plan_.groups.size()), .proxy = proxy};
    for (const auto& target : targets)
        group.members.push_back({add_target(target.endpoint, proxy_name, proxy), target.weight});
    group.slots = slots_for(group.members.size());
    for (const auto& other : plan_.groups) {
        const bool same = other.proxy == proxy &&
                          std::ranges::equal(other.members, group.members, [](const auto& a, const auto& b) {
                              return a.target == b.target && a.weight == b.weight;
                          });
        if (same) return other.id;
    }
    plan_.groups.push_back(std::move(group));
    return plan_.groups.back().id;
}

void Planner::add_listeners(const ListenConfig& listen, u32 proxy)
{
    std::vector<std::string> interfaces = listen.interfaces;
    std::ranges::sort(interfaces);
    if (interfaces == plan_.interfaces) interfaces.clear();
    std::vector<be32> addresses{be32{}};
    if (listen.kind == AddressKind::given) {
        addresses.clear();
        for (const auto& address : listen.addresses) addresses.push_back(address.v4());
    }
    for (const Protocol protocol : {Protocol::tcp, Protocol::udp}) {
        if (!(protocol == Protocol::tcp ? listen.tcp : listen.udp)) continue;
        for (const be32 address : addresses)
            plan_.listeners.push_back({.proxy = proxy,
                                       .protocol = protocol,
                                       .port = listen.port,
                                       .kind = listen.kind,
                                       .address = address,
                                       .interfaces = interfaces});
    }
}

void Planner::add_proxy(const ProxyConfig& proxy)
{
    const u32 id = id_of(plan_.ids.proxies, proxy.name);
    add_listeners(proxy.listen, id);
    const u32 group = add_group(proxy.default_targets, proxy.name, id);
    for (const auto& route : proxy.source_routes)
        plan_.routes.push_back(
            {.proxy = id, .source = route.source, .group = add_group(route.targets, proxy.name, id)});
    plan_.proxies.push_back(
        {.id = id, .name = proxy.name, .default_group = group, .has_routes = !proxy.source_routes.empty()});
}

void Planner::sort_listeners()
{
    std::ranges::stable_sort(plan_.listeners, {}, [](const PlanListener& each) {
        return std::tuple(each.port, each.protocol, each.kind, each.address.host());
    });
}

} // namespace

Result<Plan> make_plan(const Config& config, const Ids& previous) { return Planner(config, previous).make(); }

} // namespace lb::model
