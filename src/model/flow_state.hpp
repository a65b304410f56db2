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
template <class A, class E>
FlowState state_of(const FlowKey<A>& key, const Flow<E>& forward, const Flow<E>* reply);

/// The key of a connection's other entry, by what packets of this one become. K: of the other family, where
/// the entry is `carried_across`.
template <class K, class A> K other_key(u8 protocol, const Flow<A>& entry);

/// An address in an entry as it is on the wire: also IPv4 where the entry has IPv6 addresses only.
IpAddress address_in(const Flow4& entry, be32 address);
IpAddress address_in(const Flow6& entry, const Address6& address);

} // namespace lb::model
