#include "runtime/health_checker.hpp"

#include <algorithm>
#include <spdlog/spdlog.h>

namespace lb::runtime {

HealthChecker::HealthChecker(boost::asio::io_context& io, const model::Plan& plan, Listener changed,
                             const States& known)
    : io_(io),
      changed_(std::move(changed))
{
    for (const auto& target : plan.targets) {
        if (!plan.checks_health(target)) continue;
        model::HealthState state(target.health_check);
        if (const auto before = known.find(target.id); before != known.end())
            state = before->second.with_thresholds_of(target.health_check);
        targets_.push_back(std::make_unique<Checked>(io, target, state));
    }
    const auto now = boost::asio::steady_timer::clock_type::now();
    const auto count = static_cast<i64>(targets_.size());
    for (i64 i = 0; i < count; ++i) {
        Checked& each = *targets_[static_cast<std::size_t>(i)];
        const std::chrono::microseconds interval = each.target.health_check.interval;
        check_at(each, now + interval * i / count);
    }
}

HealthChecker::States HealthChecker::states() const
{
    States all;
    for (const auto& each : targets_) all.emplace(each->target.id, each->state);
    return all;
}

void HealthChecker::check_at(Checked& checked, boost::asio::steady_timer::time_point when)
{
    checked.timer.expires_at(when);
    checked.timer.async_wait(
        [this, &checked, alive = std::weak_ptr(alive_)](const boost::system::error_code& error) {
            if (!error && !alive.expired()) check(checked);
        });
}

// The next check's time does not depend on how long this one takes; a check ends within its timeout, which is
// not longer than the interval.
void HealthChecker::check(Checked& checked)
{
    const model::HealthCheck& how = checked.target.health_check;
    const auto next =
        std::max(checked.timer.expiry() + how.interval, boost::asio::steady_timer::clock_type::now());
    probe(io_, how, checked.target.endpoint,
          [this, &checked, next, alive = std::weak_ptr(alive_)](const ProbeResult& result) {
              if (alive.expired()) return;
              take(checked, result);
              check_at(checked, next);
          });
}

void HealthChecker::take(Checked& checked, const ProbeResult& result)
{
    spdlog::debug("health: {} {} in {} us", checked.target.endpoint.text(), result.message,
                  result.latency.count());
    if (result.error == ProbeError::local)
        return spdlog::error("checking {}: {}; this says nothing of the target",
                             checked.target.endpoint.text(), result.message);
    const u32 before = checked.state.percent();
    if (!checked.state.report(result.good())) return;
    changed_({.target = checked.target.id,
              .percent = checked.state.percent(),
              .before = before,
              .result = result});
}

} // namespace lb::runtime
