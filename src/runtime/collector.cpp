#include "runtime/collector.hpp"

#include <time.h>

#include <algorithm>

#include "datapath/generate.hpp"
#include "kernel/map_batch.hpp"

namespace lb::runtime {

using model::Direction;
using model::Flow;
using model::FlowKey;

namespace {

// How long ago, in jiffies. A packet that came after `now` was read is not old.
u32 age(u32 now, u64 last_seen)
{
    const u32 difference = now - static_cast<u32>(last_seen & 0xffffffff);
    return difference > 0x80000000u ? 0 : difference;
}

template <class A, class E>
Ended describe(const FlowKey<A>& key, const Flow<E>& forward, const Flow<E>* reply, model::FlowState state)
{
    Ended ended{.protocol = key.protocol,
                .client = {IpAddress::from(key.saddr), key.sport.host()},
                .listener = {IpAddress::from(key.daddr), key.dport.host()},
                .target = {model::address_in(forward, forward.daddr), forward.dport.host()},
                .proxy = forward.proxy,
                .target_id = forward.target,
                .forward_packets = forward.packets,
                .forward_bytes = forward.bytes,
                .created = forward.created,
                .last_seen = forward.last_seen,
                .state = state};
    if (reply) {
        ended.reply_packets = reply->packets;
        ended.reply_bytes = reply->bytes;
        ended.last_seen = std::max(forward.last_seen, reply->last_seen);
    }
    return ended;
}

// Where a packet has made the entry anew meanwhile, that one counts.
template <class K, class Entry> void put_back(const kernel::Map& map, const K& key, const Entry& entry)
{
    (void)map.update(key, entry, kernel::Update::only_new);
}

/// One table's pass. A: of its keys; E: of its entries.
template <class A, class E> class Pass {
public:
    using Key = FlowKey<A>;
    using Entry = Flow<E>;
    /// A connection that has been idle for too long, as it was read.
    struct Old {
        Entry forward = {};
        std::optional<Entry> reply = {};
        Ended ended = {};
    };

    Pass(const kernel::Map& flows, const kernel::Map* across, u32 now, u32 per_second,
         const model::Timeouts& timeouts, const std::function<void(const Ended&)>& each, LiveCounts* live)
        : flows_(flows),
          across_(across),
          now_(now),
          per_second_(per_second),
          timeouts_(timeouts),
          each_(each),
          live_(live)
    {
        shortest_ = std::ranges::min({timeouts.established, timeouts.half_open, timeouts.closing,
                                      timeouts.closed, timeouts.udp, timeouts.udp_one_way});
    }
    Result<void> look_at(const Key& key, const Entry& entry);
    const Collected& result() const { return result_; }

private:
    bool idle_for(u64 last_seen, std::chrono::seconds limit) const
    {
        return age(now_, last_seen) > static_cast<u64>(limit.count()) * per_second_;
    }
    template <class Use> auto with_pair(const Key& key, const Entry& entry, const Use& use) const;
    Result<std::optional<Entry>> pair_of(const Key& key, const Entry& entry) const;
    Result<bool> take_pair(const Key& key, const Old& old) const;
    void put_back_pair(const Key& key, const Old& old) const;
    Result<std::optional<Old>> expired(const Key& key, const Entry& forward) const;
    Result<bool> unchanged(const Key& key, const Entry& entry) const;
    template <class K> static Result<bool> take(const kernel::Map& map, const K& key, const Entry& entry);
    Result<void> remove(const Key& key, const Old& old);

    const kernel::Map& flows_;
    const kernel::Map* across_; ///< the table of the other family's entries; null: there are none
    u32 now_;
    u32 per_second_;
    const model::Timeouts& timeouts_;
    const std::function<void(const Ended&)>& each_;
    LiveCounts* live_;
    std::chrono::seconds shortest_{};
    Collected result_ = {};
};

// The table that has a connection's other entry, and the key by which.
template <class A, class E>
template <class Use>
auto Pass<A, E>::with_pair(const Key& key, const Entry& entry, const Use& use) const
{
    if constexpr (std::is_same_v<E, model::Address6>) {
        using Other = std::conditional_t<std::is_same_v<A, be32>, model::FlowKey6, model::FlowKey4>;
        if (entry.carried == model::carried_across)
            return use(across_, model::other_key<Other>(key.protocol, entry));
    }
    return use(&flows_, model::other_key<Key>(key.protocol, entry));
}

template <class A, class E>
Result<std::optional<Flow<E>>> Pass<A, E>::pair_of(const Key& key, const Entry& entry) const
{
    return with_pair(key, entry,
                     [&]<class K>(const kernel::Map* map, const K& other) -> Result<std::optional<Entry>> {
                         if (!map) return std::optional<Entry>{};
                         return map->template lookup<K, Entry>(other);
                     });
}

// Takes an entry out, and puts it back where it has been used since it was read: false then. It is missing
// for as long as two system calls take.
template <class A, class E>
template <class K>
Result<bool> Pass<A, E>::take(const kernel::Map& map, const K& key, const Entry& entry)
{
    const auto taken = map.take<K, Entry>(key);
    if (!taken) return std::unexpected(taken.error());
    if (!*taken || (*taken)->last_seen == entry.last_seen) return true;
    put_back(map, key, **taken);
    return false;
}

template <class A, class E> Result<bool> Pass<A, E>::take_pair(const Key& key, const Old& old) const
{
    return with_pair(key, old.forward, [&]<class K>(const kernel::Map* map, const K& other) -> Result<bool> {
        if (!map || !old.reply) return true;
        return take(*map, other, *old.reply);
    });
}

template <class A, class E> void Pass<A, E>::put_back_pair(const Key& key, const Old& old) const
{
    with_pair(key, old.forward, [&]<class K>(const kernel::Map* map, const K& other) {
        if (map && old.reply) put_back(*map, other, *old.reply);
    });
}

// By both entries: a download is alive although its client only listens.
template <class A, class E>
Result<std::optional<typename Pass<A, E>::Old>> Pass<A, E>::expired(const Key& key,
                                                                    const Entry& forward) const
{
    const auto reply = pair_of(key, forward);
    if (!reply) return std::unexpected(reply.error());
    const Entry* back = *reply ? &**reply : nullptr;
    const auto state = model::state_of(key, forward, back);
    const auto limit = timeouts_.of(state);
    if (!idle_for(forward.last_seen, limit) || (back && !idle_for(back->last_seen, limit)))
        return std::optional<Old>{};
    return Old{forward, *reply, describe(key, forward, back, state)};
}

// Whether the table still has the entry as it was read. The batch may be old by now, and a connection that
// has just spoken, or has just begun, stays.
template <class A, class E> Result<bool> Pass<A, E>::unchanged(const Key& key, const Entry& entry) const
{
    const auto now = flows_.template lookup<Key, Entry>(key);
    if (!now) return std::unexpected(now.error());
    return *now && (*now)->last_seen == entry.last_seen;
}

// The reply entry first. A packet between the two removals then still finds the forward entry, and the next
// one makes both anew; the other way round it would make a forward entry whose reply entry goes after all.
template <class A, class E> Result<void> Pass<A, E>::remove(const Key& key, const Old& old)
{
    const auto pair = take_pair(key, old);
    if (!pair) return std::unexpected(pair.error());
    if (!*pair) return {};
    const auto front = take(flows_, key, old.forward);
    if (!front) return std::unexpected(front.error());
    if (!*front) {
        put_back_pair(key, old);
        return {};
    }
    ++result_.removed;
    --result_.connections;
    if (live_) live_->remove(old.forward);
    if (each_) each_(old.ended);
    return {};
}

template <class A, class E> Result<void> Pass<A, E>::look_at(const Key& key, const Entry& entry)
{
    if (entry.direction == Direction::forward) {
        ++result_.connections;
        if (live_) live_->see(entry);
    }
    if (!idle_for(entry.last_seen, shortest_)) return {};
    if (entry.direction != Direction::forward) {
        // Its forward entry speaks for both; without one, this is left over.
        const auto forward = pair_of(key, entry);
        if (!forward) return std::unexpected(forward.error());
        if (*forward && model::other_key<Key>(key.protocol, **forward) == key) return {};
        if (auto taken = take(flows_, key, entry); !taken) return std::unexpected(taken.error());
        return {};
    }
    const auto old = expired(key, entry);
    if (!old) return std::unexpected(old.error());
    if (!*old) return {};
    const auto same = unchanged(key, entry);
    if (!same) return std::unexpected(same.error());
    if (!*same) return {};
    return remove(key, **old);
}

} // namespace

Result<JiffiesClock> JiffiesClock::create()
{
    const auto made = datapath::make_clock();
    if (!made) return fail(ErrorKind::failure, bpf::to_string(made.error()));
    auto loaded = kernel::Program::load(*made, {});
    if (!loaded) return std::unexpected(loaded.error().error);
    timespec tick{};
    // The coarse clocks' resolution is the tick (CLOCK_MONOTONIC_COARSE, clock_getres(2)).
    if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) != 0 || tick.tv_nsec == 0)
        return fail(ErrorKind::host_not_ready, "the kernel does not say how long its tick is");
    JiffiesClock clock;
    clock.program_ = std::move(*loaded);
    clock.per_second_ = static_cast<u32>(1'000'000'000 / tick.tv_nsec);
    return clock;
}

