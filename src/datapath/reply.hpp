// Replies that are translated where they arrive: those of full NAT, which come to an address of lb's own, and
// with the fast path those that lb can send on by itself. Whatever else comes of the latter goes by the stack
// as it is, and is translated where it leaves.
#pragma once

#include "datapath/ingress.hpp"

namespace lb::datapath {

/// Emits `if the entry is of such a reply goto here`.
template <class F>
void go_if_reply_here(const Ingress& in, const bpf::View<typename F::Flow>& flow, bpf::Label here);

/// Emits what happens to it; `goto missing` where the entry has become another's. `way`: memory for a
/// FibLookup4 that nothing else uses meanwhile.
template <class F, class L4>
void take_reply(const Ingress& in, const Headers<F, L4>& headers, const Frame<F>& frame,
                const bpf::View<typename F::Flow>& flow, bpf::StackRange way, bpf::Label missing);

} // namespace lb::datapath
