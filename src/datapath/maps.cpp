#include "datapath/maps.hpp"

#include <algorithm>
#include <bit>

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

u32 backlog_size(const model::Plan& plan) { return std::bit_ceil((plan.max_connections + 1) / 2); }

u32 slots_capacity(const model::Plan& plan)
{
    u32 total = 0;
    for (const auto& group : plan.groups) total += 2 * group.slots;
    return std::max(total, u32{1});
}

namespace {

bool has_limit(const model::Plan& plan, std::initializer_list<model::Limit> limits,
               std::initializer_list<model::Family> families)
{
    for (const auto limit : limits)
        for (const auto family : families)
            for (const auto protocol : {model::Protocol::tcp, model::Protocol::udp})
                if (plan.has(limit, family, protocol)) return true;
    return false;
}

constexpr auto per_source = {model::Limit::source_connections, model::Limit::source_packets};
constexpr auto per_target = {model::Limit::target_connections, model::Limit::target_packets};
constexpr auto both_families = {model::Family::ipv4, model::Family::ipv6};

// The lists' map where there are lists of the family, and the buckets' where sources of it have limits.
template <class A>
void add_admission(FamilyMaps<A>& maps, const model::Plan& plan, model::Family family,
                   const std::string& suffix)
{
    const auto prefixes = std::ranges::count_if(
        plan.prefixes, [&](const auto& each) { return model::family_of(each.source.address) == family; });
    if (prefixes > 0)
        maps.prefixes.emplace("prefixes" + suffix, bpf::MapType::lpm_trie, static_cast<u32>(prefixes),
                              bpf::map_no_prealloc);
    if (has_limit(plan, per_source, {family}))
        maps.source_buckets.emplace("sources" + suffix, bpf::MapType::lru_hash,
                                    std::clamp(plan.max_connections, source_buckets_min, source_buckets_max));
}

// Connections between families, one entry each in either family's table: as many as may live, and the
// half-open ones of both directions.
u32 across_size(const model::Plan& plan) { return plan.max_connections + 2 * backlog_size(plan); }

template <class A>
std::optional<FamilyMaps<A>> family_maps(const model::Plan& plan, model::Family family,
                                         const std::string& suffix)
{
    if (!plan.has(family)) return std::nullopt;
    const auto routes = std::ranges::count_if(
        plan.routes, [&](const auto& each) { return model::family_of(each.source.address) == family; });
    const u32 pairs = plan.max_connections + backlog_size(plan);
    FamilyMaps<A> maps{
        .flows = {"flows" + suffix, bpf::MapType::hash,
                  2 * pairs + (family == model::Family::ipv6 && plan.goes_across() ? across_size(plan) : 0)},
        .backlog = {"backlog" + suffix, bpf::MapType::array, backlog_size(plan)},
        .routes = {"routes" + suffix, bpf::MapType::lpm_trie, std::max<u32>(1, static_cast<u32>(routes)),
                   bpf::map_no_prealloc},
        .own_addresses = {"own" + suffix, bpf::MapType::hash, own_addresses_max},
        .fragments = {"fragments" + suffix, bpf::MapType::lru_hash, fragments_max},
        .sessions = {}};
    add_admission(maps, plan, family, suffix);
    if (plan.has_persistence())
        maps.sessions.emplace("sessions" + suffix, bpf::MapType::lru_hash,
                              std::max(plan.max_connections, sessions_min));
    return maps;
}

AcrossMaps across_maps(const model::Plan& plan)
{
    const u32 ring = backlog_size(plan);
    return {.flows4 = {"flows46", bpf::MapType::hash, across_size(plan)},
            .backlog4 = {"backlog46", bpf::MapType::array, ring},
            .backlog6 = {"backlog64", bpf::MapType::array, ring},
            .fragments4 = {"fragments46", bpf::MapType::lru_hash, fragments_max},
            .fragments6 = {"fragments64", bpf::MapType::lru_hash, fragments_max},
            .handover = {"handover", bpf::MapType::percpu_array, 1},
            .programs = {"programs", bpf::MapType::prog_array, followers_count}};
}

u32 members_count(const model::Plan& plan)
{
    std::size_t count = 0;
    for (const auto& group : plan.groups) count += group.members.size();
    return std::max(static_cast<u32>(count), u32{1});
}

} // namespace

