// The choice of a target, once per connection: source route or default group, then a slot of the group's
// table by hash.
#pragma once

#include "datapath/frame.hpp"
#include "datapath/ways.hpp"
#include "model/plan.hpp"

namespace lb::datapath {

/// Emits the longest-prefix match of the packet's source over the proxy's routes; a hit replaces the group.
void route_by_source(bpf::Dsl& b, const Maps& maps, const bpf::View<wire::Ipv4>& ip,
                     const NewFlowFrame& frame);

/// Emits model::flow_hash() over the packet's key into `frame.hash`.
void hash_flow(bpf::Dsl& b, const Frame& frame, const NewFlowFrame& fresh);

/// Emits group -> slot -> target; returns the target's row and leaves its id in `frame.index`.
bpf::View<model::TargetRow> pick_target(bpf::Dsl& b, const Maps& maps, const Frame& frame,
                                        const NewFlowFrame& fresh, Ways& ways);

} // namespace lb::datapath
