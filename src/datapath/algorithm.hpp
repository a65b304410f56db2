// The algorithms by which one of a group's targets is chosen. All of them go by the group's slot table, which
// has each target as often as its weight says.
#pragma once

#include <optional>
#include <vector>

#include "datapath/frame.hpp"
#include "datapath/ways.hpp"
#include "model/plan.hpp"

namespace lb::datapath {

/// Those that the plan's proxies pick by, each once.
std::vector<model::Algorithm> algorithms_of(const model::Plan& plan);

/// Emits the choice of a target of `fresh.group`, whose id goes into `frame.index`. `algorithm` says by which
/// one, where the plan has several.
template <class F>
void choose_target(bpf::Dsl& b, const model::Plan& plan, const Maps& maps, const Frame<F>& frame,
                   const NewFlowFrame<F>& fresh, const std::optional<bpf::StackVar<u32>>& algorithm,
                   Ways& ways);

} // namespace lb::datapath
