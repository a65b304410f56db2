#include "model/contradictions.hpp"

#include <algorithm>
#include <map>

#include "model/json_text.hpp"
#include "model/maglev.hpp"
#include "model/rate_limits.hpp"

namespace lb::model {
namespace {

constexpr std::string_view list_shown = "[...]";

bool has(const std::vector<Family>& families, Family family)
{
    return std::ranges::find(families, family) != families.end();
}

bool has(const std::vector<IpAddress>& addresses, const IpAddress& ip)
{
    return std::ranges::find(addresses, ip) != addresses.end();
}

std::string shown(const IpAddress& ip) { return quoted(ip.text()); }

class Finder {
public:
    Finder(const ProxyConfig& proxy, const Settings& settings)
        : proxy_(proxy),
          settings_(settings),
          mode_(proxy.forwarding.mode),
          mode_name_(name_of(mode_)),
          families_(listen_families(proxy))
    {}

    std::vector<Contradiction> all()
    {
        look_at_listener();
        look_at_forwarding();
        if (mode_ == ForwardingMode::full_nat) look_at_full_nat();
        look_at_group({"default-target"}, proxy_.default_targets);
        for (std::size_t i = 0; i < proxy_.source_routes.size(); ++i) look_at_route(i);
        look_at_table();
        look_at_lists();
        look_at_limits();
        look_at_repeated();
        return std::move(found_);
    }

private:
    void look_at_listener();
    void look_at_forwarding();
    void look_at_full_nat();
    void look_at_route(std::size_t index);
    void look_at_group(const Place& place, const std::vector<TargetConfig>& targets);
    std::string address_problem(const IpAddress& target) const;
    void look_at_table();
    void look_at_lists();
    void look_at_limits();
    void look_at_repeated();
    void look_at_burst(std::string_view kind, std::string_view key, std::string_view rate_key,
                       const RateConfig& own, const RateConfig& general);
    Family family() const; // of both sides, where the mode keeps it

    void add(Place place, std::string value, std::string message)
    {
        found_.push_back({std::move(place), std::move(value), std::move(message)});
    }

