#include "datapath/rate_limit.hpp"

#include <algorithm>
#include <string>

namespace lb::datapath {

using namespace bpf;
using model::Buckets;
using model::Limit;
using model::LimitsRow;
using model::RateRow;
using model::Reason;

namespace {

/// Where a limit is found, and what it is called where there is no token.
struct Kind {
    RateRow LimitsRow::*rate;
    u64 Buckets::*bucket;
    bool per_source;
    Reason refused;
};

Kind kind_of(Limit limit)
{
    switch (limit) {
    case Limit::source_connections:
        return {&LimitsRow::source_connections, &Buckets::connections, true, Reason::source_connection_rate};
    case Limit::source_packets:
        return {&LimitsRow::source_packets, &Buckets::packets, true, Reason::source_packet_rate};
    case Limit::target_connections:
        return {&LimitsRow::target_connections, &Buckets::connections, false, Reason::target_connection_rate};
    case Limit::target_packets:
        break;
    }
    return {&LimitsRow::target_packets, &Buckets::packets, false, Reason::target_packet_rate};
}

void copy_masked(Dsl& b, const Field<be32>& to, const Field<be32>& from, const View<LimitsRow>& row)
{
    auto network = b.let<be32>("network", from);
    network &= row(&LimitsRow::mask4);
    to = network;
}
void copy_masked(Dsl& b, const View<wire::Address6>& to, const View<wire::Address6>& from,
                 const View<LimitsRow>& row)
{
    for (const auto half : {&wire::Address6::high, &wire::Address6::low}) {
        auto network = b.let<be64>("network", from(half));
        network &= row(&LimitsRow::mask6)(half);
        to(half) = network;
    }
}

/// What every token of one packet needs, in the frame. Written for each limit that some proxy has, whether or
/// not this one does: states that differ in what is written are two to the verifier, all the way to the end.
template <class F> struct Asked {
    explicit Asked(Dsl& b)
        : now(b.local<u64>("now")),
          source(b.stack<typename F::Source>("source key")),
          full(b.stack<Buckets>("full buckets"))
    {}
    StackVar<u64> now; ///< as buckets count it
    StackView<typename F::Source> source;
    StackView<Buckets> full;
};

template <class F> void note_time(Dsl& b, const Asked<F>& asked)
{
    auto time = b.call<u64>(Helper::ktime_get_ns, {}, "time");
    time <<= model::rate_time_bits;
    asked.now() = time;
}

template <class F, class L4>
void note_source(const Limiter<F, L4>& limiter, const Asked<F>& asked, const View<LimitsRow>& row)
{
    using Source = typename F::Source;
    copy_masked(limiter.b, asked.source(&Source::address), limiter.frame.key(&F::Key::saddr), row);
    asked.source(&Source::proxy) = limiter.fresh.proxy();
    asked.source(&Source::zero32) = u32{0};
    asked.full.fill(0);
}

// The source's buckets, in r0; new ones are full. Goes to `none` where the kernel has no room for them.
template <class F> View<Buckets> source_buckets(Dsl& b, const Maps& maps, const Asked<F>& asked, Label none)
{
    const auto& map = *F::maps(maps).source_buckets;
    const Label missing = b.label("new source"), found = b.label("buckets found");
    b.lookup_brief(map, asked.source, missing).release();
    b.jump(found);
    b.bind(missing);
    b.update(map, asked.source, asked.full, UpdateFlag::no_exist).release(); // another CPU may have made them
    auto buckets = b.lookup_brief(map, asked.source, none);
    b.bind(found);
    return buckets;
}

// Takes one token; goes to `refused` where there is none. `buckets` is in r0, which the exchange needs.
void spend(Dsl& b, View<Buckets>&& buckets, u64 Buckets::*which, const View<RateRow>& rate,
           const StackVar<u64>& now, Label admitted, Label refused)
{
    const auto at = b.beside(std::move(buckets));
    auto full_at = b.let<u64>("full at", at(which));
    auto time = b.let<u64>("time", now());
    auto latest = b.let<u64>("latest", time);
    latest += rate(&RateRow::tolerance);
    for (u32 i = 0; i < bucket_tries; ++i) {
        const Label not_full = b.label("not full");
        auto next = b.let<u64>("next", full_at);
        b.jump_if(next >= time, not_full);
        next = time.value();
        b.bind(not_full);
        next += rate(&RateRow::interval);
        b.jump_if(next > latest, refused);
        auto seen = b.let<u64>("seen", full_at);
        at(which).compare_exchange(full_at, next);
        b.jump_if(full_at == seen, admitted);
    }
    at(which).atomic_add(rate(&RateRow::interval));
}

template <class F, class L4>
void take_token(const Limiter<F, L4>& limiter, const Asked<F>& asked, const View<LimitsRow>& row, Limit limit)
{
    Dsl& b = limiter.b;
    const Kind kind = kind_of(limit);
    const auto rate = row(kind.rate);
    b.note("a token of " + std::string(model::info(kind.refused).name));
    const Label admitted = b.label("admitted");
    b.jump_if(rate(&RateRow::interval) == u64{0}, admitted); // not this proxy's
    auto buckets = kind.per_source
                       ? source_buckets(b, limiter.maps, asked, admitted)
                       : b.lookup_brief(*limiter.maps.target_buckets, limiter.frame.index, admitted);
    spend(b, std::move(buckets), kind.bucket, rate, asked.now, admitted,
          limiter.ways.refuse(kind.refused, limiter.fresh.proxy));
    b.bind(admitted);
}

} // namespace

template <class F, class L4>
std::vector<Limit> Limiter<F, L4>::there(std::initializer_list<Limit> limits) const
{
    std::vector<Limit> found;
    for (const Limit limit : limits)
        if (plan.has(limit, F::family, protocol_of<L4>)) found.push_back(limit);
    return found;
}

template <class F, class L4>
void Limiter<F, L4>::take_each(const std::vector<Limit>& limits, const View<LimitsRow>& row) const
{
    const Builder::StackScope scope(b);
    const Asked<F> asked(b);
    note_time(b, asked);
    if (std::ranges::any_of(limits, [](Limit each) { return kind_of(each).per_source; }))
        note_source(*this, asked, row);
    for (const Limit limit : limits) take_token(*this, asked, row, limit);
}

template <class F, class L4> void Limiter<F, L4>::take(std::initializer_list<Limit> limits) const
{
    const auto found = there(limits);
    if (found.empty()) return;
    b.note("the proxy's rate limits");
    take_each(found, b.lookup(*maps.limits, fresh.proxy, ways.to(Reason::internal)));
}

template <class F, class L4> void Limiter<F, L4>::take_known(const View<typename F::Flow>& flow) const
{
    const auto found = there({Limit::source_packets, Limit::target_packets});
    if (found.empty()) return;
    b.note("the rate limits of the connection's proxy");
    const Label unlimited = b.label("unlimited");
    fresh.proxy() = flow(&F::Flow::proxy);
    frame.index() = flow(&F::Flow::target);
    // A connection of an earlier run may be of a proxy that is no more.
    const auto row = b.lookup(*maps.limits, fresh.proxy, unlimited);
    {
        auto any = b.let<u64>("any", 0);
        for (const Limit limit : found) any |= row(kind_of(limit).rate)(&RateRow::interval);
        b.jump_if(any == 0, unlimited);
    }
    take_each(found, row);
    b.bind(unlimited);
}

template struct Limiter<V4, wire::Tcp>;
template struct Limiter<V4, wire::Udp>;
template struct Limiter<V6, wire::Tcp>;
template struct Limiter<V6, wire::Udp>;
template struct Limiter<V4To6, wire::Tcp>;
template struct Limiter<V4To6, wire::Udp>;
template struct Limiter<V6To4, wire::Tcp>;
template struct Limiter<V6To4, wire::Udp>;

} // namespace lb::datapath
