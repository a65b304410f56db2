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

template <class A>
Ended describe(const FlowKey<A>& key, const Flow<A>& forward, const Flow<A>* reply, model::FlowState state)
{
    Ended ended{.protocol = key.protocol,
                .client = {IpAddress::from(key.saddr), key.sport.host()},
                .listener = {IpAddress::from(key.daddr), key.dport.host()},
                .target = {IpAddress::from(forward.daddr), forward.dport.host()},
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

template <class A> class Pass {
public:
    using Key = FlowKey<A>;
    using Entry = Flow<A>;

    Pass(const kernel::Map& flows, u32 now, u32 per_second, const model::Timeouts& timeouts,
         const std::function<void(const Ended&)>& each, LiveCounts* live)
        : flows_(flows),
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
    Result<std::optional<Ended>> expired(const Key& key, const Entry& forward) const;
    Result<bool> unchanged(const Key& key, const Entry& entry) const;
    Result<void> remove(const Key& key, const Entry& forward, const Ended& ended);

    const kernel::Map& flows_;
    u32 now_;
    u32 per_second_;
    const model::Timeouts& timeouts_;
    const std::function<void(const Ended&)>& each_;
    LiveCounts* live_;
    std::chrono::seconds shortest_{};
    Collected result_ = {};
};

// By both entries: a download is alive although its client only listens.
template <class A> Result<std::optional<Ended>> Pass<A>::expired(const Key& key, const Entry& forward) const
{
    const auto reply = flows_.template lookup<Key, Entry>(model::reply_key(key, forward));
    if (!reply) return std::unexpected(reply.error());
    const Entry* back = *reply ? &**reply : nullptr;
    const auto state = model::state_of(key, forward, back);
    const auto limit = timeouts_.of(state);
    if (!idle_for(forward.last_seen, limit) || (back && !idle_for(back->last_seen, limit)))
        return std::optional<Ended>{};
    return describe(key, forward, back, state);
}

// Whether the table still has the entry as it was read. The batch may be old by now, and a connection that
// has just spoken, or has just begun, stays.
template <class A> Result<bool> Pass<A>::unchanged(const Key& key, const Entry& entry) const
{
    const auto now = flows_.template lookup<Key, Entry>(key);
    if (!now) return std::unexpected(now.error());
    return *now && (*now)->last_seen == entry.last_seen;
}

// The reply entry first. A packet between the two removals then still finds the forward entry, and the next
// one makes both anew; the other way round it would make a forward entry whose reply entry goes after all.
template <class A> Result<void> Pass<A>::remove(const Key& key, const Entry& forward, const Ended& ended)
{
    for (const auto& each : {model::reply_key(key, forward), key})
        if (auto removed = flows_.remove(each); !removed) return std::unexpected(removed.error());
    ++result_.removed;
    --result_.connections;
    if (live_) live_->remove(forward);
    if (each_) each_(ended);
    return {};
}

template <class A> Result<void> Pass<A>::look_at(const Key& key, const Entry& entry)
{
    if (entry.direction == Direction::forward) {
        ++result_.connections;
        if (live_) live_->see(entry);
    }
    if (!idle_for(entry.last_seen, shortest_)) return {};
    if (entry.direction != Direction::forward) {
        // Its forward entry speaks for both; without one, this is left over.
        const auto forward_key = model::forward_key(key, entry);
        const auto forward = flows_.template lookup<Key, Entry>(forward_key);
        if (!forward) return std::unexpected(forward.error());
        if (*forward && model::reply_key(forward_key, **forward) == key) return {};
        const auto same = unchanged(key, entry);
        if (!same) return std::unexpected(same.error());
        if (!*same) return {};
        if (auto removed = flows_.remove(key); !removed) return std::unexpected(removed.error());
        return {};
    }
    const auto old = expired(key, entry);
    if (!old) return std::unexpected(old.error());
    if (!*old) return {};
    const auto same = unchanged(key, entry);
    if (!same) return std::unexpected(same.error());
    if (!*same) return {};
    return remove(key, entry, **old);
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

template <class A>
Result<Collected> collect(const kernel::Map& flows, const JiffiesClock& clock,
                          const model::Timeouts& timeouts, const std::function<void(const Ended&)>& each,
                          LiveCounts* live)
{
    const auto now = clock.now();
    if (!now) return std::unexpected(now.error());
    Pass<A> pass(flows, *now, clock.per_second(), timeouts, each, live);
    kernel::BatchReader reader(flows);
    for (;;) {
        const auto count = reader.next();
        if (!count) return std::unexpected(count.error());
        if (*count == 0) return pass.result();
        for (u32 i = 0; i < *count; ++i)
            if (auto done = pass.look_at(reader.key_as<FlowKey<A>>(i), reader.value_as<Flow<A>>(i)); !done)
                return std::unexpected(done.error());
    }
}

template Result<Collected> collect<be32>(const kernel::Map&, const JiffiesClock&, const model::Timeouts&,
                                         const std::function<void(const Ended&)>&, LiveCounts*);
template Result<Collected> collect<model::Address6>(const kernel::Map&, const JiffiesClock&,
                                                    const model::Timeouts&,
                                                    const std::function<void(const Ended&)>&, LiveCounts*);

} // namespace lb::runtime
