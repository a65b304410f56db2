#include "datapath/backlog.hpp"

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
          flags(b.local<u8>("its flags"))
    {}
    StackView<typename F::Key> key, reply_key;
    StackVar<u32> place; ///< in the ring; then the family's row
    StackVar<u8> flags;  ///< TCP flags of its client
};

template <class F>
void take_place(Dsl& b, const Maps& maps, const Frame<F>& frame, const Oldest<F>& oldest, Label end)
{
    b.note("the oldest place among the newest connections");
    const auto& ring = F::maps(maps).backlog;
    oldest.place() = family_row<F>;
    {
        auto row = b.lookup_brief(maps.backlog, oldest.place, end);
        auto begun = row(&BacklogRow::begun).fetch_add("begun", 1);
        row.release();
        begun &= u64{ring.max_entries - 1};
        oldest.place().store(begun.reg());
    }
    auto place = b.lookup_brief(ring, oldest.place, end);
    oldest.key.copy_from(place);
    place.copy_from(frame.key);
    place.release();
}

// Falls through where the connection is to go; `goto end` where it is established or gone.
template <class F> void judge(Dsl& b, const Maps& maps, const Oldest<F>& oldest, Label end)
{
    using Key = typename F::Key;
    using Flow = typename F::Flow;
    b.note("is the connection that had it still half-open?");
    const Label half_open = b.label("half-open");
    {
        auto flow = b.lookup_brief(F::maps(maps).flows, oldest.key, end);
        b.jump_if(flow(&Flow::direction) != Direction::forward, end);
        copy_address(oldest.reply_key(&Key::saddr), flow(&Flow::daddr));
        copy_address(oldest.reply_key(&Key::daddr), flow(&Flow::saddr));
        oldest.reply_key(&Key::sport) = flow(&Flow::dport);
        oldest.reply_key(&Key::dport) = flow(&Flow::sport);
        oldest.reply_key(&Key::protocol) = oldest.key(&Key::protocol);
        oldest.reply_key(&Key::zero8) = u8{0};
        oldest.reply_key(&Key::zero16) = u16{0};
        oldest.flags() = flow(&Flow::tcp_flags);
    }
    {
        auto reply = b.lookup_brief(F::maps(maps).flows, oldest.reply_key, end);
        b.jump_if(reply(&Flow::tcp_flags).has(wire::tcp_rst), half_open);
        b.jump_if(reply(&Flow::packets) == u64{0}, half_open);
    }
    b.jump_if(oldest.key(&Key::protocol) != wire::protocol_tcp, end);
    b.jump_if(oldest.flags().has(wire::tcp_rst), half_open);
    b.jump_if(oldest.flags().has(wire::tcp_ack), end);
    b.bind(half_open);
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
    oldest.place() = family_row<F>;
    auto row = b.lookup_brief(maps.backlog, oldest.place, end);
    row(&BacklogRow::evicted).atomic_add(1);
    row.release();
    b.bind(end);
}
template void evict_oldest(Dsl&, const Maps&, const Frame<V4>&);
template void evict_oldest(Dsl&, const Maps&, const Frame<V6>&);

} // namespace lb::datapath
