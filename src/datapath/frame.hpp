// The stack frame of the programs: what several stages share, each part named once. 512 bytes are all there
// is.
#pragma once

#include "datapath/maps.hpp"
#include "lb/asm/dsl.hpp"
#include "lb/base/wire.hpp"

namespace lb::datapath {

/// The headers of the packet at hand. TCP and UDP both begin with their ports; L4 is wire::Tcp or wire::Udp.
template <class L4> struct Headers {
    bpf::View<wire::Ipv4> ip;
    bpf::View<L4> l4;
};

template <class L4>
inline constexpr u8 protocol_number = std::is_same_v<L4, wire::Tcp> ? wire::protocol_tcp : wire::protocol_udp;

struct Frame {
    explicit Frame(bpf::Dsl& b) : key(b.stack<model::FlowKey4>("key")), index(b.local<u32>("index")) {}
    bpf::StackView<model::FlowKey4> key; ///< the packet's own tuple
    bpf::StackVar<u32> index;            ///< key of array lookups
};

/// What only the first packet of a connection needs.
struct NewFlowFrame {
    explicit NewFlowFrame(bpf::Dsl& b)
        : reply_key(b.stack<model::FlowKey4>("reply key")),
          forward(b.stack<model::Flow4>("forward entry")),
          reply(b.stack<model::Flow4>("reply entry")),
          route(b.stack<model::RouteKey4>("route key")),
          address(b.local<be32>("address")),
          group(b.local<u32>("group")),
          hash(b.local<u64>("hash")),
          inserted(b.local<u64>("inserted")),
          result(b.local<i32>("result"))
    {}
    bpf::StackView<model::FlowKey4> reply_key;
    bpf::StackView<model::Flow4> forward;
    bpf::StackView<model::Flow4> reply;
    bpf::StackView<model::RouteKey4> route;
    bpf::StackVar<be32> address; ///< key of the own-address lookup
    bpf::StackVar<u32> group;
    bpf::StackVar<u64> hash;
    bpf::StackVar<u64> inserted; ///< whether the reply entry is this packet's own
    bpf::StackVar<i32> result;   ///< of the forward entry's insertion
};

} // namespace lb::datapath
