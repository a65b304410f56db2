#include "datapath/live.hpp"

#include "datapath/flow.hpp"

namespace lb::datapath {

using namespace bpf;
using model::Direction;

namespace {

// Adds to the count of the target whose id is in `frame.index`.
template <class F> void add_live(Dsl& b, const Maps& maps, const Frame<F>& frame, i64 number)
{
    const Label added = b.label("live counted");
    auto live = b.lookup_brief(*maps.live, frame.index, added);
    live.value().atomic_add(number);
    live.release();
    b.bind(added);
}

// Writes the time of the end into the forward entry; goes on where it had none, so that nobody counts twice.
template <class F>
void mark_end(Dsl& b, const Frame<F>& frame, const View<typename F::Flow>& flow,
              const View<typename F::Flow>& forward, Label counted)
{
    using Flow = typename F::Flow;
    b.jump_if(forward(&Flow::ended) != 0, counted);
    auto now = b.let<u64>("now", flow(&Flow::last_seen));
    now |= 1;
    const Var<u32> stamp(b, std::move(now).take());
    b.jump_if(forward(&Flow::ended).exchange(stamp) != 0, counted);
    frame.index() = forward(&Flow::target);
}

} // namespace

template <class F>
void count_begin(Dsl& b, const Maps& maps, const Frame<F>& frame, const NewFlowFrame<F>& fresh)
{
    if (!maps.live) return;
    b.note("one live connection more");
    frame.index() = fresh.forward(&F::Flow::target);
    add_live(b, maps, frame, 1);
}

template <class F, class L4>
void count_end(Dsl& b, const Maps& maps, const Frame<F>& frame, const View<typename F::Flow>& flow,
               const View<L4>& l4, Direction direction)
{
    using Flow = typename F::Flow;
    if constexpr (std::is_same_v<L4, wire::Tcp>) {
        if (!maps.live) return;
        b.note("does this packet end the connection?");
        const Builder::StackScope scope(b);
        const Label goes_on = b.label("goes on"), ended = b.label("ended");
        b.jump_unless(l4(&wire::Tcp::flags).has(wire::tcp_fin | wire::tcp_rst), goes_on);
        const auto key = b.stack<typename F::BackKey>("other key");
        make_other_key<F>(key, flow, wire::protocol_tcp);
        auto other = b.lookup_brief(F::back_flows(maps), key, goes_on);
        b.jump_if(l4(&wire::Tcp::flags).has(wire::tcp_rst), ended);
        b.jump_unless(other(&Flow::tcp_flags).has(wire::tcp_fin), goes_on);
        b.bind(ended);
        mark_end(b, frame, flow, direction == Direction::forward ? flow : other, goes_on);
        other.release();
        b.note("one live connection less");
        add_live(b, maps, frame, -1);
        b.bind(goes_on);
    }
}

#define LB_INSTANTIATE(F)                                                                                    \
    template void count_begin(Dsl&, const Maps&, const Frame<F>&, const NewFlowFrame<F>&);                   \
    template void count_end(Dsl&, const Maps&, const Frame<F>&, const View<F::Flow>&,                        \
                            const View<wire::Tcp>&, Direction);                                              \
    template void count_end(Dsl&, const Maps&, const Frame<F>&, const View<F::Flow>&,                        \
                            const View<wire::Udp>&, Direction);
LB_INSTANTIATE(V4)
LB_INSTANTIATE(V6)
LB_INSTANTIATE(V4To6)
LB_INSTANTIATE(V6To4)
#undef LB_INSTANTIATE

} // namespace lb::datapath
