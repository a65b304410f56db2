#include "model/health.hpp"

namespace lb::model {

HealthState HealthState::with_thresholds_of(const HealthCheck& check) const
{
    HealthState state(check);
    state.good_ = good_;
    state.bad_ = bad_;
    state.percent_ = percent_;
    return state;
}

bool HealthState::report(bool good)
{
    const u32 before = percent_;
    if (good) {
        ++good_;
        bad_ = 0;
        if (percent_ < 100 && (percent_ > 0 || good_ >= good_wanted_)) percent_ += recovery_step;
    } else {
        ++bad_;
        good_ = 0;
        if (bad_ >= bad_wanted_) percent_ = 0;
    }
    return percent_ != before;
}

} // namespace lb::model
