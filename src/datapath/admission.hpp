// Who may connect: a proxy's allow and deny lists. They are asked once per connection, so that one that is
// there goes on whatever they say later. Fragments and ICMP follow the connection that they belong to.
#pragma once

#include "datapath/frame.hpp"
#include "datapath/ways.hpp"
#include "model/plan.hpp"

namespace lb::datapath {

/// Emits the longest-prefix match of the key's source over the lists of the proxy in `fresh.proxy`, where
/// some proxy that has L4 and this family has any; leaves where the client is denied.
template <class F, class L4>
void check_lists(bpf::Dsl& b, const model::Plan& plan, const Maps& maps, const Frame<F>& frame,
                 const NewFlowFrame<F>& fresh, Ways& ways);

} // namespace lb::datapath
