// Takes idle connections out of the flow table, off the packet path. Both directions of a connection go
// together, and its state decides how long it may be idle. Time is jiffies, as the programs write them. One
// thread.
#pragma once

#include <functional>
#include <optional>

#include "kernel/map.hpp"
#include "kernel/program.hpp"
#include "lb/base/address.hpp"
#include "model/flow_state.hpp"
#include "runtime/live_counts.hpp"

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
    u8 protocol = 0;                                  ///< IANA number
    Endpoint client = {}, listener = {}, target = {}; ///< as packets have them
    u32 proxy = 0, target_id = 0;
    u64 forward_packets = 0, forward_bytes = 0, reply_packets = 0, reply_bytes = 0;
    u32 created = 0;   ///< the low half of jiffies64
    u64 last_seen = 0; ///< jiffies64; the last packet of either direction
    model::FlowState state = model::FlowState::established;
};

/// One pass over a whole table with keys of A and entries of E. `each`, where given, hears of the connections
/// that it takes out, and `live` of all of them: its pass begins before and is corrected behind this one.
/// `across`: the table where connections between families have their other entry; null: there are none.
template <class A = be32, class E = A>
Result<Collected> collect(const kernel::Map& flows, const JiffiesClock& clock,
                          const model::Timeouts& timeouts, const std::function<void(const Ended&)>& each = {},
                          LiveCounts* live = nullptr, const kernel::Map* across = nullptr);

} // namespace lb::runtime
