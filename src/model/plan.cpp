#include "model/plan.hpp"

#include <algorithm>
#include <set>
#include <tuple>

#include "model/config_rules.hpp"
#include "model/maglev.hpp"

namespace lb::model {
namespace {

// Ids by name. A known name keeps its id, a new one gets the lowest that is free.
class IdPool {
public:
    explicit IdPool(std::map<std::string, u32>& ids) : ids_(ids)
    {
        for (const auto& [name, id] : ids) used_.insert(id);
    }

    u32 id_of(const std::string& name)
    {
        const auto [found, added] = ids_.try_emplace(name);
        if (!added) return found->second;
        while (used_.contains(next_)) ++next_;
        return found->second = next_++;
    }

private:
    std::map<std::string, u32>& ids_;
    std::set<u32> used_ = {};
    u32 next_ = 0;
};

// The members of a group, for finding one that has the same.
using GroupKey = std::pair<u32, std::vector<std::pair<u32, u32>>>;

class Planner {
public:
    Planner(const Config& config, const Ids& previous) : config_(config), plan_{.ids = previous} {}

    Result<Plan> make()
    {
        if (const std::string problem = ipv6_use(); !problem.empty()) return fail(ErrorKind::config, problem);
        plan_.instance = config_.settings.instance;
        plan_.settings = config_.settings;
        plan_.max_connections = config_.settings.max_connections;
        collect_interfaces();
        for (const auto& proxy : config_.proxies) add_proxy(proxy);
        sort_listeners();
        u64 slots = 0;
        for (const auto& group : plan_.groups) slots += group.slots;
        if (slots > plan_slots_max) {
            return fail(ErrorKind::config, std::to_string(plan_.groups.size()) +
                                               " different groups of targets need " + std::to_string(slots) +
                                               " slots: at most " + std::to_string(plan_slots_max) + " fit");
        }
        return std::move(plan_);
    }

private:
    std::string ipv6_use() const;
    void collect_interfaces();
    void add_proxy(const ProxyConfig& proxy);
    void add_listeners(const ListenConfig& listen, u32 proxy);
    u32 add_group(const std::vector<TargetConfig>& targets, const std::string& proxy_name, u32 proxy);
    u32 add_target(const Endpoint& endpoint, const std::string& proxy_name, u32 proxy);
    void sort_listeners();

    const Config& config_;
    Plan plan_ = {};
    IdPool proxy_ids_{plan_.ids.proxies};
    IdPool target_ids_{plan_.ids.targets};
    std::set<u32> known_targets_ = {};
    std::map<GroupKey, u32> known_groups_ = {};
};

// The maps and programs of this version are for IPv4; the reader refuses the rest, but a Config can be made
// by hand.
std::string Planner::ipv6_use() const
{
    const auto is_v6 = [](const TargetConfig& target) { return target.endpoint.ip.is_v6(); };
    for (const auto& proxy : config_.proxies) {
        bool found = std::ranges::any_of(proxy.listen.addresses, &IpAddress::is_v6) ||
                     std::ranges::any_of(proxy.default_targets, is_v6);
        for (const auto& route : proxy.source_routes) {
            found = found || route.source.address.is_v6() || std::ranges::any_of(route.targets, is_v6);
        }
        if (found) return "proxy " + proxy.name + ": " + std::string(ipv6_later);
    }
    return "";
}

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
    const u32 id = target_ids_.id_of(proxy_name + "/" + endpoint.text());
    if (known_targets_.insert(id).second) {
        plan_.targets.push_back({.id = id, .proxy = proxy, .endpoint = endpoint});
        if (endpoint.ip.is_loopback()) plan_.loopback_targets = true;
    }
    return id;
}

// Routes often name the same targets: one table serves them all.
u32 Planner::add_group(const std::vector<TargetConfig>& targets, const std::string& proxy_name, u32 proxy)
{
    PlanGroup group{.id = static_cast<u32>(plan_.groups.size()), .proxy = proxy};
    GroupKey key{proxy, {}};
    for (const auto& target : targets) {
        const u32 id = add_target(target.endpoint, proxy_name, proxy);
        group.members.push_back({id, target.weight});
        key.second.emplace_back(id, target.weight);
    }
    std::ranges::sort(key.second); // the order of the members doesn't matter to the table
    const auto [found, added] = known_groups_.try_emplace(std::move(key), group.id);
    if (!added) return found->second;
    group.slots = slots_for(group.members.size());
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
    const u32 id = proxy_ids_.id_of(proxy.name);
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
