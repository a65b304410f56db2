// Session persistence: a client's address stays with its target, whatever port it comes from. It counts from
// the client's last new connection; packets of a connection that is there cost nothing for it.
#pragma once

#include "datapath/frame.hpp"

namespace lb::datapath {

/// Emits the search for the client's target, before the pick. Goes to `found` with its id in `frame.index`
/// where there is one that `fresh.group` has with a weight above 0, and the session is not older than
/// `fresh.session_ns`, which it then begins anew; falls through where a target is to be picked.
template <class F>
void recall_session(bpf::Dsl& b, const Maps& maps, const Frame<F>& frame, const NewFlowFrame<F>& fresh,
                    bpf::Label found);

/// Emits what the next connection of the client will find: the target in `frame.index`. Where another CPU has
/// picked for the same client meanwhile, its choice counts and goes into `frame.index`.
template <class F>
void begin_session(bpf::Dsl& b, const Maps& maps, const Frame<F>& frame, const NewFlowFrame<F>& fresh);

} // namespace lb::datapath
