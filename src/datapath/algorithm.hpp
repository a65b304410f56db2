// The algorithms by which one of a group's targets is chosen. All of them go by the group's slot table, which
// has each target as often as its weight says.
#pragma once

#include "datapath/frame.hpp"
#include "datapath/ways.hpp"

namespace lb::datapath {

/// Emits the choice of a target of `fresh.group`, whose id goes into `frame.index`.
template <class F>
void choose_target(bpf::Dsl& b, const model::Plan& plan, const Maps& maps, const Frame<F>& frame,
                   const NewFlowFrame<F>& fresh, Ways& ways);

} // namespace lb::datapath
