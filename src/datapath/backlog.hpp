// What keeps a flood of new connections from filling the table: a ring of the newest ones, in which each new
// one takes the oldest place. Whoever had it and is still half-open goes; so no more than the ring holds are
// half-open at any time, and a connection has as many others' beginnings as the ring holds to complete its
// own.
#pragma once

#include "datapath/frame.hpp"

namespace lb::datapath {

/// Emits the packet's tuple into the oldest place of the ring, and the removal of both entries of the
/// connection that had it, unless that one is established: its target has answered, the client has answered
/// to that (TCP), and neither has reset it. Where replies do not come here, the client's second
/// packet, and of TCP an ACK, have to do.
template <class F> void evict_oldest(bpf::Dsl& b, const Maps& maps, const Frame<F>& frame);

/// Emits the removal of both entries of the connection whose replies have this key, where it is half-open by
/// the same rule, and of the same kind of packets; `goto stays` otherwise.
template <class F>
void evict_by_reply(bpf::Dsl& b, const Maps& maps, const bpf::StackView<typename F::BackKey>& reply_key,
                    bpf::Label stays);

} // namespace lb::datapath
