#include "datapath/maps.hpp"

#include <algorithm>

#include "model/reason.hpp"

namespace lb::datapath {
namespace {

// Arrays have an index for every id; ids may have holes after a reload.
template <class T> u32 ids_end(const std::vector<T>& with_ids)
{
    u32 end = 1;
    for (const auto& each : with_ids) end = std::max(end, each.id + 1);
    return end;
}

} // namespace

u32 slots_capacity(const model::Plan& plan)
{
    u32 total = 0;
    for (const auto& group : plan.groups) total += 2 * group.slots;
    return std::max(total, u32{1});
}

namespace {

template <class A>
std::optional<FamilyMaps<A>> family_maps(const model::Plan& plan, model::Family family,
                                         const std::string& suffix)
{
    if (!plan.has(family)) return std::nullopt;
    const auto routes = std::ranges::count_if(
        plan.routes, [&](const auto& each) { return model::family_of(each.source.address) == family; });
    return FamilyMaps<A>{.flows = {"flows" + suffix, bpf::MapType::hash, 2 * plan.max_connections},
                         .routes = {"routes" + suffix, bpf::MapType::lpm_trie,
                                    std::max<u32>(1, static_cast<u32>(routes)), bpf::map_no_prealloc},
                         .own_addresses = {"own" + suffix, bpf::MapType::hash, own_addresses_max},
                         .fragments = {"fragments" + suffix, bpf::MapType::lru_hash, fragments_max}};
}

} // namespace

Maps::Maps(const model::Plan& plan)
    : v4(family_maps<be32>(plan, model::Family::ipv4, "4")),
      v6(family_maps<model::Address6>(plan, model::Family::ipv6, "6")),
      targets("targets", bpf::MapType::array, ids_end(plan.targets)),
      groups("groups", bpf::MapType::array, ids_end(plan.groups), bpf::map_mmapable),
      slots("slots", bpf::MapType::array, slots_capacity(plan), bpf::map_mmapable),
      counters("counters", bpf::MapType::percpu_array, ids_end(plan.targets)),
      exits("exits", bpf::MapType::percpu_array, model::reasons_count)
{
    if (plan.has_features()) proxies.emplace("proxies", bpf::MapType::array, ids_end(plan.proxies));
    if (plan.has_dsr()) {
        carriers.emplace("carriers", bpf::MapType::array, ids_end(plan.targets));
        devices.emplace("devices", bpf::MapType::devmap_hash, devices_max);
    }
    if (!plan.settings.stats_enabled) return;
    events = bpf::MapSpec{.name = "events", .type = bpf::MapType::ringbuf, .max_entries = events_bytes};
    events_lost.emplace("events_lost", bpf::MapType::percpu_array, 1u);
}

std::vector<const bpf::MapSpec*> Maps::all() const
{
    std::vector<const bpf::MapSpec*> maps;
    const auto add = [&](const auto& family) {
        for (const bpf::MapSpec* each : {static_cast<const bpf::MapSpec*>(&family.flows),
                                         static_cast<const bpf::MapSpec*>(&family.routes),
                                         static_cast<const bpf::MapSpec*>(&family.own_addresses),
                                         static_cast<const bpf::MapSpec*>(&family.fragments)})
            maps.push_back(each);
    };
    if (v4) add(*v4);
    if (v6) add(*v6);
    for (const bpf::MapSpec* each :
         {static_cast<const bpf::MapSpec*>(&targets), static_cast<const bpf::MapSpec*>(&groups),
          static_cast<const bpf::MapSpec*>(&slots), static_cast<const bpf::MapSpec*>(&counters),
          static_cast<const bpf::MapSpec*>(&exits)})
        maps.push_back(each);
    if (proxies) maps.push_back(&*proxies);
    if (carriers) maps.push_back(&*carriers);
    if (devices) maps.push_back(&*devices);
    if (events) maps.push_back(&*events);
    if (events_lost) maps.push_back(&*events_lost);
    return maps;
}

} // namespace lb::datapath
