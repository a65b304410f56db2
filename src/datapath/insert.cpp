#include "datapath/backlog.hpp"
#include "datapath/checksum.hpp"
#include "datapath/flow.hpp"
#include "datapath/full_nat.hpp"
#include "datapath/live.hpp"
#include "datapath/parse.hpp"

namespace lb::datapath {

using namespace bpf;
using model::Direction;
using model::Reason;
using model::TargetRow;

namespace {

// Both entries but for what depends on the source port, and the key by which replies come.
template <class F, class L4>
void fill_entries(Dsl& b, const model::Plan& plan, const Frame<F>& frame, const NewFlowFrame<F>& fresh,
                  const Headers<F, L4>& headers, const View<TargetRow>& row)
{
    b.note("both entries of the new connection");
    const auto& key = frame.key;
    copy_address(fresh.forward(&F::Flow::saddr), key(&F::Key::saddr));
    copy_address(fresh.forward(&F::Flow::daddr), row(F::target_address));
    fresh.forward(&F::Flow::dport) = row(&TargetRow::port);
    copy_address(fresh.reply(&F::Flow::saddr), key(&F::Key::daddr));
    copy_address(fresh.reply(&F::Flow::daddr), key(&F::Key::saddr));
    fresh.reply(&F::Flow::sport) = key(&F::Key::dport);
    fresh.reply(&F::Flow::dport) = key(&F::Key::sport);
    copy_address(fresh.reply_key(&F::BackKey::saddr), row(F::target_address));
    copy_address(fresh.reply_key(&F::BackKey::daddr), key(&F::Key::saddr));
    fresh.reply_key(&F::BackKey::sport) = row(&TargetRow::port);
    fresh.reply_key(&F::BackKey::dport) = key(&F::Key::sport);
    fresh.reply_key(&F::BackKey::protocol) = protocol_number<L4>;
    fresh.reply_key(&F::BackKey::zero8) = u8{0};
    fresh.reply_key(&F::BackKey::zero16) = u16{0};
    for (const auto* entry : {&fresh.forward, &fresh.reply}) {
        (*entry)(&F::Flow::proxy) = row(&TargetRow::proxy);
        (*entry)(&F::Flow::target) = frame.index();
        (*entry)(&F::Flow::ended) = 0;
        (*entry)(&F::Flow::carried) = F::across ? model::carried_across : 0;
    }
    fresh.forward(&F::Flow::direction) = Direction::forward;
    set_reply_direction(b, plan, fresh, row);
    fresh.reply(&F::Flow::packets) = 0;
    fresh.reply(&F::Flow::bytes) = 0;
    fresh.reply(&F::Flow::tcp_flags) = u8{0};
    if constexpr (std::is_same_v<L4, wire::Tcp>)
        fresh.forward(&F::Flow::tcp_flags) = headers.l4(&wire::Tcp::flags);
    else
        fresh.forward(&F::Flow::tcp_flags) = u8{0};
    fresh.forward(&F::Flow::bytes) = ip_length(b, headers.ip);
    fresh.forward(&F::Flow::packets) = 1;
}

template <class F> void stamp_entries(Dsl& b, const NewFlowFrame<F>& fresh)
{
    auto now = b.call<u64>(Helper::jiffies64, {}, "now");
    for (const auto* entry : {&fresh.forward, &fresh.reply}) {
        (*entry)(&F::Flow::last_seen) = now;
        (*entry)(&F::Flow::created).store(now.reg());
    }
}

// delta -> forward entry, ~delta -> reply entry: the way back takes off what the way there put on.
template <class F> void store_delta(const NewFlowFrame<F>& fresh, u16 F::Flow::*delta, Var<u64>& sum)
{
    fresh.forward(delta).store(sum.reg());
    sum ^= 0xffff;
    fresh.reply(delta).store(sum.reg());
    sum ^= 0xffff;
}

template <class F> void store_address_delta(Dsl& b, const model::Plan& plan, const NewFlowFrame<F>& fresh)
{
    b.note("checksum differences of the addresses, computed once");
    auto sum = b.let<u64>("sum", 0);
    add_change(b, sum, fresh.reply(&F::Flow::saddr), fresh.forward(&F::Flow::daddr));
    if (may_be_full_nat<F>(plan))
        add_change(b, sum, fresh.reply(&F::Flow::daddr), fresh.forward(&F::Flow::saddr));
    fold_sum(b, sum);
    store_delta(fresh, &F::Flow::address_delta, sum);
}

// The source port to the target is reply_key.dport: the client's own, or another where that one is taken.
template <class F> void store_port_delta(Dsl& b, const Frame<F>& frame, const NewFlowFrame<F>& fresh)
{
    b.note("checksum differences of the ports");
    fresh.forward(&F::Flow::sport) = fresh.reply_key(&F::BackKey::dport);
    auto sum = b.let<u64>("sum", 0);
    add_change(b, sum, frame.key(&F::Key::dport), fresh.forward(&F::Flow::dport));
    add_change(b, sum, frame.key(&F::Key::sport), fresh.forward(&F::Flow::sport));
    fold_sum(b, sum);
    store_delta(fresh, &F::Flow::port_delta, sum);
    sum += fresh.forward(&F::Flow::address_delta);
    fold_sum(b, sum);
    store_delta(fresh, &F::Flow::l4_delta, sum);
}

// Whether the reply entry that is there belongs to this very connection: its forward entry was lost or is
// being made.
template <class F>
void compare_owner(Dsl& b, const model::Plan& plan, const Maps& maps, const NewFlowFrame<F>& fresh, Label own,
                   Label other)
{
    auto there = b.lookup_brief(F::back_flows(maps), fresh.reply_key, other);
    jump_if_differs(b, there(&F::Flow::saddr), fresh.reply(&F::Flow::saddr), other);
    auto port = b.let<be16>("vip port", there(&F::Flow::sport));
    b.jump_if(fresh.reply(&F::Flow::sport) != port, other);
    port = there(&F::Flow::dport);
    b.jump_if(fresh.reply(&F::Flow::dport) != port, other);
    port.release();
    // The key has the client's address, but for full NAT.
    if (may_be_full_nat<F>(plan))
        jump_if_differs(b, there(&F::Flow::daddr), fresh.reply(&F::Flow::daddr), other);
    b.jump(own);
}

// The next source port to try, 32768..65535 from the hash on, into reply_key.dport.
template <class F> void next_source_port(Dsl& b, const model::Plan& plan, const NewFlowFrame<F>& fresh)
{
    b.note("looks like another connection to its target: try another source port");
    const Label found = b.label("another source port"), own = b.label("not full NAT");
    if (may_be_full_nat<F>(plan)) {
        skip_unless_full_nat(b, plan, fresh, own);
        draw_port(b, plan, fresh);
        if (F::across || !plan.has(model::ForwardingMode::nat)) return;
        b.jump(found);
        b.bind(own);
    }
    auto hash = b.let<u64>("hash", fresh.hash());
    hash += 1;
    fresh.hash() = hash;
    hash |= 0x8000;
    auto port = b.to_network16(std::move(hash));
    fresh.reply_key(&F::BackKey::dport) = port;
    port.release();
    b.bind(found);
}

// Every port that was drawn is another connection's. Of a flood's, which only begin, one gives way, as it
// does in the table.
template <class F, class L4>
void take_half_open_port(Dsl& b, const model::Plan& plan, const Maps& maps, const StackVar<u64>& context,
                         const Frame<F>& frame, const NewFlowFrame<F>& fresh, Ways& ways, Label inserted)
{
    const Label none = ways.refuse(Reason::no_source_port, fresh.proxy);
    skip_unless_full_nat(b, plan, fresh, none);
    b.repeat(half_open_tries, [&] {
        const Label next = b.label("established");
        skip_host_socket<F, L4>(b, context, fresh, next);
        evict_by_reply<F>(b, maps, fresh.reply_key, next);
        store_port_delta(b, frame, fresh);
        b.note("insert the reply entry in its place");
        fresh.inserted() = 1;
        {
            auto result = b.update(F::back_flows(maps), fresh.reply_key, fresh.reply, UpdateFlag::no_exist);
            b.jump_if(result == 0, inserted);
        }
        b.bind(next);
        draw_port(b, plan, fresh);
    });
}

// Inserts the reply entry first: it is the one that can look like another connection's.
template <class F, class L4>
void insert_reply(Dsl& b, const model::Plan& plan, const Maps& maps, const StackVar<u64>* context,
                  const Frame<F>& frame, const NewFlowFrame<F>& fresh, Ways& ways, Label inserted)
{
    const Label own = b.label("own reply entry");
    b.repeat(source_port_tries + 1, [&] {
        const Label other = b.label("another connection's");
        if (may_be_full_nat<F>(plan)) {
            const Label nat = b.label("not full NAT");
            skip_unless_full_nat(b, plan, fresh, nat);
            skip_host_socket<F, L4>(b, *context, fresh, other);
            b.bind(nat);
        }
        store_port_delta(b, frame, fresh);
        b.note("insert the reply entry");
        fresh.inserted() = 1;
        {
            auto result = b.update(F::back_flows(maps), fresh.reply_key, fresh.reply, UpdateFlag::no_exist);
            b.jump_if(result == 0, inserted);
            b.jump_if(result != already_there, ways.refuse(Reason::table_full, fresh.proxy));
        }
        compare_owner(b, plan, maps, fresh, own, other);
        b.bind(other);
        next_source_port(b, plan, fresh);
    });
    if (may_be_full_nat<F>(plan))
        take_half_open_port<F, L4>(b, plan, maps, *context, frame, fresh, ways, inserted);
    b.jump(ways.refuse(Reason::no_source_port, fresh.proxy));
    b.bind(own);
    fresh.inserted() = 0;
    b.bind(inserted);
}

// Goes to `other` unless the forward entry at `flow` translates as ours would: then replies find both by one
// entry.
template <class F>
void compare_translation(Dsl& b, const model::Plan& plan, const NewFlowFrame<F>& fresh,
                         const View<typename F::Flow>& flow, Label other)
{
    if (may_be_full_nat<F>(plan))
        jump_if_differs(b, flow(&F::Flow::saddr), fresh.forward(&F::Flow::saddr), other);
    jump_if_differs(b, flow(&F::Flow::daddr), fresh.forward(&F::Flow::daddr), other);
    auto port = b.let<be16>("port", flow(&F::Flow::dport));
    b.jump_if(fresh.forward(&F::Flow::dport) != port, other);
    port = flow(&F::Flow::sport);
    b.jump_if(fresh.forward(&F::Flow::sport) != port, other);
}

// Both directions live and die together: a reply entry without its forward entry goes, if this packet made
// it.
template <class F> void remove_own_reply(Dsl& b, const Maps& maps, const NewFlowFrame<F>& fresh)
{
    const Label others = b.label("not our reply entry");
    b.jump_if(fresh.inserted() == u64{0}, others);
    b.remove(F::back_flows(maps), fresh.reply_key);
    b.bind(others);
}

// A reply entry that was there already is a leftover of an ended connection, whose flags would end this one,
// or another CPU's, which may have taken it out again.
template <class F>
void renew_reply(Dsl& b, const Maps& maps, const Frame<F>& frame, const NewFlowFrame<F>& fresh, Ways& ways)
{
    b.note("is the reply entry this packet's own?");
    const Label ours = b.label("our reply entry");
    b.jump_if(fresh.inserted() != u64{0}, ours);
    b.note("renew the reply entry that was there");
    auto result = b.update(F::back_flows(maps), fresh.reply_key, fresh.reply, UpdateFlag::any);
    b.jump_if(result == 0, ours);
    result.release();
    b.remove(F::flows(maps), frame.key);
    b.jump(ways.refuse(Reason::table_full, fresh.proxy));
    b.bind(ours);
}

template <class F> void count_connection(Dsl& b, const Maps& maps, const Frame<F>& frame)
{
    b.note("count the connection for its target");
    const Label counted = b.label("counted");
    auto row = b.lookup_brief(maps.counters, frame.index, counted);
    row(&model::TargetCounters::connections).add(1);
    row.release();
    b.bind(counted);
}

// Tells user space of the connection; what finds no room in the ring buffer is counted.
template <class F>
void announce(Dsl& b, const Maps& maps, const Frame<F>& frame, const NewFlowFrame<F>& fresh)
{
    using Opened = typename F::Opened;
    b.note("tell of the new connection");
    const Builder::StackScope scope(b);
    const auto event = b.stack<Opened>("event");
    copy_address(event(&Opened::saddr), frame.key(&F::Key::saddr));
    copy_address(event(&Opened::daddr), frame.key(&F::Key::daddr));
    event(&Opened::sport) = frame.key(&F::Key::sport);
    event(&Opened::dport) = frame.key(&F::Key::dport);
    event(&Opened::protocol) = frame.key(&F::Key::protocol);
    event(&Opened::zero8) = u8{0};
    event(&Opened::zero16) = u16{0};
    event(&Opened::proxy) = fresh.forward(&F::Flow::proxy);
    event(&Opened::target) = fresh.forward(&F::Flow::target);
    const Label told = b.label("told");
    {
        auto result =
            b.call<i64>(Helper::ringbuf_output, {*maps.events, event, u32{sizeof(Opened)}, 0}, "result");
        b.jump_if(result == 0, told);
    }
    frame.index() = 0;
    auto lost = b.lookup_brief(*maps.events_lost, frame.index, told);
    lost.value().add(1);
    lost.release();
    b.bind(told);
}

} // namespace

template <class F>
void tell_of_connection(Dsl& b, const Maps& maps, const Frame<F>& frame, const NewFlowFrame<F>& fresh)
{
    count_connection(b, maps, frame);
    count_begin(b, maps, frame, fresh);
    if (maps.events) announce(b, maps, frame, fresh);
}
template void tell_of_connection(Dsl&, const Maps&, const Frame<V4>&, const NewFlowFrame<V4>&);
template void tell_of_connection(Dsl&, const Maps&, const Frame<V6>&, const NewFlowFrame<V6>&);
template void tell_of_connection(Dsl&, const Maps&, const Frame<V4To6>&, const NewFlowFrame<V4To6>&);
template void tell_of_connection(Dsl&, const Maps&, const Frame<V6To4>&, const NewFlowFrame<V6To4>&);

template <class F, class L4>
void insert_flow(Dsl& b, const model::Plan& plan, const Maps& maps, const StackVar<u64>* context,
                 const Frame<F>& frame, const NewFlowFrame<F>& fresh, const Headers<F, L4>& headers,
                 View<TargetRow> row, const View<typename F::Flow>& flow, Ways& ways, Label raced)
{
    fill_entries(b, plan, frame, fresh, headers, row);
    row.release();
    if (may_be_full_nat<F>(plan)) take_source(b, plan, maps, frame, fresh, ways);
    evict_oldest(b, maps, frame);
    stamp_entries(b, fresh);
    store_address_delta(b, plan, fresh);
    const Label replies = b.label("replies find it"), made = b.label("made"), undo = b.label("undo"),
                full = b.label("full");
    insert_reply<F, L4>(b, plan, maps, context, frame, fresh, ways, replies);

    b.note("insert the forward entry");
    {
        auto result = b.update(F::flows(maps), frame.key, fresh.forward, UpdateFlag::no_exist);
        b.jump_if(result == 0, made);
        fresh.result().store(result.reg());
    }
    b.jump_if(fresh.result() != already_there, full);
    b.note("another CPU has made it meanwhile: its choice counts");
    b.lookup_to(flow, F::flows(maps), frame.key, full);
    compare_translation(b, plan, fresh, flow, undo);
    b.jump(raced);
    b.bind(undo);
    remove_own_reply(b, maps, fresh);
    b.jump(raced);
    b.bind(full);
    remove_own_reply(b, maps, fresh);
    b.jump(ways.refuse(Reason::table_full, fresh.proxy));

    b.bind(made);
    renew_reply(b, maps, frame, fresh, ways);
    tell_of_connection(b, maps, frame, fresh);
    b.point(flow, fresh.forward);
}
#define LB_INSTANTIATE(F, L4)                                                                                \
    template void insert_flow(Dsl&, const model::Plan&, const Maps&, const StackVar<u64>*, const Frame<F>&,  \
                              const NewFlowFrame<F>&, const Headers<F, L4>&, View<TargetRow>,                \
                              const View<F::Flow>&, Ways&, Label);
LB_INSTANTIATE(V4, wire::Tcp)
LB_INSTANTIATE(V4, wire::Udp)
LB_INSTANTIATE(V6, wire::Tcp)
LB_INSTANTIATE(V6, wire::Udp)
LB_INSTANTIATE(V4To6, wire::Tcp)
LB_INSTANTIATE(V4To6, wire::Udp)
LB_INSTANTIATE(V6To4, wire::Tcp)
LB_INSTANTIATE(V6To4, wire::Udp)
#undef LB_INSTANTIATE

} // namespace lb::datapath