Result<u32> JiffiesClock::now() const
{
    static constexpr std::array<u8, 64> frame{};
    const auto run = program_.run(frame);
    if (!run) return std::unexpected(run.error());
    return run->retval;
}

template <class A, class E>
Result<Collected> collect(const kernel::Map& flows, const JiffiesClock& clock,
                          const model::Timeouts& timeouts, const std::function<void(const Ended&)>& each,
                          LiveCounts* live, const kernel::Map* across)
{
    const auto now = clock.now();
    if (!now) return std::unexpected(now.error());
    Pass<A, E> pass(flows, across, *now, clock.per_second(), timeouts, each, live);
    kernel::BatchReader reader(flows);
    for (;;) {
        const auto count = reader.next();
        if (!count) return std::unexpected(count.error());
        if (*count == 0) return pass.result();
        for (u32 i = 0; i < *count; ++i)
            if (auto done = pass.look_at(reader.key_as<FlowKey<A>>(i), reader.value_as<Flow<E>>(i)); !done)
                return std::unexpected(done.error());
    }
}

#define LB_INSTANTIATE(A, E)                                                                                 \
    template Result<Collected> collect<A, E>(                                                                \
        const kernel::Map&, const JiffiesClock&, const model::Timeouts&,                                     \
        const std::function<void(const Ended&)>&, LiveCounts*, const kernel::Map*);
LB_INSTANTIATE(be32, be32)
LB_INSTANTIATE(model::Address6, model::Address6)
LB_INSTANTIATE(be32, model::Address6)
#undef LB_INSTANTIATE

} // namespace lb::runtime
