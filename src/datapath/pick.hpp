// The choice of a target, once per connection: source route or default group, then the target that the client
// has already, or one of the group's by the proxy's algorithm.
#pragma once

#include "datapath/frame.hpp"
#include "datapath/ways.hpp"
#include "model/plan.hpp"

namespace lb::datapath {

/// Emits the lookup of the listener's proxy, whose default group goes into `fresh.group`, and what else the
/// plan asks for into the others.
template <class F> void read_proxy(bpf::Dsl& b, const Maps& maps, const NewFlowFrame<F>& fresh, Ways& ways);

/// Emits the key of longest-prefix matches over the packet's source into `fresh.route`, but for its proxy.
template <class F> void make_source_key(const Frame<F>& frame, const NewFlowFrame<F>& fresh);

/// Emits the longest-prefix match of the key's source over the proxy's routes; a hit replaces the group.
template <class F>
void route_by_source(bpf::Dsl& b, const Maps& maps, const Frame<F>& frame, const NewFlowFrame<F>& fresh);

/// Emits model::flow_hash() over the packet's key into `result`.
void hash_flow(bpf::Dsl& b, const bpf::StackView<model::FlowKey4>& key, const bpf::StackVar<u64>& result);
void hash_flow(bpf::Dsl& b, const bpf::StackView<model::FlowKey6>& key, const bpf::StackVar<u64>& result);

/// Emits group -> target, whose id it leaves in `frame.index`.
template <class F>
void pick_target(bpf::Dsl& b, const model::Plan& plan, const Maps& maps, const Frame<F>& frame,
                 const NewFlowFrame<F>& fresh, Ways& ways);

/// Emits the lookup of the row of the target in `frame.index`; from here on its proxy is in `fresh.proxy`,
/// where there are several.
template <class F>
bpf::View<model::TargetRow> read_target(bpf::Dsl& b, const Maps& maps, const Frame<F>& frame,
                                        const NewFlowFrame<F>& fresh, Ways& ways);

} // namespace lb::datapath
