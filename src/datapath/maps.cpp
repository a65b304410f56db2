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

Maps::Maps(const model::Plan& plan)
    : flows("flows4", bpf::MapType::hash, 2 * plan.max_connections),
      targets("targets", bpf::MapType::array, ids_end(plan.targets)),
      groups("groups", bpf::MapType::array, ids_end(plan.groups), bpf::map_mmapable),
      slots("slots", bpf::MapType::array, slots_capacity(plan), bpf::map_mmapable),
      routes("routes4", bpf::MapType::lpm_trie, std::max<u32>(1, static_cast<u32>(plan.routes.size())),
             bpf::map_no_prealloc),
      own_addresses("own4", bpf::MapType::hash, own_addresses_max),
      counters("counters", bpf::MapType::percpu_array, ids_end(plan.targets)),
      exits("exits", bpf::MapType::percpu_array, model::reasons_count)
{
    if (!plan.settings.stats_enabled) return;
    events = bpf::MapSpec{.name = "events", .type = bpf::MapType::ringbuf, .max_entries = events_bytes};
    events_lost.emplace("events_lost", bpf::MapType::percpu_array, 1u);
}

std::vector<const bpf::MapSpec*> Maps::all() const
{
    std::vector<const bpf::MapSpec*> maps{&flows,  &targets,       &groups,   &slots,
                                          &routes, &own_addresses, &counters, &exits};
    if (events) maps.push_back(&*events);
    if (events_lost) maps.push_back(&*events_lost);
    return maps;
}

} // namespace lb::datapath
