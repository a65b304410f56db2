// Listeners as code: ports, given addresses and interfaces are immediates; only the host's own addresses are
// looked up.
#pragma once

#include "datapath/frame.hpp"
#include "datapath/ways.hpp"
#include "model/plan.hpp"

namespace lb::datapath {

/// Emits `goto like` where the packet's ports are such as replies have that are translated where they arrive.
template <class F, class L4>
void go_if_like_reply(bpf::Dsl& b, const model::Plan& plan, const Headers<F, L4>& headers, bpf::Label like);

/// Emits `goto no_listener` unless some listener has the packet's protocol and destination port, or it is
/// like a reply.
template <class F, class L4>
void gate_port(bpf::Dsl& b, const model::Plan& plan, const Headers<F, L4>& headers, Ways& ways);

/// Emits the choice of the listener by port, address and interface, in order of precedence; `frame.key` is
/// the packet's tuple. Arrives at `matched` with its default group in `group` and, where has_source_routes(),
/// its proxy's id in `route.proxy`; leaves where none matches.
template <class F, class L4>
void match_listener(bpf::Dsl& b, const model::Plan& plan, const Maps& maps, const Headers<F, L4>& headers,
                    const Frame<F>& frame, const NewFlowFrame<F>& fresh, const bpf::StackVar<u32>& ifindex,
                    Ways& ways, bpf::Label matched);

/// Whether some listener has this family and protocol.
bool listens(const model::Plan& plan, model::Family family, model::Protocol protocol);
/// Whether packets of this family and protocol concern lb: they come to a listener, or are replies to one of
/// the other family.
bool hears(const model::Plan& plan, model::Family family, model::Protocol protocol);
/// Whether some proxy has source routes of this family.
bool has_source_routes(const model::Plan& plan, model::Family family);
/// Whether some listener is not on every interface, so that the program has to know where a packet came in.
bool compares_interfaces(const model::Plan& plan);

} // namespace lb::datapath
