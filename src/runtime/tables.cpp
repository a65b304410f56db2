#include "runtime/tables.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "kernel/map_batch.hpp"
#include "model/rate_limits.hpp"
#include "runtime/group_tables.hpp"
#include "runtime/own_addresses.hpp"

namespace lb::runtime {

namespace {

template <class A, class E> Result<void> copy_flows(const kernel::Map& from, const kernel::Map& to)
{
    const auto entries = kernel::read_all<model::FlowKey<A>, model::Flow<E>>(from);
    if (!entries) return std::unexpected(entries.error());
    for (const auto& entry : *entries)
        if (auto done = to.update(entry.key, entry.value); !done)
            return context(done.error(), "taking over the connections of the earlier table");
    spdlog::info("took over {} flow entries into a table of another size", entries->size());
    return {};
}

// The flow table of an earlier run where it fits; a new one else, with what the old one held.
template <class A, class E = A>
Result<kernel::Map> adopt_flows(const bpf::MapSpec& spec, const kernel::PinFolder& pins)
{
    const std::string name = pin_name(spec.name);
    if (!pins.has(name)) return kernel::Map::create(spec);
    auto old = kernel::Map::open_pinned(pins.path_of(name));
    if (!old) return old;
    if (old->matches(spec)) {
        spdlog::info("took over the flow table of an earlier run");
        return old;
    }
    auto fresh = kernel::Map::create(spec);
    if (!fresh) return fresh;
    bpf::MapSpec resized = spec;
    resized.max_entries = old->info().max_entries;
    if (!old->matches(resized)) {
        spdlog::warn(
            "the flow table of an earlier run has another layout: its connections are not taken over");
        return fresh;
    }
    if (auto copied = copy_flows<A, E>(*old, *fresh); !copied) spdlog::warn("{}", copied.error().message);
    return fresh;
}

// The sessions of an earlier run where they fit; who was there then finds another target else.
Result<kernel::Map> adopt_sessions(const bpf::MapSpec& spec, const kernel::PinFolder& pins)
{
    const std::string name = pin_name(spec.name);
    if (pins.has(name)) {
        auto old = kernel::Map::open_pinned(pins.path_of(name), spec);
        if (old) return old;
        spdlog::warn("the sessions of an earlier run are not taken over: {}", old.error().message);
    }
    return kernel::Map::create(spec);
}

} // namespace

std::string pin_name(const std::string& map)
{
    const bool lasts = map.starts_with("flows") || map.starts_with("sessions");
    return lasts ? map + "_v" + std::to_string(model::flow_layout_version) : map;
}

namespace {

// Connections between families that an earlier run has left, where this one knows of none: an IPv6 packet
// would find half of what it needs.
Result<void> forget_across(const kernel::Map& flows6, const kernel::PinFolder& pins)
{
    const std::string others = pin_name("flows46");
    if (!pins.has(others)) return {};
    const auto entries = kernel::read_all<model::FlowKey6, model::Flow6>(flows6);
    if (!entries) return std::unexpected(entries.error());
    for (const auto& entry : *entries)
        if (entry.value.carried == model::carried_across)
            if (auto removed = flows6.remove(entry.key); !removed) return std::unexpected(removed.error());
    if (auto removed = pins.remove(others); !removed) return std::unexpected(removed.error());
    return {};
}

Result<kernel::Map> make_map(const bpf::MapSpec& spec, const datapath::Maps& maps,
                             const kernel::PinFolder& pins)
{
    if (maps.v4 && &spec == &maps.v4->flows) return adopt_flows<be32>(spec, pins);
    if (maps.v6 && &spec == &maps.v6->flows) return adopt_flows<model::Address6>(spec, pins);
    if (maps.across && &spec == &maps.across->flows4) return adopt_flows<be32, model::Address6>(spec, pins);
    if (spec.name.starts_with("sessions")) return adopt_sessions(spec, pins);
    return kernel::Map::create(spec);
}

} // namespace

Result<Tables> Tables::create(const model::Plan& plan, const datapath::Maps& maps,
                              const kernel::PinFolder& pins)
{
    Tables tables;
    for (const bpf::MapSpec* spec : maps.all()) {
        auto map = make_map(*spec, maps, pins);
        if (!map) return std::unexpected(map.error());
        tables.maps_.emplace(spec->name, std::move(*map));
    }
    if (!maps.across && tables.has("flows6"))
        if (auto done = forget_across(tables["flows6"], pins); !done) return std::unexpected(done.error());
    if (auto filled = tables.fill(plan); !filled) return std::unexpected(filled.error());
    return tables;
}

Result<void> Tables::fill(const model::Plan& plan) const
{
    for (const auto& target : plan.targets)
        if (auto done = maps_.at("targets").update(target.id, target_row(target)); !done) return done;
    if (has("proxies"))
        for (const auto& proxy : plan.proxies)
            if (auto done = maps_.at("proxies").update(proxy.id, proxy_row(proxy)); !done) return done;
    if (has("limits"))
        for (const auto& proxy : plan.proxies)
            if (auto done = maps_.at("limits").update(proxy.id, limits_row(proxy)); !done) return done;
    if (has("nat_sources"))
        if (auto done = fill_pool(plan); !done) return done;
    for (const auto& route : plan.routes)
        if (auto done = put_by_source("routes", route.proxy, route.source, route.group); !done) return done;
    for (const auto& each : plan.prefixes)
        if (auto done = put_by_source("prefixes", each.proxy, each.source, each.allow); !done) return done;
    return fill_groups(plan);
}

// Sources without a pool follow the host's routes: see carriers.hpp.
Result<void> Tables::fill_pool(const model::Plan& plan) const
{
    u32 index = 0;
    for (const auto family : {model::Family::ipv4, model::Family::ipv6})
        for (const auto& source : plan.full_nat_pool(family))
            if (auto done = maps_.at("nat_sources").update(index++, model::source_row(source)); !done)
                return done;
    return {};
}

// Into the map of the prefix's family.
Result<void> Tables::put_by_source(const std::string& map, u32 proxy, const Prefix& source, u32 value) const
{
    const u32 length = 32u + source.length;
    if (source.address.is_v6())
        return maps_.at(map + "6").update(model::RouteKey6{length, proxy, source.address.address6()}, value);
    return maps_.at(map + "4").update(model::RouteKey4{length, proxy, source.address.v4()}, value);
}

// By the configured weights.
Result<void> Tables::fill_groups(const model::Plan& plan) const
{
    auto groups = GroupTables::open(plan, maps_.at("groups"), maps_.at("slots"),
                                    has("members") ? &maps_.at("members") : nullptr);
    if (!groups) return std::unexpected(groups.error());
    for (const auto& group : plan.groups) {
        std::vector<u32> weights;
        for (const auto& member : group.members) weights.push_back(member.weight);
        if (auto done = groups->publish(group, weights); !done) return done;
    }
    return {};
}

Result<void> Tables::set_own_addresses(std::span<const kernel::HostAddress> addresses,
                                       bool with_loopback) const
{
    const auto map = [&](const char* name) { return has(name) ? &maps_.at(name) : nullptr; };
    return write_own_addresses(map("own4"), map("own6"), addresses, with_loopback);
}

Result<void> Tables::pin(const kernel::PinFolder& pins) const
{
    for (const auto& [name, map] : maps_) {
        if (auto removed = pins.remove(pin_name(name)); !removed) return std::unexpected(removed.error());
        if (auto done = map.pin(pins.path_of(pin_name(name))); !done) return done;
    }
    return {};
}

Result<void> link_followers(const kernel::Map& programs, const kernel::Program& siit,
                            const kernel::Program& ingress)
{
    using datapath::Follower;
    if (auto done = programs.update(static_cast<u32>(Follower::siit), siit.fd()); !done) return done;
    return programs.update(static_cast<u32>(Follower::ingress), ingress.fd());
}

kernel::Resolver Tables::resolver() const
{
    kernel::Resolver resolver;
    for (const auto& [name, map] : maps_) resolver.maps[name] = map.fd();
    return resolver;
}

} // namespace lb::runtime
