// A running balancer: from a plan to attached programs, and what goes on meanwhile (own addresses, idle
// connections). Owns the maps' fds and the instance lock; what it attached outlives it unless take_off() is
// called. One thread.
#pragma once

#include <array>
#include <csignal>
#include <memory>
#include <set>

#include "kernel/lock.hpp"
#include "kernel/monitor.hpp"
#include "lb/base/kernel_features.hpp"
#include "model/reason.hpp"
#include "runtime/attachments.hpp"
#include "runtime/collector.hpp"
#include "runtime/events.hpp"
#include "runtime/tables.hpp"
#include "runtime/weights.hpp"

namespace lb::runtime {

/// Counters added up over all CPUs.
struct Totals {
    std::vector<u64> exits = {};                       ///< by model::Reason
    std::map<u32, model::TargetCounters> targets = {}; ///< by target id
    /// By proxy id: what it has refused, by model::refusals.
    std::map<u32, std::array<u64, model::refusals_count>> refused = {};
    u64 half_open_evicted = 0; ///< connections that gave way to newer ones

    Totals& operator+=(const Totals& other);
};

class Balancer {
public:
    /// Everything up to and including attached programs. On an error nothing of this call is left on the
    /// host. `features`: what the kernel is taken to have; without, what it is found to have.
    static Result<Balancer> start(const model::Config& config, std::optional<KernelFeatures> features = {});

    /// Another configuration of the same instance from here on; connections stay, and so do the targets'
    /// health and the counters. On an error everything is as it was.
    Result<void> reload(const model::Config& config);

    const model::Plan& plan() const { return plan_; }
    /// To be polled; then call follow_addresses().
    int monitor_fd() const { return monitor_.fd(); }
    /// Brings up to date what the maps say of the host: own addresses, ways to targets. Attaches where new
    /// ways lead.
    Result<void> follow_addresses();
    /// One pass of the collector. `each`, where given, hears of the connections that it takes out.
    Result<Collected> collect_idle(const std::function<void(const ConnectionClosed&)>& each = {});
    /// New connections, with `stats-enabled`; null without.
    OpenedEvents* opened_events() { return events_ ? &*events_ : nullptr; }
    /// A target is to have so much (percent) of its weight, by its health: the groups that it is in change.
    Result<void> set_health(u32 target, u32 percent);
    /// What the members of a group of the plan have now, in their order.
    std::vector<u32> weights_of(const model::PlanGroup& group) const { return weights_->of(group); }
    Result<Totals> totals() const;
    /// How many packets have been dropped for a reason.
    Result<u64> counted(model::Reason dropped) const;
    /// Takes programs, pins and host settings back.
    Result<void> take_off();

private:
    Balancer(std::string instance, kernel::InstanceLock lock, kernel::PinFolder pins, State state,
             kernel::HostMonitor monitor)
        : instance_(std::move(instance)),
          lock_(std::move(lock)),
          pins_(std::move(pins)),
          state_(std::move(state)),
          monitor_(std::move(monitor))
    {}
    Result<void> bring_up(const model::Config& config, const std::optional<KernelFeatures>& known);
    Result<void> open_views(const datapath::Maps& maps);
    Result<void> load_and_attach(const datapath::Maps& maps, const KernelFeatures& features,
                                 AttachPlan attach);
    Result<void> link_programs(const datapath::Maps& maps, const KernelFeatures& features,
                               const kernel::Resolver& resolver, const kernel::Program& ingress) const;
    Result<void> put_back_settings() const;
    Result<Totals> read_totals() const;
    Result<u64> count(const std::string& map, u32 row) const;
    Result<void> add_refusals(Totals& totals) const;
    Result<void> follow_ways();
    Result<void> follow_inside();

    std::string instance_;
    kernel::InstanceLock lock_;
    kernel::PinFolder pins_;
    State state_;
    kernel::HostMonitor monitor_;
    model::Plan plan_ = {};
    Tables tables_ = {};
    JiffiesClock clock_ = {};
    kernel::Program inside_ = {};
    std::set<u32> refused_ = {}; ///< interfaces that have another's program instead
    std::optional<OpenedEvents> events_ = {};
    std::optional<LiveCounts> live_ = {};  ///< with least-connections
    std::optional<Weights> weights_ = {};  ///< from bring_up() on
    bool attached_ = false;                ///< its programs are at work
    std::map<u32, u32> known_health_ = {}; ///< when it begins: percentages by target id
    Totals earlier_ = {};                  ///< what was counted before the last reload
};

/// Tells the process of an instance to detach and end.
inline constexpr int detach_signal = SIGUSR1;

/// Takes off what an instance has on the host, without a configuration. A process that runs it is ended
/// first.
Result<void> detach_instance(const std::string& instance);

} // namespace lb::runtime
