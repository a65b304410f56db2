// What `stats-enabled` puts into the log: a line for each connection that begins or ends, bounded, and
// totals. One thread.
#pragma once

#include <chrono>

#include "runtime/balancer.hpp"

namespace lb::runtime {

class StatsLog {
public:
    /// `balancer` outlives it.
    explicit StatsLog(Balancer& balancer) : balancer_(balancer) {}
    /// Logs the new connections that have come through the ring buffer.
    void read_opened();
    void closed(const ConnectionClosed& event);
    /// Logs the counters' sums, and how many packets left by which reason. `live`: connections in the table.
    void totals(u64 live) const;

private:
    bool may_show();

    Balancer& balancer_;
    std::chrono::steady_clock::time_point second_ = {};
    u32 shown_ = 0;     ///< in this second
    u64 not_shown_ = 0; ///< since the start
};

/// Lines about single connections in one second; the totals say how many more there were.
inline constexpr u32 events_shown_max = 500;

} // namespace lb::runtime
