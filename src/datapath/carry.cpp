#include "datapath/carry.hpp"

#include "datapath/backlog.hpp"
#include "datapath/flow.hpp"
#include "datapath/parse.hpp"
#include "datapath/tunnel.hpp"

namespace lb::datapath {

using namespace bpf;
using model::Reason;
using model::TargetRow;

namespace {

// The tunnel's source port tells connections apart for whoever spreads by ports (RFC 7510, RFC 8086): 14 bits
// of the hash, in the range of dynamic ports.
template <class F> void store_source_port(Dsl& b, const NewFlowFrame<F>& fresh)
{
    auto hash = b.let<u64>("hash", fresh.hash());
    hash |= tunnel::sport_first;
    fresh.forward(&F::Flow::sport) = b.to_network16(std::move(hash));
}

template <class F, class L4>
void fill_entry(Dsl& b, const Frame<F>& frame, const NewFlowFrame<F>& fresh, const Headers<F, L4>& headers,
                const View<TargetRow>& row)
{
    using Flow = typename F::Flow;
    b.note("the entry of the new connection, which is carried");
    const auto& entry = fresh.forward;
    copy_address(entry(&Flow::saddr), frame.key(&F::Key::saddr));
    copy_address(entry(&Flow::daddr), frame.key(&F::Key::daddr));
    entry(&Flow::dport) = frame.key(&F::Key::dport);
    entry(&Flow::address_delta) = u16{0};
    entry(&Flow::l4_delta) = u16{0};
    entry(&Flow::port_delta) = u16{0};
    entry(&Flow::proxy) = row(&TargetRow::proxy);
    entry(&Flow::target) = frame.index();
    entry(&Flow::direction) = model::Direction::forward;
    entry(&Flow::carried) = row(&TargetRow::carried);
    entry(&Flow::ended) = 0;
    if constexpr (std::is_same_v<L4, wire::Tcp>)
        entry(&Flow::tcp_flags) = headers.l4(&wire::Tcp::flags);
    else
        entry(&Flow::tcp_flags) = u8{0};
    entry(&Flow::bytes) = ip_length(b, headers.ip);
    entry(&Flow::packets) = 1;
}

// The table is full of connections that are established. Where each packet picks the same target, this one
// needs no entry.
template <class F>
void go_unrecorded(Dsl& b, const Maps& maps, const Frame<F>& frame, const NewFlowFrame<F>& fresh,
                   const View<typename F::Flow>& flow, Ways& ways, Label full, Label made)
{
    b.bind(full);
    b.note("no room for the entry: does the connection keep its target without?");
    b.jump_if(fresh.forward(&F::Flow::carried) == u32{1}, ways.refuse(Reason::table_full, fresh.proxy));
    frame.index() = fresh.forward(&F::Flow::target);
    auto row = b.lookup_brief(maps.counters, frame.index, ways.to(Reason::internal));
    row(&model::TargetCounters::unrecorded).add(1);
    row.release();
    b.point(flow, fresh.forward);
    b.jump(made);
}

} // namespace

template <class F, class L4>
void insert_carried(Dsl& b, const Maps& maps, const Frame<F>& frame, const NewFlowFrame<F>& fresh,
                    const Headers<F, L4>& headers, View<TargetRow> row, const View<typename F::Flow>& flow,
                    Ways& ways, Label raced, Label made)
{
    fill_entry(b, frame, fresh, headers, row);
    row.release();
    evict_oldest(b, maps, frame);
    store_source_port(b, fresh);
    {
        auto now = b.call<u64>(Helper::jiffies64, {}, "now");
        fresh.forward(&F::Flow::last_seen) = now;
        fresh.forward(&F::Flow::created).store(now.reg());
    }
    b.note("insert the entry");
    const Label inserted = b.label("inserted"), full = b.label("no room");
    {
        auto result = b.update(F::flows(maps), frame.key, fresh.forward, UpdateFlag::no_exist);
        b.jump_if(result == 0, inserted);
        b.jump_if(result != already_there, full);
    }
    b.note("another CPU has made it meanwhile: its choice counts");
    b.lookup_to(flow, F::flows(maps), frame.key, full);
    b.jump(raced);
    go_unrecorded(b, maps, frame, fresh, flow, ways, full, made);
    b.bind(inserted);
    tell_of_connection(b, maps, frame, fresh);
    b.point(flow, fresh.forward);
    b.jump(made);
}

// Only the client's flags are seen. Its FIN or RST ends the connection for it; with a SYN it begins another.
template <class F>
void reopen_carried(Dsl& b, const Maps& maps, const Frame<F>& frame, const View<typename F::Flow>& flow,
                    Label missing, Label lives)
{
    using Flow = typename F::Flow;
    const Label translated = b.label("not carried"), ended = b.label("carried, ended");
    b.jump_if(flow(&Flow::carried) == u32{0}, translated);
    b.jump_if(flow(&Flow::tcp_flags).has(wire::tcp_rst | wire::tcp_fin), ended);
    b.jump(lives);
    b.bind(ended);
    b.remove(F::flows(maps), frame.key);
    b.jump(missing);
    b.bind(translated);
}

#define LB_INSTANTIATE(F)                                                                                    \
    template void insert_carried(Dsl&, const Maps&, const Frame<F>&, const NewFlowFrame<F>&,                 \
                                 const Headers<F, wire::Tcp>&, View<TargetRow>, const View<F::Flow>&, Ways&, \
                                 Label, Label);                                                              \
    template void insert_carried(Dsl&, const Maps&, const Frame<F>&, const NewFlowFrame<F>&,                 \
                                 const Headers<F, wire::Udp>&, View<TargetRow>, const View<F::Flow>&, Ways&, \
                                 Label, Label);                                                              \
    template void reopen_carried(Dsl&, const Maps&, const Frame<F>&, const View<F::Flow>&, Label, Label);
LB_INSTANTIATE(V4)
LB_INSTANTIATE(V6)
#undef LB_INSTANTIATE

} // namespace lb::datapath
