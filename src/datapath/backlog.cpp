#include "datapath/backlog.hpp"

#include "datapath/flow.hpp"

namespace lb::datapath {

using namespace bpf;
using model::BacklogRow;
using model::Direction;

namespace {

// Whether replies of some connections do not come here.
template <class F> bool may_be_silent(const Maps& maps) { return !F::across && maps.carriers; }

/// The connection whose place, or port, is taken.
template <class F> struct Oldest {
    explicit Oldest(Dsl& b) : Oldest(b, b.stack<typename F::BackKey>("its reply key").range()) {}
    Oldest(Dsl& b, StackRange reply)
        : key(b.stack<typename F::Key>("oldest key")),
          reply_key(b, reply),
          place(b.local<u32>("place")),
          flags(b.local<u8>("its flags")),
          target(b.local<u32>("its target")),
          ended(b.local<u32>("its end")),
          packets(b.local<u64>("its packets"))
    {}
    StackView<typename F::Key> key;
    StackView<typename F::BackKey> reply_key;
    StackVar<u32> place;         ///< in the ring; then the family's row
    StackVar<u8> flags;          ///< TCP flags of its client
    StackVar<u32> target, ended; ///< as in Flow, where live connections are counted
    StackVar<u64> packets;       ///< of the client, where replies may not come here
};

template <class F>
void take_place(Dsl& b, const Maps& maps, const Frame<F>& frame, const Oldest<F>& oldest, Label end)
{
    b.note("the oldest place among the newest connections");
    const auto& ring = F::backlog(maps);
    oldest.place() = F::backlog_row;
    {
        auto row = b.lookup_brief(maps.backlog, oldest.place, end);
        auto begun = row(&BacklogRow::begun).fetch_add(1);
        row.release();
        begun &= u64{ring.max_entries - 1};
        oldest.place().store(begun.reg());
    }
    auto place = b.lookup_brief(ring, oldest.place, end);
    oldest.key.copy_from(place);
    place.copy_from(frame.key);
    place.release();
}

// What the table has of the connection; `goto end` where it is gone.
template <class F> void read_entry(Dsl& b, const Maps& maps, const Oldest<F>& oldest, Label end)
{
    using Key = typename F::BackKey;
    using Flow = typename F::Flow;
    auto flow = b.lookup_brief(F::flows(maps), oldest.key, end);
    b.jump_if(flow(&Flow::direction) != Direction::forward, end);
    make_other_key<F>(oldest.reply_key, flow, wire::protocol_tcp);
    oldest.reply_key(&Key::protocol) = oldest.key(&F::Key::protocol);
    oldest.flags() = flow(&Flow::tcp_flags);
    if (may_be_silent<F>(maps)) oldest.packets() = flow(&Flow::packets);
    if (!maps.live) return;
    oldest.target() = flow(&Flow::target);
    oldest.ended() = flow(&Flow::ended);
}

// Falls through where the connection is to go; `goto end` where it is established or gone.
template <class F> void judge(Dsl& b, const Maps& maps, const Oldest<F>& oldest, Label end)
{
    using Flow = typename F::Flow;
    b.note("is the connection that had it still half-open?");
    const Label half_open = b.label("half-open"), by_flags = b.label("by the client's flags"),
                silent = may_be_silent<F>(maps) ? b.label("no replies come here") : end;
    read_entry(b, maps, oldest, end);
    {
        auto reply = b.lookup_brief(F::back_flows(maps), oldest.reply_key, silent);
        b.jump_if(reply(&Flow::tcp_flags).has(wire::tcp_rst), half_open);
        b.jump_if(reply(&Flow::packets) == u64{0}, half_open);
    }
    b.jump_if(oldest.key(&F::Key::protocol) != wire::protocol_tcp, end);
    b.bind(by_flags);
    b.jump_if(oldest.flags().has(wire::tcp_rst), half_open);
    b.jump_if(oldest.flags().has(wire::tcp_ack), end);
    if (may_be_silent<F>(maps)) {
        b.jump(half_open);
        b.bind(silent);
        b.jump_if(oldest.packets() <= u64{1}, half_open);
        b.jump_if(oldest.key(&F::Key::protocol) != wire::protocol_tcp, end);
        b.jump(by_flags);
    }
    b.bind(half_open);
}

template <class F> void forget_live(Dsl& b, const Maps& maps, const Oldest<F>& oldest)
{
    if (!maps.live) return;
    const Label counted = b.label("no longer live");
    b.jump_if(oldest.ended() != u32{0}, counted);
    auto live = b.lookup_brief(*maps.live, oldest.target, counted);
    live.value().atomic_add(-1);
    live.release();
    b.bind(counted);
}

template <class F> void evict(Dsl& b, const Maps& maps, const Oldest<F>& oldest, Label end)
{
    b.note("then it goes");
    b.remove(F::back_flows(maps), oldest.reply_key);
    b.remove(F::flows(maps), oldest.key);
    forget_live(b, maps, oldest);
    oldest.place() = F::backlog_row;
    auto row = b.lookup_brief(maps.backlog, oldest.place, end);
    row(&BacklogRow::evicted).atomic_add(1);
    row.release();
}

} // namespace

template <class F> void evict_oldest(Dsl& b, const Maps& maps, const Frame<F>& frame)
{
    const Builder::StackScope scope(b);
    const Oldest<F> oldest(b);
    const Label end = b.label("place taken");
    take_place(b, maps, frame, oldest, end);
    judge(b, maps, oldest, end);
    evict(b, maps, oldest, end);
    b.bind(end);
}

template <class F>
void evict_by_reply(Dsl& b, const Maps& maps, const StackView<typename F::BackKey>& reply_key, Label stays)
{
    using Key = typename F::Key;
    using Flow = typename F::Flow;
    const Builder::StackScope scope(b);
    const Oldest<F> holder(b, reply_key.range());
    const Label end = b.label("evicted");
    b.note("whose port is it?");
    {
        auto reply = b.lookup_brief(F::back_flows(maps), reply_key, stays);
        b.jump_if(reply(&Flow::direction) != Direction::reply_here, stays);
        // A table of IPv6 packets has entries of connections within the family and of others.
        if (maps.across) {
            const auto carried = reply(&Flow::carried);
            b.jump_if(F::across ? carried != model::carried_across : carried == model::carried_across, stays);
        }
        copy_address(holder.key(&Key::saddr), reply(&Flow::daddr));
        copy_address(holder.key(&Key::daddr), reply(&Flow::saddr));
        holder.key(&Key::sport) = reply(&Flow::dport);
        holder.key(&Key::dport) = reply(&Flow::sport);
    }
    holder.key(&Key::protocol) = reply_key(&F::BackKey::protocol);
    holder.key(&Key::zero8) = u8{0};
    holder.key(&Key::zero16) = u16{0};
    judge(b, maps, holder, stays);
    evict(b, maps, holder, end);
    b.bind(end);
}

#define LB_INSTANTIATE(F)                                                                                    \
    template void evict_oldest(Dsl&, const Maps&, const Frame<F>&);                                          \
    template void evict_by_reply<F>(Dsl&, const Maps&, const StackView<F::BackKey>&, Label);
LB_INSTANTIATE(V4)
LB_INSTANTIATE(V6)
LB_INSTANTIATE(V4To6)
LB_INSTANTIATE(V6To4)
#undef LB_INSTANTIATE

} // namespace lb::datapath
