#include "datapath/flow.hpp"

#include "datapath/carry.hpp"

namespace lb::datapath {

using namespace bpf;
template <class F>
void find_flow(Dsl& b, const Maps& maps, const Frame<F>& frame, const View<typename F::Flow>& flow,
               Label missing)
{
    b.note("find the flow");
    b.lookup_to(flow, F::maps(maps).flows, frame.key, missing);
}

template <class F>
void reopen_closed(Dsl& b, const Maps& maps, const Frame<F>& frame, const NewFlowFrame<F>& fresh,
                   const View<typename F::Flow>& flow, Label missing)
{
    using Flow = typename F::Flow;
    b.note("a SYN on a known tuple: has that connection ended?");
    const Label ended = b.label("ended"), lives = b.label("lives");
    if (maps.carriers) reopen_carried(b, maps, frame, flow, missing, lives);
    make_other_key<F>(fresh.reply_key, flow, wire::protocol_tcp);
    {
        auto reply = b.lookup_brief(F::maps(maps).flows, fresh.reply_key, ended);
        auto flags = b.let<u8>("reply flags", reply(&Flow::tcp_flags));
        reply.release();
        b.jump_if(flags.has(wire::tcp_rst), ended);
        b.jump_if(flow(&Flow::tcp_flags).has(wire::tcp_rst), ended);
        flags &= flow(&Flow::tcp_flags);
        b.jump_unless(flags.has(wire::tcp_fin), lives);
    }
    b.bind(ended);
    b.remove(F::maps(maps).flows, fresh.reply_key);
    b.remove(F::maps(maps).flows, frame.key);
    b.jump(missing);
    b.bind(lives);
}

template void find_flow(Dsl&, const Maps&, const Frame<V4>&, const View<V4::Flow>&, Label);
template void reopen_closed(Dsl&, const Maps&, const Frame<V4>&, const NewFlowFrame<V4>&,
                            const View<V4::Flow>&, Label);
template void find_flow(Dsl&, const Maps&, const Frame<V6>&, const View<V6::Flow>&, Label);
template void reopen_closed(Dsl&, const Maps&, const Frame<V6>&, const NewFlowFrame<V6>&,
                            const View<V6::Flow>&, Label);

} // namespace lb::datapath
