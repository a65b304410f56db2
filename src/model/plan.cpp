#include "model/plan.hpp"

#include <algorithm>
#include <set>
#include <tuple>

#include "model/contradictions.hpp"
#include "model/maglev.hpp"
#include "model/rate_limits.hpp"

namespace lb::model {
namespace {

using namespace std::chrono_literals;

// By the kernel's stack, unless the file says otherwise.
bool is_fast_nat(ForwardingMode mode, ForwardingPath path)
{
    return !is_dsr(mode) && path == ForwardingPath::fast;
}

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
        for (const auto& proxy : config_.proxies)
            if (const auto found = contradictions(proxy, config_.settings); !found.empty())
                return fail(ErrorKind::config, "proxy " + proxy.name + ": " + text(found.front()));
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
        const FullNatConfig& pool = plan_.settings.full_nat;
        if (plan_.shares_ports(Family::ipv4) && pool.port_first == pool.port_last)
            return fail(
                ErrorKind::config,
                "settings.full-nat.ports: \"" + std::to_string(pool.port_first) +
                    "\": IPv4 and IPv6 clients of IPv4 targets have a port each: expected two or more");
        return std::move(plan_);
    }

private:
    void collect_interfaces();
    void add_proxy(const ProxyConfig& proxy);
    void add_listeners(const ProxyConfig& config, u32 proxy);
    u32 add_group(const std::vector<TargetConfig>& targets, const ProxyConfig& config, u32 proxy);
    u32 add_target(const TargetConfig& target, const ProxyConfig& config, u32 proxy);
    bool add_prefixes(const ProxyConfig& proxy, u32 id);
    void sort_listeners();

