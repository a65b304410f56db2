#include "model/flow_state.hpp"

#include <algorithm>

#include "lb/base/wire.hpp"

namespace lb::model {

Timeouts Timeouts::from(const Settings& settings)
{
    Timeouts timeouts;
    const TimeoutsConfig& written = settings.timeouts;
    const auto established = timeouts.established = settings.connection_timeout;
    timeouts.half_open = written.tcp_half_open.value_or(std::min(timeouts.half_open, established));
    timeouts.closing = written.tcp_closing.value_or(std::min(timeouts.closing, established));
    timeouts.closed = written.tcp_closed.value_or(std::min(timeouts.closed, established));
    timeouts.udp = written.udp.value_or(std::min(timeouts.udp, established));
    timeouts.udp_one_way =
        written.udp_one_way.value_or(std::min({timeouts.udp_one_way, timeouts.udp, established}));
    return timeouts;
}

std::chrono::seconds Timeouts::of(FlowState state) const
{
    switch (state) {
    case FlowState::half_open:
        return half_open;
    case FlowState::closing:
        return closing;
    case FlowState::closed:
        return closed;
    case FlowState::udp:
        return udp;
    case FlowState::udp_one_way:
        return udp_one_way;
    case FlowState::established:
        break;
    }
    return established;
}

template <class A, class E>
FlowState state_of(const FlowKey<A>& key, const Flow<E>& forward, const Flow<E>* reply)
{
    // Where replies do not come here, the client's second packet has to do.
    const bool silent = forward.carried != 0 && forward.carried != carried_across;
    const bool both_ways = silent ? forward.packets > 1 : reply && reply->packets > 0;
    if (key.protocol != wire::protocol_tcp) return both_ways ? FlowState::udp : FlowState::udp_one_way;
    const u8 back = reply ? reply->tcp_flags : u8{0};
    const u8 either = forward.tcp_flags | back, both = forward.tcp_flags & back;
    if (either & wire::tcp_rst || both & wire::tcp_fin) return FlowState::closed;
    if (either & wire::tcp_fin) return FlowState::closing;
    const bool answered = both_ways || (!silent && !reply); // of a lost entry nobody knows
    if (!answered || !(forward.tcp_flags & wire::tcp_ack)) return FlowState::half_open;
    return FlowState::established;
}

namespace {

template <class To, class From> To convert(const From& address)
{
    if constexpr (std::is_same_v<To, From>)
        return address;
    else // RFC 4291, 2.5.5.2
        return be32(static_cast<u32>(address.low.host()));
}

} // namespace

template <class K, class A> K other_key(u8 protocol, const Flow<A>& entry)
{
    using Address = decltype(K::saddr);
    return {.saddr = convert<Address>(entry.daddr),
            .daddr = convert<Address>(entry.saddr),
            .sport = entry.dport,
            .dport = entry.sport,
            .protocol = protocol};
}

IpAddress address_in(const Flow4&, be32 address) { return IpAddress::from(address); }

IpAddress address_in(const Flow6& entry, const Address6& address)
{
    constexpr u64 mapped = 0xffff;
    if (entry.carried == carried_across && address.high.host() == 0 && address.low.host() >> 32 == mapped)
        return IpAddress::from(convert<be32>(address));
    return IpAddress::from(address);
}

template FlowState state_of(const FlowKey4&, const Flow4&, const Flow4*);
template FlowState state_of(const FlowKey6&, const Flow6&, const Flow6*);
template FlowState state_of(const FlowKey4&, const Flow6&, const Flow6*);
template FlowKey4 other_key(u8, const Flow4&);
template FlowKey6 other_key(u8, const Flow6&);
template FlowKey4 other_key(u8, const Flow6&);

} // namespace lb::model
