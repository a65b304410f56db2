// The live connections of each target, for least-connections: one more when a connection is made, one less
// when it ends by FINs or a RST. Other ends are the collector's to notice, which also corrects what is wrong.
// Emits nothing where the plan has no such count.
#pragma once

#include "datapath/frame.hpp"

namespace lb::datapath {

/// Emits, for the connection that `fresh` has just been inserted for: one more.
template <class F>
void count_begin(bpf::Dsl& b, const Maps& maps, const Frame<F>& frame, const NewFlowFrame<F>& fresh);

/// Emits, for a packet that its entry `flow` has been touched by: one less where it ends the connection,
/// which only one packet does.
template <class F, class L4>
void count_end(bpf::Dsl& b, const Maps& maps, const Frame<F>& frame, const bpf::View<typename F::Flow>& flow,
               const bpf::View<L4>& l4, model::Direction direction);

} // namespace lb::datapath
