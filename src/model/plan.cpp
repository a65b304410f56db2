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
        if (const std::string problem = mixed_families(); !problem.empty())
            return fail(ErrorKind::config, problem);
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
    std::string mixed_families() const;
    void collect_interfaces();
    void add_proxy(const ProxyConfig& proxy);
    void add_listeners(const ListenConfig& listen, Family family, u32 proxy);
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

// NAT keeps the client's address as the source, so that a target must be of the client's family.
std::string Planner::mixed_families() const
{
    for (const auto& proxy : config_.proxies) {
        const Family family = family_of(proxy.default_targets.front().endpoint.ip);
        const auto other = [&](const IpAddress& ip) { return family_of(ip) != family; };
        const auto other_target = [&](const TargetConfig& each) { return other(each.endpoint.ip); };
        bool mixed = std::ranges::any_of(proxy.listen.addresses, other) ||
                     std::ranges::any_of(proxy.default_targets, other_target);
        for (const auto& route : proxy.source_routes)
            mixed = mixed || other(route.source.address) || std::ranges::any_of(route.targets, other_target);
        if (mixed)
            return "proxy " + proxy.name +
                   ": IPv4 and IPv6: expected addresses, targets and source routes of one family";
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

void Planner::add_listeners(const ListenConfig& listen, Family family, u32 proxy)
{
    std::vector<std::string> interfaces = listen.interfaces;
    std::ranges::sort(interfaces);
    if (interfaces == plan_.interfaces) interfaces.clear();
    std::vector<IpAddress> addresses{IpAddress{}};
    if (listen.kind == AddressKind::given) addresses = listen.addresses;
    for (const Protocol protocol : {Protocol::tcp, Protocol::udp}) {
        if (!(protocol == Protocol::tcp ? listen.tcp : listen.udp)) continue;
        for (const auto& address : addresses)
            plan_.listeners.push_back({.proxy = proxy,
                                       .family = family,
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
    add_listeners(proxy.listen, family_of(proxy.default_targets.front().endpoint.ip), id);
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
        return std::tuple(each.family, each.port, each.protocol, each.kind, each.address);
    });
}

} // namespace

TargetRow target_row(const PlanTarget& target)
{
    const IpAddress& ip = target.endpoint.ip;
    TargetRow row{.port = be16(target.endpoint.port), .proxy = target.proxy};
    if (ip.is_v6())
        row.address6 = ip.address6();
    else
        row.address4 = ip.v4();
    return row;
}

bool Plan::has(Family family) const
{
    return std::ranges::any_of(listeners, [&](const auto& each) { return each.family == family; });
}

Result<Plan> make_plan(const Config& config, const Ids& previous) { return Planner(config, previous).make(); }

} // namespace lb::model
