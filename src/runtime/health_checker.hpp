// Checks every target of a plan, each at its own interval, and keeps what the checks add up to. They are
// spread over the interval, and none waits for another. One thread: the io_context's.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "model/health.hpp"
#include "model/plan.hpp"
#include "runtime/probe.hpp"

namespace lb::runtime {

/// What a check has changed.
struct HealthChange {
    u32 target = 0;  ///< target id
    u32 percent = 0; ///< as HealthState::percent()
    u32 before = 0;  ///< the same until now
    ProbeResult result = {};
};

class HealthChecker {
public:
    using Listener = std::function<void(const HealthChange&)>;

    /// What checks have added up to, by target id.
    using States = std::map<u32, model::HealthState>;

    /// Begins at once, with the targets of `known` as they are there. `io` outlives it.
    HealthChecker(boost::asio::io_context& io, const model::Plan& plan, Listener changed,
                  const States& known = {});
    States states() const;

private:
    struct Checked {
        Checked(boost::asio::io_context& io, const model::PlanTarget& plan_target, model::HealthState known)
            : target(plan_target),
              state(known),
              timer(io)
        {}
        const model::PlanTarget target;
        model::HealthState state;
        boost::asio::steady_timer timer;
    };
    void check_at(Checked& checked, boost::asio::steady_timer::time_point when);
    void check(Checked& checked);
    void take(Checked& checked, const ProbeResult& result);

    boost::asio::io_context& io_;
    Listener changed_;
    std::vector<std::unique_ptr<Checked>> targets_ = {};
    /// What is under way when it ends comes back to nobody.
    std::shared_ptr<const bool> alive_ = std::make_shared<bool>(true);
};

} // namespace lb::runtime
