#include "datapath/backlog.hpp"

#include "datapath/flow.hpp"

namespace lb::datapath {

using namespace bpf;
using model::BacklogRow;
using model::Direction;

namespace {

template <class F> constexpr u32 family_row = F::family == model::Family::ipv4 ? 0 : 1;

/// The connection whose place is taken.
template <class F> struct Oldest {
    explicit Oldest(Dsl& b)
        : key(b.stack<typename F::Key>("oldest key")),
          reply_key(b.stack<typename F::Key>("its reply key")),
          place(b.local<u32>("place")),
          flags(b.local<u8>("its flags")),
          target(b.local<u32>("its target")),
          ended(b.local<u32>("its end"))
    {}
    StackView<typename F::Key> key, reply_key;
    StackVar<u32> place;         ///< in the ring; then the family's row
    StackVar<u8> flags;          ///< TCP flags of its client
    StackVar<u32> target, ended; ///< as in Flow, where live connections are counted
};

template <class F>
void take_place(Dsl& b, const Maps& maps, const Frame<F>& frame, const Oldest<F>& oldest, Label end)
{
    b.note("the oldest place among the newest connections");
    const auto& ring = F::maps(maps).backlog;
    oldest.place() = family_row<F>;
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

template <class F>
void copy_state(Dsl&, const Maps& maps, const Oldest<F>& oldest, const View<typename F::Flow>& flow)
{
    using Flow = typename F::Flow;
    oldest.flags() = flow(&Flow::tcp_flags);
    if (!maps.live) return;
    oldest.target() = flow(&Flow::target);
    oldest.ended() = flow(&Flow::ended);
}

// What the table has of the connection; `goto end` where it is gone. One that is carried is judged here, or
// by what its client has said.
template <class F>
void read_entry(Dsl& b, const Maps& maps, const Oldest<F>& oldest, Label half_open, Label by_client,
                Label end)
{
    using Key = typename F::Key;
    using Flow = typename F::Flow;
    auto flow = b.lookup_brief(F::maps(maps).flows, oldest.key, end);
    if (maps.carriers) {
        // What its target says is not seen; who has sent one packet only has not gone on.
        const Label two_entries = b.label("not carried");
        b.jump_if(flow(&Flow::direction) != Direction::carried, two_entries);
        oldest.reply_key.copy_from(oldest.key); // there is no other
        copy_state(b, maps, oldest, flow);
        b.jump_if(flow(&Flow::packets) == u64{1}, half_open);
        b.jump(by_client);
        b.bind(two_entries);
    }
    b.jump_if(flow(&Flow::direction) != Direction::forward, end);
    make_other_key<F>(oldest.reply_key, flow, wire::protocol_tcp);
    oldest.reply_key(&Key::protocol) = oldest.key(&Key::protocol);
    copy_state(b, maps, oldest, flow);
}

// Falls through where the connection is to go; `goto end` where it is established or gone.
template <class F> void judge(Dsl& b, const Maps& maps, const Oldest<F>& oldest, Label end)
{
    using Flow = typename F::Flow;
    b.note("is the connection that had it still half-open?");
    const Label half_open = b.label("half-open");
    const Label by_client = b.label("by its client");
    read_entry(b, maps, oldest, half_open, by_client, end);
    {
        auto reply = b.lookup_brief(F::maps(maps).flows, oldest.reply_key, end);
        b.jump_if(reply(&Flow::tcp_flags).has(wire::tcp_rst), half_open);
        b.jump_if(reply(&Flow::packets) == u64{0}, half_open);
    }
    b.bind(by_client);
    b.jump_if(oldest.key(&F::Key::protocol) != wire::protocol_tcp, end);
    b.jump_if(oldest.flags().has(wire::tcp_rst), half_open);
    b.jump_if(oldest.flags().has(wire::tcp_ack), end);
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
    b.remove(F::maps(maps).flows, oldest.reply_key);
    b.remove(F::maps(maps).flows, oldest.key);
    forget_live(b, maps, oldest);
    oldest.place() = family_row<F>;
    auto row = b.lookup_brief(maps.backlog, oldest.place, end);
    row(&BacklogRow::evicted).atomic_add(1);
    row.release();
    b.bind(end);
}
template void evict_oldest(Dsl&, const Maps&, const Frame<V4>&);
template void evict_oldest(Dsl&, const Maps&, const Frame<V6>&);

} // namespace lb::datapath