    const Config& config_;
    Plan plan_ = {};
    IdPool proxy_ids_{plan_.ids.proxies};
    IdPool target_ids_{plan_.ids.targets};
    std::set<u32> known_targets_ = {};
    std::map<GroupKey, u32> known_groups_ = {};
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

u32 carried_how(const ProxyConfig& config)
{
    if (!is_dsr(config.forwarding.mode)) return 0;
    return config.algorithm == Algorithm::maglev || config.algorithm == Algorithm::source_hash ? 2 : 1;
}

u32 Planner::add_target(const TargetConfig& target, const ProxyConfig& config, u32 proxy)
{
    const Endpoint& endpoint = target.endpoint;
    const u32 id = target_ids_.id_of(config.name + "/" + endpoint.text());
    if (known_targets_.insert(id).second) {
        plan_.targets.push_back({.id = id,
                                 .proxy = proxy,
                                 .endpoint = endpoint,
                                 .carried = carried_how(config),
                                 .fast_nat = is_fast_nat(config.forwarding.mode, config.forwarding.path),
                                 .full_nat = config.forwarding.mode == ForwardingMode::full_nat,
                                 .enabled = target.enabled,
                                 .health_check = target.health_check});
        if (endpoint.ip.is_loopback()) plan_.loopback_targets = true;
    }
    return id;
}

// Routes often name the same targets: one table serves them all.
u32 Planner::add_group(const std::vector<TargetConfig>& targets, const ProxyConfig& config, u32 proxy)
{
    PlanGroup group{.id = static_cast<u32>(plan_.groups.size()), .proxy = proxy};
    GroupKey key{proxy, {}};
    for (const auto& target : targets) {
        const u32 id = add_target(target, config, proxy);
        group.members.push_back({id, target.weight});
        key.second.emplace_back(id, target.weight);
    }
    std::ranges::sort(key.second); // the order of the members doesn't matter to the table
    const auto [found, added] = known_groups_.try_emplace(std::move(key), group.id);
    if (!added) return found->second;
    group.slots = table_size(config, config_.settings, group.members.size());
    plan_.groups.push_back(std::move(group));
    return plan_.groups.back().id;
}

void Planner::add_listeners(const ProxyConfig& config, u32 proxy)
{
    const ListenConfig& listen = config.listen;
    std::vector<std::string> interfaces = listen.interfaces;
    std::ranges::sort(interfaces);
    if (interfaces == plan_.interfaces) interfaces.clear();
    std::vector<std::pair<Family, IpAddress>> matches;
    if (listen.kind == AddressKind::given)
        for (const auto& address : listen.addresses) matches.emplace_back(family_of(address), address);
    else
        for (const Family family : listen_families(config)) matches.emplace_back(family, IpAddress());
    for (const Protocol protocol : {Protocol::tcp, Protocol::udp}) {
        if (!(protocol == Protocol::tcp ? listen.tcp : listen.udp)) continue;
        for (const auto& [family, address] : matches)
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
    add_listeners(proxy, id);
    const u32 group = add_group(proxy.default_targets, proxy, id);
    for (const auto& route : proxy.source_routes)
        plan_.routes.push_back(
            {.proxy = id, .source = route.source, .group = add_group(route.targets, proxy, id)});
    const ForwardingConfig& forwarding = proxy.forwarding;
    plan_.proxies.push_back(
        {.id = id,
         .name = proxy.name,
         .default_group = group,
         .has_routes = !proxy.source_routes.empty(),
         .algorithm = proxy.algorithm,
         .mode = forwarding.mode,
         .path = forwarding.path,
         .gue_port = forwarding.mode == ForwardingMode::dsr_gue ? forwarding.gue_port : u16{0},
         .persistence = proxy.persistence,
         .has_prefixes = add_prefixes(proxy, id),
         .per_source = merged(proxy.rate_limits.per_source, config_.settings.rate_limits.per_source),
         .per_target = merged(proxy.rate_limits.per_target, config_.settings.rate_limits.per_target),
         .all_unhealthy = proxy.all_unhealthy});
}

// Where one prefix is in both lists, deny wins. Returns whether there are any.
bool Planner::add_prefixes(const ProxyConfig& proxy, u32 id)
{
    const std::set<Prefix> allowed(proxy.allow.begin(), proxy.allow.end()),
        denied(proxy.deny.begin(), proxy.deny.end());
    const std::size_t before = plan_.prefixes.size();
    for (const Family family : listen_families(proxy)) {
        const auto add = [&](const Prefix& source, bool allow) {
            if (family_of(source.address) == family)
                plan_.prefixes.push_back({.proxy = id, .source = source, .allow = allow});
        };
        for (const Prefix& each : proxy.allow)
            if (!denied.contains(each)) add(each, true);
        for (const Prefix& each : proxy.deny) add(each, false);
        const Prefix everybody{family == Family::ipv6 ? IpAddress(std::array<u8, 16>{}) : IpAddress(), 0};
        if (!allowed.empty() && !allowed.contains(everybody) && !denied.contains(everybody))
            add(everybody, false);
    }
    return plan_.prefixes.size() > before;
}

void Planner::sort_listeners()
{
    std::ranges::stable_sort(plan_.listeners, {}, [](const PlanListener& each) {
        return std::tuple(each.family, each.port, each.protocol, each.kind, each.address);
    });
}

Direction replies_of(const PlanTarget& target)
{
    return target.full_nat   ? Direction::reply_here
           : target.fast_nat ? Direction::reply_either
                             : Direction::reply;
}

} // namespace

TargetRow target_row(const PlanTarget& target)
{
    const IpAddress& ip = target.endpoint.ip;
    TargetRow row{
        .port = be16(target.endpoint.port),
        .replies = static_cast<u16>(static_cast<u8>(replies_of(target)) - static_cast<u8>(Direction::reply)),
        .proxy = target.proxy,
        .carried = target.carried};
    if (ip.is_v6())
        row.address6 = ip.address6();
    else
        row.address4 = ip.v4();
    return row;
}

SourceRow source_row(const std::optional<IpAddress>& source)
{
    if (!source) return {};
    if (source->is_v6()) return {.address6 = source->address6(), .known = 1};
    return {.address4 = source->v4(), .known = 1};
}

ProxyRow proxy_row(const PlanProxy& proxy)
{
    return {.group = proxy.default_group,
            .algorithm = static_cast<u8>(proxy.algorithm),
            .mode = static_cast<u8>(proxy.mode),
            .session_ns = std::chrono::nanoseconds(proxy.persistence.value_or(0s)).count(),
            .id = proxy.id};
}

CarrierRow carrier_row(const PlanTarget& target, const PlanProxy& proxy,
                       const std::optional<IpAddress>& source, u8 sends)
{
    CarrierRow row{.mode = static_cast<u8>(proxy.mode),
                   .port = be16(proxy.gue_port),
                   .sends = proxy.path == ForwardingPath::stack ? u8{0} : sends};
    if (!source) return row;
    const IpAddress& ip = target.endpoint.ip;
    row.family = static_cast<u8>(family_of(ip));
    if (ip.is_v6()) {
        row.saddr6 = source->address6();
        row.daddr6 = ip.address6();
    } else {
        row.saddr4 = source->v4();
        row.daddr4 = ip.v4();
    }
    return row;
}

std::vector<IpAddress> Plan::full_nat_pool(Family family) const
{
    std::vector<IpAddress> pool = settings.full_nat.addresses;
    std::erase_if(pool, [&](const IpAddress& each) { return family_of(each) != family; });
    return pool;
}

bool Plan::has(Family family) const
{
    return std::ranges::find(listeners, family, &PlanListener::family) != listeners.end() ||
           goes_across(other(family));
}

bool Plan::has(Algorithm algorithm) const
{
    return std::ranges::find(proxies, algorithm, &PlanProxy::algorithm) != proxies.end();
}

std::vector<Algorithm> Plan::algorithms() const
{
    std::vector<Algorithm> all;
    for (const auto each : {Algorithm::maglev, Algorithm::source_hash, Algorithm::random,
                            Algorithm::round_robin, Algorithm::least_connections})
        if (has(each)) all.push_back(each);
    return all;
}

bool Plan::has(ForwardingMode mode) const
{
    return std::ranges::find(proxies, mode, &PlanProxy::mode) != proxies.end();
}

bool Plan::has_full_nat() const { return has(ForwardingMode::full_nat); }

namespace {

// Whether full NAT leads from listeners of one family to targets of one.
bool leads(const Plan& plan, Family from, Family to)
{
    return std::ranges::any_of(plan.targets, [&](const PlanTarget& target) {
        return target.full_nat && family_of(target.endpoint.ip) == to &&
               std::ranges::any_of(plan.listeners, [&](const PlanListener& listener) {
                   return listener.proxy == target.proxy && listener.family == from;
               });
    });
}

} // namespace

bool Plan::has_full_nat(Family family) const { return leads(*this, family, family); }

bool Plan::goes_across(Family from) const { return leads(*this, from, other(from)); }

bool Plan::goes_across() const { return goes_across(Family::ipv4) || goes_across(Family::ipv6); }

bool Plan::shares_ports(Family family) const
{
    return family == Family::ipv4 && has_full_nat(family) && goes_across(other(family));
}

bool Plan::has_fast_nat() const
{
    return std::ranges::any_of(proxies,
                               [](const PlanProxy& proxy) { return is_fast_nat(proxy.mode, proxy.path); });
}

bool Plan::expects_replies() const { return has_full_nat() || has_fast_nat(); }

bool Plan::translates_replies_early(Family family) const { return has_full_nat(family) || has_fast_nat(); }

bool Plan::expects_replies(Family family) const
{
    return translates_replies_early(family) || goes_across(other(family));
}

bool Plan::lb_sends() const { return has_dsr() || has_fast_nat(); }

bool Plan::has_persistence() const
{
    return std::ranges::any_of(proxies, [](const PlanProxy& proxy) { return proxy.persistence.has_value(); });
}

bool Plan::has_dsr() const
{
    return std::ranges::any_of(proxies, [](const PlanProxy& proxy) { return is_dsr(proxy.mode); });
}

bool Plan::checks_health(const PlanTarget& target) const
{
    return settings.health_check_enabled && target.health_check.type != HealthCheckType::none;
}

bool Plan::has_features() const
{
    return std::ranges::any_of(proxies, [](const PlanProxy& proxy) {
        return proxy.algorithm != Algorithm::maglev || proxy.mode != ForwardingMode::nat ||
               proxy.persistence || proxy.has_prefixes || proxy.per_source.any() || proxy.per_target.any();
    });
}

Result<Plan> make_plan(const Config& config, const Ids& previous) { return Planner(config, previous).make(); }

} // namespace lb::model
