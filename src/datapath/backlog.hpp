// What keeps a flood of new connections from filling the table: a ring of the newest ones, in which each new
// one takes the oldest place. Whoever had it and is still half-open goes; so no more than the ring holds are
// half-open at any time, and a connection has as many others' beginnings as the ring holds to complete its
// own.
#pragma once

#include "datapath/frame.hpp"

namespace lb::datapath {

/// Emits the packet's tuple into the oldest place of the ring, and the removal of both entries of the
/// connection that had it, unless that one is established: its target has answered, the client has answered
/// to that (TCP), and neither has reset it.
template <class F> void evict_oldest(bpf::Dsl& b, const Maps& maps, const Frame<F>& frame);

} // namespace lb::datapath
