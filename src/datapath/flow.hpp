// The flow table as generated code uses it: find, touch, insert, remove. Nothing outside this file knows that
// it is the kernel's hash map.
#pragma once

#include "datapath/frame.hpp"
#include "datapath/ways.hpp"

namespace lb::datapath {

/// Emits the lookup of the packet's key into `flow`; `goto missing` where there is none.
template <class F>
void find_flow(bpf::Dsl& b, const Maps& maps, const Frame<F>& frame, const bpf::View<typename F::Flow>& flow,
               bpf::Label missing);

/// Emits the key of a connection's other entry: what its packets have in the other direction.
template <class F>
void make_other_key(const bpf::StackView<typename F::BackKey>& key, const bpf::View<typename F::Flow>& flow,
                    u8 protocol)
{
    using Key = typename F::BackKey;
    using Flow = typename F::Flow;
    copy_address(key(&Key::saddr), flow(&Flow::daddr));
    copy_address(key(&Key::daddr), flow(&Flow::saddr));
    key(&Key::sport) = flow(&Flow::dport);
    key(&Key::dport) = flow(&Flow::sport);
    key(&Key::protocol) = protocol;
    key(&Key::zero8) = u8{0};
    key(&Key::zero16) = u16{0};
}

/// Emits what every packet leaves in its entry: the time, a packet, its bytes and its TCP flags.
/// `bytes` emits their number into a scratch register.
template <class Flow, class L4, class Bytes>
void touch_flow(bpf::Dsl& b, const bpf::View<Flow>& flow, const bpf::View<L4>& l4, const Bytes& bytes)
{
    b.note("note time, packets and bytes in the entry");
    {
        auto now = b.call<u64>(bpf::Helper::jiffies64, {}, "now");
        flow(&Flow::last_seen) = now;
    }
    flow(&Flow::packets).atomic_add(1);
    flow(&Flow::bytes).atomic_add(bytes().value());
    if constexpr (std::is_same_v<L4, wire::Tcp>) {
        // Most packets bring no flag that was not there: then the line is not written for it.
        auto seen = b.let<u8>("seen flags", flow(&Flow::tcp_flags));
        auto all = b.let<u8>("all flags", l4(&wire::Tcp::flags));
        all |= seen.value();
        b.if_(all != seen, [&] { flow(&Flow::tcp_flags) = all; });
    }
}

/// Emits one packet and its bytes into the row of the entry's target, this CPU's copy.
template <class F, class Bytes>
void count_target(bpf::Dsl& b, const Maps& maps, const Frame<F>& frame,
                  const bpf::View<typename F::Flow>& flow, u64 model::TargetCounters::*packets,
                  u64 model::TargetCounters::*total, const Bytes& bytes)
{
    b.note("count for the target");
    const bpf::Label counted = b.label("counted");
    auto target = b.let<u32>("target", flow(&F::Flow::target));
    frame.index() = target;
    target.release();
    auto row = b.lookup_brief(maps.counters, frame.index, counted);
    row(packets).add(1);
    row(total).add(bytes().value());
    row.release();
    b.bind(counted);
}

/// Emits, for a SYN on a known tuple: a connection that has ended is forgotten (`goto missing`), another goes
/// on. A retransmitted SYN, or one of a client that has restarted, is the target's to answer.
template <class F>
void reopen_closed(bpf::Dsl& b, const Maps& maps, const Frame<F>& frame, const NewFlowFrame<F>& fresh,
                   const bpf::View<typename F::Flow>& flow, bpf::Label missing);

/// Emits both entries of a new connection to the target in `row` (whose id is in `frame.index`). Arrives
/// behind it with `flow` at the forward entry; goes to `raced` with `flow` at the entry that another CPU made
/// meanwhile. `context`: the program's, where the plan has full NAT.
template <class F, class L4>
void insert_flow(bpf::Dsl& b, const model::Plan& plan, const Maps& maps, const bpf::StackVar<u64>* context,
                 const Frame<F>& frame, const NewFlowFrame<F>& fresh, const Headers<F, L4>& headers,
                 bpf::View<model::TargetRow> row, const bpf::View<typename F::Flow>& flow, Ways& ways,
                 bpf::Label raced);

/// Emits what is done once for every connection that has been made: its target's count, and the event where
/// somebody listens. `fresh.forward` is its entry.
template <class F>
void tell_of_connection(bpf::Dsl& b, const Maps& maps, const Frame<F>& frame, const NewFlowFrame<F>& fresh);

/// Ports tried for a connection that looks to its target like another one: its own, and this many more.
inline constexpr u32 source_port_tries = 16;
/// And how many times more full NAT then looks for the port of a half-open connection.
inline constexpr u32 half_open_tries = 4;

} // namespace lb::datapath