Maps::Maps(const model::Plan& plan)
    : v4(family_maps<be32>(plan, model::Family::ipv4, "4")),
      v6(family_maps<model::Address6>(plan, model::Family::ipv6, "6")),
      targets("targets", bpf::MapType::array, ids_end(plan.targets)),
      groups("groups", bpf::MapType::array, ids_end(plan.groups), bpf::map_mmapable),
      slots("slots", bpf::MapType::array, slots_capacity(plan), bpf::map_mmapable),
      counters("counters", bpf::MapType::percpu_array, ids_end(plan.targets)),
      exits("exits", bpf::MapType::percpu_array, model::reasons_count),
      backlog("backlog", bpf::MapType::array, plan.goes_across() ? 4u : 2u)
{
    using model::Algorithm;
    if (plan.goes_across()) across = across_maps(plan);
    if (plan.proxies.size() > 1)
        refusals.emplace("refusals", bpf::MapType::percpu_array,
                         ids_end(plan.proxies) * model::refusals_count);
    if (plan.has_features()) proxies.emplace("proxies", bpf::MapType::array, ids_end(plan.proxies));
    const bool limits_targets = has_limit(plan, per_target, both_families);
    if (limits_targets || has_limit(plan, per_source, both_families))
        limits.emplace("limits", bpf::MapType::array, ids_end(plan.proxies));
    if (limits_targets) target_buckets.emplace("target_buckets", bpf::MapType::array, ids_end(plan.targets));
    if (plan.has(Algorithm::least_connections) || plan.has_persistence())
        members.emplace("members", bpf::MapType::hash, members_count(plan));
    if (plan.has(Algorithm::round_robin)) turns.emplace("turns", bpf::MapType::array, ids_end(plan.groups));
    if (plan.has(Algorithm::least_connections))
        live.emplace("live", bpf::MapType::array, ids_end(plan.targets), bpf::map_mmapable);
    if (plan.lb_sends()) {
        carriers.emplace("carriers", bpf::MapType::array, ids_end(plan.targets));
        devices.emplace("devices", bpf::MapType::devmap_hash, devices_max);
    }
    if (plan.has_full_nat()) {
        const auto pool = static_cast<u32>(plan.settings.full_nat.addresses.size());
        nat_sources.emplace("nat_sources", bpf::MapType::array, pool != 0 ? pool : ids_end(plan.targets));
    }
    if (plan.has_dsr() || plan.has_full_nat()) answers.emplace("answers", bpf::MapType::percpu_array, 1u);
    if (!plan.settings.stats_enabled) return;
    events = bpf::MapSpec{.name = "events", .type = bpf::MapType::ringbuf, .max_entries = events_bytes};
    events_lost.emplace("events_lost", bpf::MapType::percpu_array, 1u);
}

std::vector<const bpf::MapSpec*> Maps::all() const
{
    std::vector<const bpf::MapSpec*> maps;
    const auto add = [&](const auto& family) {
        for (const bpf::MapSpec* each : {static_cast<const bpf::MapSpec*>(&family.flows),
                                         static_cast<const bpf::MapSpec*>(&family.backlog),
                                         static_cast<const bpf::MapSpec*>(&family.routes),
                                         static_cast<const bpf::MapSpec*>(&family.own_addresses),
                                         static_cast<const bpf::MapSpec*>(&family.fragments)})
            maps.push_back(each);
        if (family.prefixes) maps.push_back(&*family.prefixes);
        if (family.source_buckets) maps.push_back(&*family.source_buckets);
        if (family.sessions) maps.push_back(&*family.sessions);
    };
    if (v4) add(*v4);
    if (v6) add(*v6);
    if (across)
        for (const bpf::MapSpec* each : {static_cast<const bpf::MapSpec*>(&across->flows4),
                                         static_cast<const bpf::MapSpec*>(&across->backlog4),
                                         static_cast<const bpf::MapSpec*>(&across->backlog6),
                                         static_cast<const bpf::MapSpec*>(&across->fragments4),
                                         static_cast<const bpf::MapSpec*>(&across->fragments6),
                                         static_cast<const bpf::MapSpec*>(&across->handover),
                                         static_cast<const bpf::MapSpec*>(&across->programs)})
            maps.push_back(each);
    for (const bpf::MapSpec* each :
         {static_cast<const bpf::MapSpec*>(&targets), static_cast<const bpf::MapSpec*>(&groups),
          static_cast<const bpf::MapSpec*>(&slots), static_cast<const bpf::MapSpec*>(&counters),
          static_cast<const bpf::MapSpec*>(&exits), static_cast<const bpf::MapSpec*>(&backlog)})
        maps.push_back(each);
    if (refusals) maps.push_back(&*refusals);
    if (proxies) maps.push_back(&*proxies);
    if (limits) maps.push_back(&*limits);
    if (target_buckets) maps.push_back(&*target_buckets);
    if (members) maps.push_back(&*members);
    if (turns) maps.push_back(&*turns);
    if (live) maps.push_back(&*live);
    if (carriers) maps.push_back(&*carriers);
    if (devices) maps.push_back(&*devices);
    if (nat_sources) maps.push_back(&*nat_sources);
    if (answers) maps.push_back(&*answers);
    if (events) maps.push_back(&*events);
    if (events_lost) maps.push_back(&*events_lost);
    return maps;
}

} // namespace lb::datapath
