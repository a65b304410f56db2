// What the two entries of a connection say about it: its state, and how long it may be idle in it. Pure.
#pragma once

#include <chrono>

#include "model/config.hpp"
#include "model/layout.hpp"

namespace lb::model {

enum class FlowState { half_open, established, closing, closed, udp, udp_one_way };

struct Timeouts {
    std::chrono::seconds established{300};
    std::chrono::seconds half_open{30}, closing{60}, closed{10}, udp{60}, udp_one_way{30};

    /// What is written holds as it is, even where it is longer than an established connection's. What isn't
    /// is the default above, but no longer than an established connection's, and one-way UDP no longer than
    /// UDP.
    static Timeouts from(const Settings& settings);
    std::chrono::seconds of(FlowState state) const;
};

/// `reply` is null where the reply's entry is gone. TCP states follow RFC 9293 as far as flags alone tell: a
/// handshake is complete with the client's ACK, a connection closed with a FIN from both sides or a RST from
/// either. UDP is one-way until the target's first answer. Of a carried connection (direct server return)
/// only the client is seen: its FIN leaves it closing, and its second datagram stands for an answer.
template <class A> FlowState state_of(const FlowKey<A>& key, const Flow<A>& forward, const Flow<A>* reply);

/// The key by which the replies of this forward entry come.
template <class A> FlowKey<A> reply_key(const FlowKey<A>& key, const Flow<A>& forward);
/// The key of the forward entry that this reply entry belongs to.
template <class A> FlowKey<A> forward_key(const FlowKey<A>& key, const Flow<A>& reply);

} // namespace lb::model
