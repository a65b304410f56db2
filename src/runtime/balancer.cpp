#include "runtime/balancer.hpp"

#include <spdlog/spdlog.h>

#include <filesystem>
#include <numeric>

#include "datapath/generate.hpp"
#include "kernel/features.hpp"
#include "runtime/carriers.hpp"
#include "runtime/host_settings.hpp"
#include "runtime/inside.hpp"
#include "runtime/instance.hpp"

namespace lb::runtime {
namespace {

Result<void> remove_everything(const std::string& instance, State& state, const kernel::PinFolder& pins)
{
    if (auto done = detach_all(state, pins); !done) return done;
    if (auto done = apply_settings(instance, {}, Outdated::give_up); !done) return done;
    if (auto done = pins.remove_all(); !done) return done;
    if (state.bpffs_mounted) {
        const auto unmounted = kernel::unmount_bpffs_if_empty();
        if (!unmounted) return std::unexpected(unmounted.error());
        if (*unmounted) spdlog::info("{} unmounted again", kernel::bpffs_default);
    }
    return remove_state(instance);
}

} // namespace

Result<Balancer> Balancer::start(const model::Config& config, std::optional<KernelFeatures> features)
{
    const std::string& instance = config.settings.instance;
    auto lock = lock_instance(instance);
    if (!lock) return std::unexpected(lock.error());
    auto state = load_state(instance);
    if (!state) return std::unexpected(state.error());
    if (auto mounted = mount_bpffs(*state); !mounted) return std::unexpected(mounted.error());
    // The monitor is there before addresses are listed, so that no change falls between the two.
    auto monitor = kernel::HostMonitor::open();
    if (!monitor) return std::unexpected(monitor.error());
    const bool fresh = !kernel::PinFolder::at(instance).exists();
    auto pins = kernel::PinFolder::create(instance);
    if (!pins) return std::unexpected(pins.error());

    Balancer balancer(instance, std::move(*lock), std::move(*pins), std::move(*state), std::move(*monitor));
    if (auto up = balancer.bring_up(config, features); !up) {
        if (fresh)
            if (auto off = balancer.take_off(); !off) spdlog::error("{}", off.error().message);
        return std::unexpected(up.error());
    }
    return balancer;
}

Result<void> Balancer::bring_up(const model::Config& config, const std::optional<KernelFeatures>& known)
{
    auto plan = model::make_plan(config, state_.ids);
    if (!plan) return std::unexpected(plan.error());
    plan_ = std::move(*plan);
    state_.ids = plan_.ids;
    auto ingress = find_interfaces(plan_.interfaces);
    if (!ingress) return std::unexpected(ingress.error());
    auto egress = find_interfaces(plan_.egress_interfaces);
    if (!egress) return std::unexpected(egress.error());
    const auto features = known ? *known : kernel::probe_features();
    if (!features) return std::unexpected(features.error());
    spdlog::debug("{}", kernel::to_text(*features));

    const datapath::Maps maps(plan_);
    auto tables = Tables::create(plan_, maps, pins_);
    if (!tables) return std::unexpected(tables.error());
    tables_ = std::move(*tables);
    if (auto opened = open_views(maps); !opened) return opened;
    if (auto followed = follow_addresses(); !followed) return followed;
    const auto own = kernel::host_addresses();
    if (!own) return std::unexpected(own.error());
    const auto needed = needed_settings(plan_, *own);
    if (!needed) return std::unexpected(needed.error());
    if (auto set = apply_settings(instance_, *needed, Outdated::keep); !set) return set;
    if (auto done = load_and_attach(maps, *features, {.ingress = *ingress, .egress = *egress}); !done)
        return done;
    // Only now: until here an earlier run's programs were at work, and needed what they needed.
    return apply_settings(instance_, *needed, Outdated::give_up);
}

// What reads and writes the tables while packets come.
Result<void> Balancer::open_views(const datapath::Maps& maps)
{
    auto clock = JiffiesClock::create();
    if (!clock) return std::unexpected(clock.error());
    clock_ = std::move(*clock);
    if (maps.events) {
        auto events = OpenedEvents::open(tables_["events"], tables_["events_lost"]);
        if (!events) return std::unexpected(events.error());
        events_ = std::move(*events);
    }
    if (maps.live) {
        auto live = LiveCounts::open(tables_["live"]);
        if (!live) return std::unexpected(live.error());
        live_ = std::move(*live);
    }
    auto weights = Weights::open(plan_, tables_, known_health_);
    if (!weights) return std::unexpected(weights.error());
    weights_ = std::move(*weights);
    return {};
}

Result<void> Balancer::load_and_attach(const datapath::Maps& maps, const KernelFeatures& features,
                                       AttachPlan attach)
{
    kernel::Resolver resolver = tables_.resolver();
    for (const auto& interface : attach.ingress)
        resolver.values[datapath::ifindex_symbol(interface.name)] = interface.index;
    for (const auto& interface : attach.egress)
        resolver.values[datapath::ifindex_symbol(interface.name)] = interface.index;
    auto ingress = load_program(datapath::make_ingress(plan_, maps, features), resolver);
    if (!ingress) return std::unexpected(ingress.error());
    auto egress = load_program(datapath::make_egress(plan_, maps, features), resolver);
    if (!egress) return std::unexpected(egress.error());
    if (plan_.expects_replies()) {
        auto inside = load_program(datapath::make_inside(plan_, maps, features), resolver);
        if (!inside) return std::unexpected(inside.error());
        inside_ = std::move(*inside);
    }
    if (auto linked = link_programs(maps, features, resolver, *ingress); !linked) return linked;
    auto ways = inside_interfaces(plan_);
    if (!ways) return std::unexpected(ways.error());
    attach.inside = std::move(*ways);
    attach.xdp_mode = plan_.settings.xdp_mode;
    attach.needs_inside = plan_.has_full_nat();
    if (auto attached = attach_all(instance_, state_, pins_, attach, {*ingress, *egress, inside_}, features);
        !attached)
        return attached;
    attached_ = true;
    // Which interfaces can be sent by depends on how the programs are attached.
    if (auto followed = follow_carriers(plan_, tables_); !followed) return followed;
    if (auto pinned = tables_.pin(pins_); !pinned) return pinned;
    return save_state(instance_, state_);
}

// What the programs on the interfaces go on to. Before any of them is attached.
Result<void> Balancer::link_programs(const datapath::Maps& maps, const KernelFeatures& features,
                                     const kernel::Resolver& resolver, const kernel::Program& ingress) const
{
    if (!maps.across) return {};
    const auto siit = load_program(datapath::make_siit(plan_, maps, features), resolver);
    if (!siit) return std::unexpected(siit.error());
    return link_followers(tables_["programs"], *siit, ingress);
}

Result<void> Balancer::follow_addresses()
{
    if (auto events = monitor_.read(); !events) return std::unexpected(events.error());
    const auto own = kernel::host_addresses();
    if (!own) return std::unexpected(own.error());
    if (auto set = tables_.set_own_addresses(*own, plan_.loopback_interface); !set) return set;
    return follow_ways();
}

// Where a route to targets leads by another interface, their replies will probably come by it. One that is
// somebody else's is asked for again when it has become free.
Result<void> Balancer::follow_inside()
{
    auto ways = inside_interfaces(plan_);
    if (!ways) return std::unexpected(ways.error());
    std::erase_if(*ways, [&](const kernel::Interface& each) {
        const auto occupant = kernel::xdp_occupant(each.index);
        return refused_.contains(each.index) && occupant && *occupant;
    });
    const auto more = attach_more(instance_, state_, pins_,
                                  {.inside = std::move(*ways),
                                   .xdp_mode = plan_.settings.xdp_mode,
                                   .needs_inside = plan_.has_full_nat()},
                                  inside_);
    refused_.insert(more.refused.begin(), more.refused.end());
    if (!more.any) return {};
    const auto own = kernel::host_addresses();
    if (!own) return std::unexpected(own.error());
    const auto needed = needed_settings(plan_, *own);
    if (!needed) return std::unexpected(needed.error());
    return apply_settings(instance_, *needed, Outdated::keep);
}

Result<void> Balancer::follow_ways()
{
    if (inside_)
        if (auto done = follow_inside(); !done) return done;
    return follow_carriers(plan_, tables_);
}

Result<Collected> Balancer::collect_idle(const std::function<void(const ConnectionClosed&)>& each)
{
    // Routes change without a word on the monitor, and neighbours have to be asked for regularly. A failure
    // of that must not let the table fill up.
    if (auto followed = follow_ways(); !followed) spdlog::error("{}", followed.error().message);
    std::function<void(const Ended&)> ended;
    if (each) ended = [&](const Ended& gone) { each(describe(gone, plan_, clock_.per_second())); };
    const auto timeouts = model::Timeouts::from(plan_.settings);
    LiveCounts* const live = live_ ? &*live_ : nullptr;
    if (live) {
        const auto now = clock_.now();
        if (!now) return std::unexpected(now.error());
        live->begin(*now);
    }
    Collected sum;
    const auto add = [&](const Result<Collected>& collected) -> Result<void> {
        if (!collected) return std::unexpected(collected.error());
        sum.connections += collected->connections;
        sum.removed += collected->removed;
        return {};
    };
    const kernel::Map* const across = tables_.has("flows46") ? &tables_["flows46"] : nullptr;
    if (tables_.has("flows4"))
        if (auto done = add(collect<be32>(tables_["flows4"], clock_, timeouts, ended, live)); !done)
            return std::unexpected(done.error());
    if (tables_.has("flows6"))
        if (auto done =
                add(collect<model::Address6>(tables_["flows6"], clock_, timeouts, ended, live, across));
            !done)
            return std::unexpected(done.error());
    if (across)
        if (auto done = add(
                collect<be32, model::Address6>(*across, clock_, timeouts, ended, live, &tables_["flows6"]));
            !done)
            return std::unexpected(done.error());
    if (live) live->correct();
    return sum;
}

// A row's sum over all CPUs.
Result<u64> Balancer::count(const std::string& map, u32 row) const
{
    const auto counts = tables_[map].lookup_percpu<u32, u64>(row);
    if (!counts) return std::unexpected(counts.error());
    return std::reduce(counts->begin(), counts->end());
}

Result<void> Balancer::add_refusals(Totals& totals) const
{
    for (const auto& proxy : plan_.proxies)
        for (u32 i = 0; i < model::refusals_count; ++i) {
            auto& sum = totals.refused[proxy.id][i];
            if (!tables_.has("refusals")) {
                sum = totals.exits[static_cast<u32>(model::refusals[i])];
                continue;
            }
            const auto counted = count("refusals", proxy.id * model::refusals_count + i);
            if (!counted) return std::unexpected(counted.error());
            sum = *counted;
        }
    return {};
}

Result<void> Balancer::set_health(u32 target, u32 percent)
{
    return weights_->set_health(plan_, target, percent);
}

Result<u64> Balancer::counted(model::Reason reason) const
{
    auto sum = count("exits", static_cast<u32>(reason));
    if (sum && !earlier_.exits.empty()) *sum += earlier_.exits[static_cast<u32>(reason)];
    return sum;
}

Totals& Totals::operator+=(const Totals& other)
{
    exits.resize(std::max(exits.size(), other.exits.size()));
    for (std::size_t i = 0; i < other.exits.size(); ++i) exits[i] += other.exits[i];
    for (const auto& [id, each] : other.targets) targets[id] += each;
    for (const auto& [id, each] : other.refused)
        for (std::size_t i = 0; i < each.size(); ++i) refused[id][i] += each[i];
    half_open_evicted += other.half_open_evicted;
    return *this;
}

Result<Totals> Balancer::totals() const
{
    auto totals = read_totals();
    if (totals) *totals += earlier_;
    return totals;
}

// What the maps have, which begin anew with each reload.
Result<Totals> Balancer::read_totals() const
{
    Totals totals;
    for (u32 reason = 0; reason < model::reasons_count; ++reason) {
        const auto sum = count("exits", reason);
        if (!sum) return std::unexpected(sum.error());
        totals.exits.push_back(*sum);
    }
    if (auto added = add_refusals(totals); !added) return std::unexpected(added.error());
    for (const auto& target : plan_.targets) {
        const auto counts = tables_["counters"].lookup_percpu<u32, model::TargetCounters>(target.id);
        if (!counts) return std::unexpected(counts.error());
        for (const auto& each : *counts) totals.targets[target.id] += each;
    }
    for (const u32 family : {0u, 1u}) {
        const auto row = tables_["backlog"].lookup<u32, model::BacklogRow>(family);
        if (!row) return std::unexpected(row.error());
        if (*row) totals.half_open_evicted += (*row)->evicted;
    }
    // Translated packets are counted once, in their target's row; the reason's total is their sum. Where
    // others are counted there as well, they have a reason each.
    for (const auto& [id, each] : totals.targets) {
        if (!plan_.lb_sends())
            totals.exits[static_cast<u32>(model::Reason::forwarded)] += each.forward_packets;
        if (!plan_.expects_replies())
            totals.exits[static_cast<u32>(model::Reason::reply_forwarded)] += each.reply_packets;
    }
    return totals;
}

// What this configuration needs, and no more: another was tried.
Result<void> Balancer::put_back_settings() const
{
    const auto own = kernel::host_addresses();
    if (!own) return std::unexpected(own.error());
    const auto needed = needed_settings(plan_, *own);
    if (!needed) return std::unexpected(needed.error());
    return apply_settings(instance_, *needed, Outdated::give_up);
}

// As a start does that finds an earlier run: the connections are in a table that both know, and each program
// is replaced in its place.
Result<void> Balancer::reload(const model::Config& config)
{
    if (config.settings.instance != instance_)
        return fail(ErrorKind::config, "settings.instance: \"" + config.settings.instance +
                                           "\": a running instance keeps its name: expected \"" + instance_ +
                                           "\"");
    Balancer next(instance_, std::move(lock_), pins_, state_, std::move(monitor_));
    next.known_health_ = weights_->health();
    const auto up = next.bring_up(config, {});
    if (!up && !next.attached_) {
        lock_ = std::move(next.lock_);
        monitor_ = std::move(next.monitor_);
        for (const auto& restored : {save_state(instance_, state_), put_back_settings()})
            if (!restored) spdlog::error("after a reload that failed: {}", restored.error().message);
        return up;
    }
    if (!up) spdlog::error("after a reload: {}", up.error().message);
    if (const auto counted = totals())
        next.earlier_ = *counted;
    else
        spdlog::error("reading the counters: {}", counted.error().message);
    *this = std::move(next);
    return {};
}

Result<void> Balancer::take_off() { return remove_everything(instance_, state_, pins_); }

Result<void> detach_instance(const std::string& instance)
{
    if (!kernel::PinFolder::at(instance).exists() && !std::filesystem::exists(run_folder(instance))) {
        spdlog::info("instance {} has nothing on this host", instance);
        return {};
    }
    end_holder(instance);
    auto lock = lock_instance(instance);
    if (!lock) return std::unexpected(lock.error());
    auto state = load_state(instance);
    if (!state) return std::unexpected(state.error());
    const auto pins = kernel::PinFolder::at(instance);
    return remove_everything(instance, *state, pins);
}

} // namespace lb::runtime
