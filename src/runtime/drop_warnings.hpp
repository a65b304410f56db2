// Warns of packets that are dropped for reasons that somebody has to mend: a full table, no ports left, a
// target without a route. Whether or not statistics are asked for. One thread.
#pragma once

#include <array>
#include <chrono>

#include "runtime/balancer.hpp"

namespace lb::runtime {

class DropWarnings {
public:
    /// `balancer` outlives it.
    explicit DropWarnings(const Balancer& balancer) : balancer_(balancer) {}
    /// Looks at the counters, and logs what has become of them; each reason once a minute at most.
    void look();

private:
    struct Told {
        u64 packets = 0;
        std::chrono::steady_clock::time_point at = {};
    };
    const Balancer& balancer_;
    std::array<Told, model::complaints.size()> told_ = {};
};

} // namespace lb::runtime
