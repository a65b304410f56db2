// Takes idle connections out of the flow table, off the packet path. Both directions of a connection go
// together, and its state decides how long it may be idle. Time is jiffies, as the programs write them. One
// thread.
#pragma once

#include <functional>
#include <optional>

#include "kernel/map.hpp"
#include "kernel/program.hpp"
#include "model/flow_state.hpp"

namespace lb::runtime {

/// Reads the kernel's jiffies through a program of ours that is only ever test-run.
class JiffiesClock {
public:
    static Result<JiffiesClock> create();
    /// The low 32 bits of jiffies64: differences of them are right for 24 days and more.
    Result<u32> now() const;
    u32 per_second() const { return per_second_; }

private:
    kernel::Program program_ = {};
    u32 per_second_ = 0;
};

struct Collected {
    u64 connections = 0; ///< that are left
    u64 removed = 0;     ///< connections taken out by this pass
};

/// A connection that a pass took out, as it was then.
struct Ended {
    model::FlowKey4 key = {}; ///< of the forward direction
    model::Flow4 forward = {};
    std::optional<model::Flow4> reply = {};
    model::FlowState state = model::FlowState::established;
};

/// One pass over the whole table. `each`, where given, hears of the connections that it takes out.
Result<Collected> collect(const kernel::Map& flows, const JiffiesClock& clock,
                          const model::Timeouts& timeouts,
                          const std::function<void(const Ended&)>& each = {});

} // namespace lb::runtime
