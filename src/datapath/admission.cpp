#include "datapath/admission.hpp"

#include "datapath/pick.hpp"

namespace lb::datapath {

using namespace bpf;
using model::Reason;

template <class F, class L4>
void check_lists(Dsl& b, const model::Plan& plan, const Maps& maps, const Frame<F>& frame,
                 const NewFlowFrame<F>& fresh, Ways& ways)
{
    if (!plan.has_lists(F::family, protocol_of<L4>)) return;
    b.note("allow and deny: longest prefix of this proxy");
    const Label unlisted = b.label("in no list");
    make_source_key(frame, fresh);
    fresh.route(&F::Route::proxy) = fresh.proxy();
    const auto allowed = b.lookup_brief(*F::maps(maps).prefixes, fresh.route, unlisted);
    b.jump_if(allowed.value() == u32{0}, ways.refuse(Reason::denied, fresh.proxy));
    b.bind(unlisted);
}
template void check_lists<V4, wire::Tcp>(Dsl&, const model::Plan&, const Maps&, const Frame<V4>&,
                                         const NewFlowFrame<V4>&, Ways&);
template void check_lists<V4, wire::Udp>(Dsl&, const model::Plan&, const Maps&, const Frame<V4>&,
                                         const NewFlowFrame<V4>&, Ways&);
template void check_lists<V6, wire::Tcp>(Dsl&, const model::Plan&, const Maps&, const Frame<V6>&,
                                         const NewFlowFrame<V6>&, Ways&);
template void check_lists<V6, wire::Udp>(Dsl&, const model::Plan&, const Maps&, const Frame<V6>&,
                                         const NewFlowFrame<V6>&, Ways&);

} // namespace lb::datapath
