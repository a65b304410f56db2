#include "datapath/full_nat.hpp"

#include <cstddef>

namespace lb::datapath {

using namespace bpf;
using model::Direction;
using model::Reason;
using model::SourceRow;
using model::TargetRow;

namespace {

// What makes a port of a random number (RFC 6056, 3.3.1) and steps on from it (Knuth's MMIX generator). Ports
// that are tried one after the other have nothing to do with each other: of a range that is nearly used up,
// neighbours would all be taken.
constexpr u64 step_multiplier = 6364136223846793005, step_increment = 1442695040888963407;

// Which of the pool, by bits of the hash; without a pool, the target's own.
template <class F>
StackVar<u32> source_index(Dsl& b, const model::Plan& plan, const Frame<F>& frame,
                           const NewFlowFrame<F>& fresh)
{
    if (plan.settings.full_nat.addresses.empty()) return frame.index;
    const auto index = b.local<u32>("source");
    auto at = b.let<u64>("source", fresh.hash());
    at &= 0xffff;
    at *= u64{plan.full_nat_pool(F::back_family).size()};
    at >>= 16;
    if constexpr (F::back_family == model::Family::ipv6)
        at += u64{plan.full_nat_pool(model::Family::ipv4).size()};
    index().store(at.reg());
    return index;
}

} // namespace

template <class F>
void set_reply_direction(Dsl& b, const model::Plan& plan, const NewFlowFrame<F>& fresh,
                         const View<TargetRow>& row)
{
    const auto direction = fresh.reply(&F::Flow::direction);
    if constexpr (F::across) {
        direction = Direction::reply_here;
        return;
    }
    if (!plan.translates_replies_early(F::family)) {
        direction = Direction::reply;
        return;
    }
    auto number = b.let<u64>("direction", row(&TargetRow::replies));
    number += u64{static_cast<u8>(Direction::reply)};
    direction.store(number.reg());
}

template <class F>
void take_source(Dsl& b, const model::Plan& plan, const Maps& maps, const Frame<F>& frame,
                 const NewFlowFrame<F>& fresh, Ways& ways)
{
    const Builder::StackScope scope(b);
    const Label taken = b.label("source taken");
    b.note("full NAT: the source is one of lb's own addresses");
    skip_unless_full_nat(b, plan, fresh, taken);
    const auto index = source_index(b, plan, frame, fresh);
    {
        auto row = b.lookup_brief(*maps.nat_sources, index, ways.to(Reason::internal));
        b.jump_if(row(&SourceRow::known) == u32{0}, ways.refuse(Reason::no_source_address, fresh.proxy));
        copy_address(fresh.forward(&F::Flow::saddr), row(F::nat_source));
        copy_address(fresh.reply_key(&F::BackKey::daddr), row(F::nat_source));
    }
    b.note("nobody is to know the port beforehand");
    fresh.hash().store(b.call<u64>(Helper::get_prandom_u32, {}, "random").reg());
    draw_port(b, plan, fresh);
    b.bind(taken);
}

template <class F> void draw_port(Dsl& b, const model::Plan& plan, const NewFlowFrame<F>& fresh)
{
    const model::FullNatConfig& pool = plan.settings.full_nat;
    auto state = b.let<u64>("state", fresh.hash());
    {
        auto part = b.let<u64>("part", step_multiplier);
        state *= part.value();
        part = step_increment;
        state += part.value();
    }
    fresh.hash() = state;
    state >>= 32;
    const u64 ports = u64{pool.port_last} - pool.port_first + 1;
    if (plan.shares_ports(F::back_family)) {
        // Toward IPv4 targets, replies of connections from either family are in a table of their own. Each
        // family has every other port, so that no two of them look the same to a target.
        state *= ports / 2;
        state >>= 32;
        state <<= 1;
        state += u64{pool.port_first} + (F::across ? 1 : 0);
    } else {
        state *= ports;
        state >>= 32;
        state += u64{pool.port_first};
    }
    fresh.reply_key(&F::BackKey::dport) = b.to_network16(std::move(state));
}

template <class F, class L4>
void skip_host_socket(Dsl& b, const StackVar<u64>& context, const NewFlowFrame<F>& fresh, Label taken)
{
    using Key = typename F::BackKey;
    // struct bpf_sock_tuple is what the key begins with: the tuple of a packet to the socket.
    constexpr u32 tuple_bytes = offsetof(Key, protocol);
    static_assert(tuple_bytes == 2 * sizeof(Key::saddr) + 2 * sizeof(be16));
    constexpr i64 same_namespace = -1; // BPF_F_CURRENT_NETNS
    constexpr auto lookup = std::is_same_v<L4, wire::Tcp> ? Helper::skc_lookup_tcp : Helper::sk_lookup_udp;
    const Label none = b.label("no socket's");
    b.note("is it a port of the host's own sockets?");
    auto ctx = b.let<u64>("ctx", context());
    auto socket =
        b.call<u64>(lookup, {std::move(ctx), fresh.reply_key, tuple_bytes, same_namespace, 0}, "socket");
    b.jump_if(socket == u64{0}, none);
    b.call(Helper::sk_release, {std::move(socket)});
    b.jump(taken);
    b.bind(none);
}

template <class F>
void skip_unless_full_nat(Dsl& b, const model::Plan& plan, const NewFlowFrame<F>& fresh, Label otherwise)
{
    if (!F::across && plan.has(model::ForwardingMode::nat))
        b.jump_if(fresh.reply(&F::Flow::direction) != Direction::reply_here, otherwise);
}

#define LB_INSTANTIATE(F)                                                                                    \
    template void set_reply_direction(Dsl&, const model::Plan&, const NewFlowFrame<F>&,                      \
                                      const View<TargetRow>&);                                               \
    template void take_source(Dsl&, const model::Plan&, const Maps&, const Frame<F>&,                        \
                              const NewFlowFrame<F>&, Ways&);                                                \
    template void draw_port(Dsl&, const model::Plan&, const NewFlowFrame<F>&);                               \
    template void skip_host_socket<F, wire::Tcp>(Dsl&, const StackVar<u64>&, const NewFlowFrame<F>&, Label); \
    template void skip_host_socket<F, wire::Udp>(Dsl&, const StackVar<u64>&, const NewFlowFrame<F>&, Label); \
    template void skip_unless_full_nat(Dsl&, const model::Plan&, const NewFlowFrame<F>&, Label);
LB_INSTANTIATE(V4)
LB_INSTANTIATE(V6)
LB_INSTANTIATE(V4To6)
LB_INSTANTIATE(V6To4)
#undef LB_INSTANTIATE

} // namespace lb::datapath
