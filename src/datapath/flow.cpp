#include "datapath/flow.hpp"

#include "datapath/carry.hpp"

namespace lb::datapath {

using namespace bpf;
template <class F>
void find_flow(Dsl& b, const Maps& maps, const Frame<F>& frame, const View<typename F::Flow>& flow,
               Label missing)
{
    b.note("find the flow");
    b.lookup_to(flow, F::flows(maps), frame.key, missing);
}

template <class F>
void reopen_closed(Dsl& b, const Maps& maps, const Frame<F>& frame, const NewFlowFrame<F>& fresh,
                   const View<typename F::Flow>& flow, Label missing)
{
    using Flow = typename F::Flow;
    b.note("a SYN on a known tuple: has that connection ended?");
    const Label ended = b.label("ended"), lives = b.label("lives");
    if constexpr (!F::across)
        if (maps.carriers) reopen_carried(b, maps, frame, flow, missing, lives);
    make_other_key<F>(fresh.reply_key, flow, wire::protocol_tcp);
    {
        auto reply = b.lookup_brief(F::back_flows(maps), fresh.reply_key, ended);
        auto flags = b.let<u8>("reply flags", reply(&Flow::tcp_flags));
        reply.release();
        b.jump_if(flags.has(wire::tcp_rst), ended);
        b.jump_if(flow(&Flow::tcp_flags).has(wire::tcp_rst), ended);
        flags &= flow(&Flow::tcp_flags);
        b.jump_unless(flags.has(wire::tcp_fin), lives);
    }
    b.bind(ended);
    b.remove(F::back_flows(maps), fresh.reply_key);
    b.remove(F::flows(maps), frame.key);
    b.jump(missing);
    b.bind(lives);
}

#define LB_INSTANTIATE(F)                                                                                    \
    template void find_flow(Dsl&, const Maps&, const Frame<F>&, const View<F::Flow>&, Label);                \
    template void reopen_closed(Dsl&, const Maps&, const Frame<F>&, const NewFlowFrame<F>&,                  \
                                const View<F::Flow>&, Label);
LB_INSTANTIATE(V4)
LB_INSTANTIATE(V6)
LB_INSTANTIATE(V4To6)
LB_INSTANTIATE(V6To4)
#undef LB_INSTANTIATE

} // namespace lb::datapath