    const ProxyConfig& proxy_;
    const Settings& settings_;
    const ForwardingMode mode_;
    const std::string mode_name_;
    const std::vector<Family> families_;
    std::vector<Contradiction> found_ = {};
};

Family Finder::family() const
{
    const ListenConfig& listen = proxy_.listen;
    return listen.kind == AddressKind::given && !listen.addresses.empty()
               ? family_of(listen.addresses.front())
               : families_.front();
}

void Finder::look_at_listener()
{
    const ListenConfig& listen = proxy_.listen;
    for (std::size_t i = 0; i < listen.addresses.size(); ++i) {
        const IpAddress& ip = listen.addresses[i];
        if (within_one_family(mode_) && family_of(ip) != family())
            add({"listen", "address", i}, shown(ip),
                name_of(family_of(ip)) + " beside " + name_of(family()) + ": mode " + mode_name_ +
                    " forwards within one family: expected one proxy for each");
    }
    if (is_dsr(mode_) && !listen.egress_interfaces.empty())
        add({"listen", "egress-interfaces"}, std::string(list_shown),
            "replies do not come back here in mode " + mode_name_ + ": expected none");
    if (mode_ == ForwardingMode::dsr_gue && listen.udp && listen.port == proxy_.forwarding.gue_port)
        add({"listen", "port"}, std::to_string(listen.port),
            "targets take this UDP port for the tunnel's (forwarding.port): expected two that differ");
}

void Finder::look_at_forwarding()
{
    if (mode_ == ForwardingMode::dsr_l2 && proxy_.forwarding.path == ForwardingPath::stack)
        add({"forwarding", "path"}, "\"stack\"",
            R"(dsr-l2 writes the target's Ethernet address, and the stack routes by IP: expected "auto" or "fast")");
}

void Finder::look_at_full_nat()
{
    const FullNatConfig& pool = settings_.full_nat;
    for (const Family family : {Family::ipv4, Family::ipv6}) {
        const bool in_pool =
            std::ranges::any_of(pool.addresses, [&](const IpAddress& ip) { return family_of(ip) == family; });
        if (!pool.addresses.empty() && !in_pool && has_target(proxy_, family))
            add({"forwarding", "mode"}, quoted(mode_name_),
                "settings.full-nat.addresses has no " + name_of(family) +
                    " address, which is needed toward targets of that family");
    }
}

void Finder::look_at_route(std::size_t index)
{
    const RouteConfig& route = proxy_.source_routes[index];
    if (const Family family = family_of(route.source.address); !has(families_, family))
        add({"source-routes", index, "source"}, quoted(route.source.text()),
            name_of(family) + ": the proxy listens on " + name_of(families_.front()) +
                " only, where no client has such an address");
    look_at_group({"source-routes", index, "targets"}, route.targets);
}

// Why the proxy can't forward to that address; empty: it can.
std::string Finder::address_problem(const IpAddress& target) const
{
    if (within_one_family(mode_) && family_of(target) != family()) {
        const bool given = proxy_.listen.kind == AddressKind::given;
        return name_of(family_of(target)) +
               (given ? ", but the proxy listens on " : ", but its first target is ") + name_of(family()) +
               ": mode " + mode_name_ + " forwards within one family";
    }
    if (target.is_loopback() && mode_ != ForwardingMode::nat)
        return "mode " + mode_name_ +
               " does not reach this host itself: expected mode nat or another machine's address";
    if (target.is_loopback() && proxy_.forwarding.path == ForwardingPath::fast)
        return "on this host, where only the stack delivers: expected forwarding path auto or stack";
    if (mode_ != ForwardingMode::nat && has(proxy_.listen.addresses, target))
        return "the proxy listens on it: mode " + mode_name_ + " needs an address of another machine";
    if (mode_ == ForwardingMode::full_nat && has(settings_.full_nat.addresses, target))
        return "one of settings.full-nat.addresses: expected an address of another machine";
    return "";
}

void Finder::look_at_group(const Place& place, const std::vector<TargetConfig>& targets)
{
    for (std::size_t i = 0; i < targets.size(); ++i) {
        const auto at = [&](std::string_view key) {
            Place part = place;
            if (targets.size() > 1) part.emplace_back(i);
            part.emplace_back(key);
            return part;
        };
        const Endpoint& target = targets[i].endpoint;
        if (std::string problem = address_problem(target.ip); !problem.empty())
            add(at("ip"), shown(target.ip), std::move(problem));
        if (is_dsr(mode_) && target.port != proxy_.listen.port)
            add(at("port"), std::to_string(target.port),
                "in mode " + mode_name_ +
                    " the target gets packets as clients send them: expected the listener's port, " +
                    std::to_string(proxy_.listen.port));
    }
    const u32 slots = table_size(proxy_, settings_, targets.size());
    if (slots < targets.size())
        add(place, std::string(list_shown),
            std::to_string(targets.size()) + " targets for a table of " + std::to_string(slots) +
                " slots: expected a larger maglev-table-size");
}

void Finder::look_at_table()
{
    if (proxy_.maglev_table_size.value_or(0) != 0 && !picks_by_hash(proxy_.algorithm))
        add({"maglev-table-size"}, std::to_string(*proxy_.maglev_table_size),
            "algorithm " + name_of(proxy_.algorithm) +
                " does not pick by hash: expected algorithm maglev or source-hash, or no size");
}

void Finder::look_at_lists()
{
    if (proxy_.allow.empty()) return;
    for (const Family family : families_)
        if (std::ranges::any_of(proxy_.allow,
                                [&](const Prefix& each) { return family_of(each.address) == family; }))
            return;
    add({"allow"}, std::string(list_shown),
        "no " + name_of(families_.front()) +
            " prefix: none of the proxy's clients could connect; expected one, or an empty list");
}

void Finder::look_at_burst(std::string_view kind, std::string_view key, std::string_view rate_key,
                           const RateConfig& own, const RateConfig& general)
{
    if (own.burst && !own.per_sec && !general.per_sec)
        add({"rate-limits", kind, key}, std::to_string(*own.burst),
            "a burst of no rate: expected " + std::string(rate_key) + " here or in settings.rate-limits");
}

void Finder::look_at_limits()
{
    const auto look = [&](std::string_view kind, const RateLimitsConfig& own,
                          const RateLimitsConfig& general) {
        look_at_burst(kind, "burst", "requests-per-sec", own.requests, general.requests);
        look_at_burst(kind, "packets-burst", "packets-per-sec", own.packets, general.packets);
        const bool lengths = own.prefix_length_ipv4 || own.prefix_length_ipv6;
        if (lengths && !merged(own, general).any())
            add({"rate-limits", kind}, "{...}",
                "a prefix length without a rate: expected requests-per-sec or packets-per-sec here or in "
                "settings.rate-limits");
    };
    look("per-source", proxy_.rate_limits.per_source, settings_.rate_limits.per_source);
    look("per-target", proxy_.rate_limits.per_target, settings_.rate_limits.per_target);
}

// A target is one and the same in all groups of its proxy.
void Finder::look_at_repeated()
{
    std::map<Endpoint, const TargetConfig*> first;
    for (const TargetConfig& target : proxy_.default_targets) first.try_emplace(target.endpoint, &target);
    for (std::size_t i = 0; i < proxy_.source_routes.size(); ++i) {
        const auto& targets = proxy_.source_routes[i].targets;
        for (std::size_t j = 0; j < targets.size(); ++j) {
            const TargetConfig& other = *first.try_emplace(targets[j].endpoint, &targets[j]).first->second;
            const std::string name = quoted(targets[j].endpoint.text());
            if (other.enabled != targets[j].enabled)
                add({"source-routes", i, "targets", j}, name,
                    R"(in and out of service: expected the same "enabled" wherever it is named)");
            if (other.health_check != targets[j].health_check)
                add({"source-routes", i, "targets", j}, name,
                    R"(checked in different ways: expected the same "health-check" wherever it is named)");
        }
    }
}

} // namespace

std::string text(const Contradiction& contradiction)
{
    std::string out;
    for (const auto& step : contradiction.place) {
        if (const auto* index = std::get_if<std::size_t>(&step)) {
            out += "[" + std::to_string(*index) + "]";
        } else {
            out += (out.empty() ? "" : ".") + std::string(std::get<std::string_view>(step));
        }
    }
    return out + ": " + contradiction.value + ": " + contradiction.message;
}

std::vector<Contradiction> contradictions(const ProxyConfig& proxy, const Settings& settings)
{
    return Finder(proxy, settings).all();
}

} // namespace lb::model
