// The stack frame of the programs: what several stages share, each part named once. 512 bytes are all there
// is.
#pragma once

#include <optional>

#include "datapath/family.hpp"

namespace lb::datapath {

/// The headers of the packet at hand. TCP and UDP both begin with their ports; L4 is wire::Tcp or wire::Udp.
template <class F, class L4> struct Headers {
    bpf::View<typename F::Header> ip;
    bpf::View<L4> l4;
};

template <class L4>
inline constexpr u8 protocol_number = std::is_same_v<L4, wire::Tcp> ? wire::protocol_tcp : wire::protocol_udp;

template <class L4> inline constexpr auto protocol_of = static_cast<model::Protocol>(protocol_number<L4>);
/// What an update that may only add says where the key is there: -EEXIST.
inline constexpr i32 already_there = -17;

template <class F> struct Frame {
    explicit Frame(bpf::Dsl& b)
        : key(b.stack<typename F::Key>("key")),
          index(b.local<u32>("index")),
          fragment(b.local<u64>("fragment"))
    {}
    /// The same place for a stage that takes the packet as of another kind.
    template <class Other>
    requires(std::same_as<typename F::Key, typename Other::Key>) Frame(bpf::Dsl& b, const Frame<Other>& same)
        : key(b, same.key.range()),
          index(same.index),
          fragment(same.fragment)
    {}
    bpf::StackView<typename F::Key> key; ///< the packet's own tuple
    bpf::StackVar<u32> index;            ///< key of array lookups
    /// IPv6: 0, or the identification of a fragment with fragment_mark. IPv4 has it in its header.
    bpf::StackVar<u64> fragment;
};
inline constexpr u64 fragment_mark = 1ull << 32;

/// What only the first packet of a connection needs.
template <class F> struct NewFlowFrame {
    /// `entries`: memory for the two, one after the other; without, they get some.
    NewFlowFrame(bpf::Dsl& b, const model::Plan& plan, std::optional<bpf::StackRange> entries = {})
        : reply_key(b.stack<typename F::BackKey>("reply key")),
          forward(entries ? bpf::StackView<typename F::Flow>(b, *entries)
                          : b.stack<typename F::Flow>("forward entry")),
          reply(entries ? bpf::StackView<typename F::Flow>(
                              b, {entries->off + i32{sizeof(typename F::Flow)}, entries->size})
                        : b.stack<typename F::Flow>("reply entry")),
          route(b.stack<typename F::Route>("route key")),
          group(b.local<u32>("group")),
          hash(b.local<u64>("hash")),
          inserted(b.local<u64>("inserted")),
          result(b.local<i32>("result")),
          proxy(plan.has_features() || plan.proxies.size() > 1 ? b.local<u32>("proxy") : group)
    {
        if (plan.algorithms().size() > 1) algorithm = b.local<u32>("algorithm");
        if (plan.has_persistence()) session_ns = b.local<i64>("session time");
    }
    bpf::StackView<typename F::BackKey> reply_key;
    bpf::StackView<typename F::Flow> forward;
    bpf::StackView<typename F::Flow> reply;
    bpf::StackView<typename F::Route> route;
    bpf::StackVar<u32> group;
    bpf::StackVar<u64> hash;
    bpf::StackVar<u64> inserted; ///< whether the reply entry is this packet's own
    bpf::StackVar<i32> result;   ///< of the forward entry's insertion
    /// The proxy's id, where there are rows of it or several proxies.
    bpf::StackVar<u32> proxy;
    // Of the proxy's row. What the plan does not ask for takes no room.
    std::optional<bpf::StackVar<u32>> algorithm = {};  ///< where proxies differ in it
    std::optional<bpf::StackVar<i64>> session_ns = {}; ///< where some have session persistence
};

} // namespace lb::datapath
