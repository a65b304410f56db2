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

template <class A> FlowState state_of(const FlowKey<A>& key, const Flow<A>& forward, const Flow<A>* reply)
{
    const bool carried = forward.direction == Direction::carried;
    if (key.protocol != wire::protocol_tcp)
        return (carried ? forward.packets > 1 : reply && reply->packets > 0) ? FlowState::udp
                                                                             : FlowState::udp_one_way;
    const u8 back = reply ? reply->tcp_flags : u8{0};
    const u8 either = forward.tcp_flags | back, both = forward.tcp_flags & back;
    if (either & wire::tcp_rst || both & wire::tcp_fin) return FlowState::closed;
    if (either & wire::tcp_fin) return FlowState::closing;
    if (!(forward.tcp_flags & wire::tcp_ack)) return FlowState::half_open;
    return FlowState::established;
}

template <class A> FlowKey<A> reply_key(const FlowKey<A>& key, const Flow<A>& forward)
{
    return {.saddr = forward.daddr,
            .daddr = forward.saddr,
            .sport = forward.dport,
            .dport = forward.sport,
            .protocol = key.protocol};
}

template <class A> FlowKey<A> forward_key(const FlowKey<A>& key, const Flow<A>& reply)
{
    return {.saddr = reply.daddr,
            .daddr = reply.saddr,
            .sport = reply.dport,
            .dport = reply.sport,
            .protocol = key.protocol};
}

template FlowState state_of(const FlowKey4&, const Flow4&, const Flow4*);
template FlowState state_of(const FlowKey6&, const Flow6&, const Flow6*);
template FlowKey4 reply_key(const FlowKey4&, const Flow4&);
template FlowKey6 reply_key(const FlowKey6&, const Flow6&);
template FlowKey4 forward_key(const FlowKey4&, const Flow4&);
template FlowKey6 forward_key(const FlowKey6&, const Flow6&);

} // namespace lb::model
