// Full NAT: the target sees an address and a port of lb's own, and answers to it wherever its routes lead. A
// connection's source is chosen once, with its entries; its replies come to lb itself and are translated
// where they arrive.
#pragma once

#include "datapath/frame.hpp"
#include "datapath/ways.hpp"

namespace lb::datapath {

/// Whether some connections of such packets are of full NAT.
template <class F> bool may_be_full_nat(const model::Plan& plan)
{
    return F::across || plan.has_full_nat(F::family);
}

/// Emits where the replies of a new connection to the target in `row` are translated.
template <class F>
void set_reply_direction(bpf::Dsl& b, const model::Plan& plan, const NewFlowFrame<F>& fresh,
                         const bpf::View<model::TargetRow>& row);

/// Emits the choice of the source, with a first port to try, into `fresh.forward` and `fresh.reply_key`;
/// nothing changes where the target is to see the client's.
template <class F>
void take_source(bpf::Dsl& b, const model::Plan& plan, const Maps& maps, const Frame<F>& frame,
                 const NewFlowFrame<F>& fresh, Ways& ways);

/// Emits a port out of the range into `reply_key.dport`; another one each time.
template <class F> void draw_port(bpf::Dsl& b, const model::Plan& plan, const NewFlowFrame<F>& fresh);

/// Emits `if a socket of this host's would get the replies to the port in reply_key goto taken`. It may have
/// been there before lb was, or be bound to the port by name. `context`: the program's.
template <class F, class L4>
void skip_host_socket(bpf::Dsl& b, const bpf::StackVar<u64>& context, const NewFlowFrame<F>& fresh,
                      bpf::Label taken);

/// Emits `if the new connection's target is to see the client goto otherwise`, where some may be.
template <class F>
void skip_unless_full_nat(bpf::Dsl& b, const model::Plan& plan, const NewFlowFrame<F>& fresh,
                          bpf::Label otherwise);

} // namespace lb::datapath
