#include "datapath/checksum.hpp"
#include "datapath/flow.hpp"

namespace lb::datapath {

using namespace bpf;
using model::Direction;
using model::Flow4;
using model::FlowKey4;
using model::Reason;
using model::TargetRow;

namespace {

constexpr i32 already_there = -17; // -EEXIST

// Both entries but for what depends on the source port, and the key by which replies come.
template <class L4>
void fill_entries(Dsl& b, const Frame& frame, const NewFlowFrame& fresh, const Headers<L4>& headers,
                  const View<TargetRow>& row)
{
    b.note("both entries of the new connection");
    const auto& key = frame.key;
    fresh.forward(&Flow4::saddr) = key(&FlowKey4::saddr);
    fresh.forward(&Flow4::daddr) = row(&TargetRow::address);
    fresh.forward(&Flow4::dport) = row(&TargetRow::port);
    fresh.reply(&Flow4::saddr) = key(&FlowKey4::daddr);
    fresh.reply(&Flow4::daddr) = key(&FlowKey4::saddr);
    fresh.reply(&Flow4::sport) = key(&FlowKey4::dport);
    fresh.reply(&Flow4::dport) = key(&FlowKey4::sport);
    fresh.reply_key(&FlowKey4::saddr) = row(&TargetRow::address);
    fresh.reply_key(&FlowKey4::daddr) = key(&FlowKey4::saddr);
    fresh.reply_key(&FlowKey4::sport) = row(&TargetRow::port);
    fresh.reply_key(&FlowKey4::dport) = key(&FlowKey4::sport);
    fresh.reply_key(&FlowKey4::protocol) = protocol_number<L4>;
    fresh.reply_key(&FlowKey4::zero8) = u8{0};
    fresh.reply_key(&FlowKey4::zero16) = u16{0};
    for (const auto* entry : {&fresh.forward, &fresh.reply}) {
        (*entry)(&Flow4::proxy) = row(&TargetRow::proxy);
        (*entry)(&Flow4::target) = frame.index();
        (*entry)(&Flow4::zero32) = 0;
    }
    fresh.forward(&Flow4::direction) = Direction::forward;
    fresh.reply(&Flow4::direction) = Direction::reply;
    fresh.reply(&Flow4::packets) = 0;
    fresh.reply(&Flow4::bytes) = 0;
    fresh.reply(&Flow4::tcp_flags) = u8{0};
    if constexpr (std::is_same_v<L4, wire::Tcp>)
        fresh.forward(&Flow4::tcp_flags) = headers.l4(&wire::Tcp::flags);
    else
        fresh.forward(&Flow4::tcp_flags) = u8{0};
    auto bytes = b.let_host("bytes", headers.ip(&wire::Ipv4::total_length));
    auto wide = b.let<u64>("bytes", bytes);
    fresh.forward(&Flow4::bytes) = wide;
    fresh.forward(&Flow4::packets) = 1;
}

void stamp_entries(Dsl& b, const NewFlowFrame& fresh)
{
    auto now = b.call<u64>(Helper::jiffies64, {}, "now");
    for (const auto* entry : {&fresh.forward, &fresh.reply}) {
        (*entry)(&Flow4::last_seen) = now;
        (*entry)(&Flow4::created) = now;
    }
}

// delta -> forward entry, ~delta -> reply entry: the way back takes off what the way there put on.
void store_delta(const NewFlowFrame& fresh, u16 Flow4::*delta, Var<u64>& sum)
{
    fresh.forward(delta).store(sum.reg());
    sum ^= 0xffff;
    fresh.reply(delta).store(sum.reg());
    sum ^= 0xffff;
}

void store_address_delta(Dsl& b, const Frame& frame, const NewFlowFrame& fresh)
{
    b.note("checksum differences of the addresses, computed once");
    auto sum = b.let<u64>("sum", 0);
    add_change(b, sum, frame.key(&FlowKey4::daddr), fresh.forward(&Flow4::daddr));
    fold_sum(b, sum);
    store_delta(fresh, &Flow4::address_delta, sum);
}

// The source port to the target is reply_key.dport: the client's own, or another where that one is taken.
void store_port_delta(Dsl& b, const Frame& frame, const NewFlowFrame& fresh)
{
    b.note("checksum differences of the ports");
    fresh.forward(&Flow4::sport) = fresh.reply_key(&FlowKey4::dport);
    auto sum = b.let<u64>("sum", 0);
    add_change(b, sum, frame.key(&FlowKey4::dport), fresh.forward(&Flow4::dport));
    add_change(b, sum, frame.key(&FlowKey4::sport), fresh.forward(&Flow4::sport));
    fold_sum(b, sum);
    store_delta(fresh, &Flow4::port_delta, sum);
    sum += fresh.forward(&Flow4::address_delta);
    fold_sum(b, sum);
    store_delta(fresh, &Flow4::l4_delta, sum);
}

// Whether the reply entry that is there belongs to this very connection: its forward entry was lost or is
// being made.
void compare_owner(Dsl& b, const Maps& maps, const NewFlowFrame& fresh, Label own, Label other)
{
    auto there = b.lookup_brief(maps.flows, fresh.reply_key, other);
    auto part = b.let<be32>("vip", there(&Flow4::saddr));
    b.jump_if(fresh.reply(&Flow4::saddr) != part, other);
    auto port = b.let<be16>("vip port", there(&Flow4::sport));
    b.jump_if(fresh.reply(&Flow4::sport) != port, other);
    port = there(&Flow4::dport);
    b.jump_if(fresh.reply(&Flow4::dport) != port, other);
    b.jump(own);
}

// The next source port to try, 32768..65535 from the hash on, into reply_key.dport.
void next_source_port(Dsl& b, const NewFlowFrame& fresh)
{
    b.note("looks like another connection to its target: try another source port");
    auto hash = b.let<u64>("hash", fresh.hash());
    hash += 1;
    fresh.hash() = hash;
    hash |= 0x8000;
    auto port = b.to_network16(std::move(hash));
    fresh.reply_key(&FlowKey4::dport) = port;
}

// Inserts the reply entry first: it is the one that can look like another connection's.
void insert_reply(Dsl& b, const Maps& maps, const Frame& frame, const NewFlowFrame& fresh, Ways& ways,
                  Label inserted)
{
    const Label own = b.label("own reply entry");
    b.repeat(source_port_tries + 1, [&] {
        store_port_delta(b, frame, fresh);
        b.note("insert the reply entry");
        const Label other = b.label("another connection's");
        fresh.inserted() = 1;
        {
            auto result = b.update(maps.flows, fresh.reply_key, fresh.reply, UpdateFlag::no_exist);
            b.jump_if(result == 0, inserted);
            b.jump_if(result != already_there, ways.to(Reason::table_full));
        }
        compare_owner(b, maps, fresh, own, other);
        b.bind(other);
        next_source_port(b, fresh);
    });
    b.jump(ways.to(Reason::no_source_port));
    b.bind(own);
    fresh.inserted() = 0;
    b.bind(inserted);
}

// Goes to `other` unless the forward entry at `flow` translates as ours would: then replies find both by one
// entry.
void compare_translation(Dsl& b, const NewFlowFrame& fresh, const View<Flow4>& flow, Label other)
{
    auto address = b.let<be32>("target", flow(&Flow4::daddr));
    b.jump_if(fresh.forward(&Flow4::daddr) != address, other);
    auto port = b.let<be16>("port", flow(&Flow4::dport));
    b.jump_if(fresh.forward(&Flow4::dport) != port, other);
    port = flow(&Flow4::sport);
    b.jump_if(fresh.forward(&Flow4::sport) != port, other);
}

// Both directions live and die together: a reply entry without its forward entry goes, if this packet made
// it.
void remove_own_reply(Dsl& b, const Maps& maps, const NewFlowFrame& fresh)
{
    const Label others = b.label("not our reply entry");
    b.jump_if(fresh.inserted() == u64{0}, others);
    b.remove(maps.flows, fresh.reply_key);
    b.bind(others);
}

// A reply entry that was there already is a leftover of an ended connection, whose flags would end this one,
// or another CPU's, which may have taken it out again.
void renew_reply(Dsl& b, const Maps& maps, const Frame& frame, const NewFlowFrame& fresh, Ways& ways)
{
    const Label ours = b.label("our reply entry");
    b.jump_if(fresh.inserted() != u64{0}, ours);
    b.note("renew the reply entry that was there");
    auto result = b.update(maps.flows, fresh.reply_key, fresh.reply, UpdateFlag::any);
    b.jump_if(result == 0, ours);
    result.release();
    b.remove(maps.flows, frame.key);
    b.jump(ways.to(Reason::table_full));
    b.bind(ours);
}

void count_connection(Dsl& b, const Maps& maps, const Frame& frame)
{
    const Label counted = b.label("counted");
    auto row = b.lookup_brief(maps.counters, frame.index, counted);
    row(&model::TargetCounters::connections).add(1);
    row.release();
    b.bind(counted);
}

// Tells user space of the connection; what finds no room in the ring buffer is counted.
void announce(Dsl& b, const Maps& maps, const Frame& frame, const NewFlowFrame& fresh)
{
    using model::FlowOpened4;
    b.note("tell of the new connection");
    const auto event = b.stack<FlowOpened4>("event");
    event(&FlowOpened4::saddr) = frame.key(&FlowKey4::saddr);
    event(&FlowOpened4::daddr) = frame.key(&FlowKey4::daddr);
    event(&FlowOpened4::sport) = frame.key(&FlowKey4::sport);
    event(&FlowOpened4::dport) = frame.key(&FlowKey4::dport);
    event(&FlowOpened4::protocol) = frame.key(&FlowKey4::protocol);
    event(&FlowOpened4::zero8) = u8{0};
    event(&FlowOpened4::zero16) = u16{0};
    event(&FlowOpened4::proxy) = fresh.forward(&Flow4::proxy);
    event(&FlowOpened4::target) = fresh.forward(&Flow4::target);
    const Label told = b.label("told");
    {
        auto result =
            b.call<i64>(Helper::ringbuf_output, {*maps.events, event, u32{sizeof(FlowOpened4)}, 0}, "result");
        b.jump_if(result == 0, told);
    }
    frame.index() = 0;
    auto lost = b.lookup_brief(*maps.events_lost, frame.index, told);
    lost.value().add(1);
    lost.release();
    b.bind(told);
}

} // namespace

template <class L4>
void insert_flow(Dsl& b, const Maps& maps, const Frame& frame, const NewFlowFrame& fresh,
                 const Headers<L4>& headers, View<TargetRow> row, const View<Flow4>& flow, Ways& ways,
                 Label raced)
{
    fill_entries(b, frame, fresh, headers, row);
    row.release();
    stamp_entries(b, fresh);
    store_address_delta(b, frame, fresh);
    const Label replies = b.label("replies find it"), made = b.label("made"), undo = b.label("undo"),
                full = b.label("full");
    insert_reply(b, maps, frame, fresh, ways, replies);

    b.note("insert the forward entry");
    {
        auto result = b.update(maps.flows, frame.key, fresh.forward, UpdateFlag::no_exist);
        b.jump_if(result == 0, made);
        fresh.result().store(result.reg());
    }
    b.jump_if(fresh.result() != already_there, full);
    b.note("another CPU has made it meanwhile: its choice counts");
    b.lookup_to(flow, maps.flows, frame.key, full);
    compare_translation(b, fresh, flow, undo);
    b.jump(raced);
    b.bind(undo);
    remove_own_reply(b, maps, fresh);
    b.jump(raced);
    b.bind(full);
    remove_own_reply(b, maps, fresh);
    b.jump(ways.to(Reason::table_full));

    b.bind(made);
    renew_reply(b, maps, frame, fresh, ways);
    count_connection(b, maps, frame);
    if (maps.events) announce(b, maps, frame, fresh);
    b.point(flow, fresh.forward);
}
template void insert_flow(Dsl&, const Maps&, const Frame&, const NewFlowFrame&, const Headers<wire::Tcp>&,
                          View<TargetRow>, const View<Flow4>&, Ways&, Label);
template void insert_flow(Dsl&, const Maps&, const Frame&, const NewFlowFrame&, const Headers<wire::Udp>&,
                          View<TargetRow>, const View<Flow4>&, Ways&, Label);

} // namespace lb::datapath
