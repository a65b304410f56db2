#include "datapath/backlog.hpp"

#include "datapath/flow.hpp"

namespace lb::datapath {

using namespace bpf;
using model::BacklogRow;
using model::Direction;

namespace {

// Whether replies of some connections do not come here.
template <class F> bool may_be_silent(const Maps& maps) { return !F::across && maps.carriers; }

/// The connection whose place is taken.
template <class F> struct Oldest {
    explicit Oldest(Dsl& b)
        : key(b.stack<typename F::Key>("oldest key")),
          reply_key(b.stack<typename F::BackKey>("its reply key")),
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
        b.jump_if(oldest.key(&F::Key::protocol) == wire::protocol_tcp, by_flags);
        b.jump_if(oldest.packets() > u64{1}, end);
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

} // namespace

template <class F> void evict_oldest(Dsl& b, const Maps& maps, const Frame<F>& frame)
{
    const Builder::StackScope scope(b);
    const Oldest<F> oldest(b);
    const Label end = b.label("place taken");
    take_place(b, maps, frame, oldest, end);
    judge(b, maps, oldest, end);
    b.note("then it goes");
    b.remove(F::back_flows(maps), oldest.reply_key);
    b.remove(F::flows(maps), oldest.key);
    forget_live(b, maps, oldest);
    oldest.place() = F::backlog_row;
    auto row = b.lookup_brief(maps.backlog, oldest.place, end);
    row(&BacklogRow::evicted).atomic_add(1);
    row.release();
    b.bind(end);
}
template void evict_oldest(Dsl&, const Maps&, const Frame<V4>&);
template void evict_oldest(Dsl&, const Maps&, const Frame<V6>&);
template void evict_oldest(Dsl&, const Maps&, const Frame<V4To6>&);
template void evict_oldest(Dsl&, const Maps&, const Frame<V6To4>&);

} // namespace lb::datapath
