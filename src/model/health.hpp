// What a target's checks add up to. Pure; one thread.
#pragma once

#include "model/health_check.hpp"

namespace lb::model {

/// A target begins healthy, and nothing is unhealthy before its threshold of bad checks in a row. After as
/// many good ones as its other threshold it gets a quarter of its weight, and another with each good check
/// that follows. A bad check in between halts that; the threshold of bad ones begins it anew.
class HealthState {
public:
    explicit HealthState(const HealthCheck& check)
        : good_wanted_(check.healthy_threshold),
          bad_wanted_(check.unhealthy_threshold)
    {}
    /// The same state, to be judged by another check's thresholds from here on.
    HealthState with_thresholds_of(const HealthCheck& check) const;
    /// The result of a check; whether percent() has changed.
    bool report(bool good);
    /// The part of its weight that it is to have: 0 (unhealthy), 25, 50, 75 (recovering), 100 (healthy).
    u32 percent() const { return percent_; }
    u32 good_in_a_row() const { return good_; }
    u32 bad_in_a_row() const { return bad_; }

private:
    u32 good_wanted_, bad_wanted_;
    u32 good_ = 0, bad_ = 0;
    u32 percent_ = 100;
};

inline constexpr u32 recovery_step = 25; // percent

} // namespace lb::model
