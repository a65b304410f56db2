// The limits that hold for a proxy: its own over those of the settings, and as the program reads them. Pure;
// safe from any thread.
#pragma once

#include "model/plan.hpp"

namespace lb::model {

/// Each rate goes with its burst: where the proxy writes a rate, the settings' burst doesn't count. A burst
/// that nobody wrote is twice the rate.
PlanSourceLimits merged(const RateLimitsConfig& own, const RateLimitsConfig& general);

/// The same as the program reads them. Rounded to the unit; the burst is exact.
RateRow rate_row(const PlanRate& rate);
LimitsRow limits_row(const PlanProxy& proxy);

} // namespace lb::model
