#include "datapath/pick.hpp"

#include "model/flow_hash.hpp"

namespace lb::datapath {

using namespace bpf;
using model::FlowKey4;
using model::FlowKey6;
using model::Reason;

template <class F> void read_proxy(Dsl& b, const Maps& maps, const NewFlowFrame<F>& fresh, Ways& ways)
{
    b.note("the proxy's row");
    auto row = b.lookup_brief(*maps.proxies, fresh.proxy, ways.to(Reason::internal));
    fresh.group() = row(&model::ProxyRow::group);
    if (maps.limits) fresh.proxy() = row(&model::ProxyRow::id);
}
template void read_proxy(Dsl&, const Maps&, const NewFlowFrame<V4>&, Ways&);
template void read_proxy(Dsl&, const Maps&, const NewFlowFrame<V6>&, Ways&);

template <class F> void make_source_key(const Frame<F>& frame, const NewFlowFrame<F>& fresh)
{
    using Route = typename F::Route;
    fresh.route(&Route::prefix_length) = 32 + F::address_bits; // all bits of proxy id and address
    copy_address(fresh.route(&Route::address), frame.key(&F::Key::saddr));
}
template void make_source_key(const Frame<V4>&, const NewFlowFrame<V4>&);
template void make_source_key(const Frame<V6>&, const NewFlowFrame<V6>&);

template <class F>
void route_by_source(Dsl& b, const Maps& maps, const Frame<F>& frame, const NewFlowFrame<F>& fresh)
{
    b.note("source route: longest prefix of this proxy");
    const Label none = b.label("no source route");
    make_source_key(frame, fresh);
    auto route = b.lookup_brief(F::maps(maps).routes, fresh.route, none);
    fresh.group() = route.value();
    route.release();
    b.bind(none);
}
template void route_by_source(Dsl&, const Maps&, const Frame<V4>&, const NewFlowFrame<V4>&);
template void route_by_source(Dsl&, const Maps&, const Frame<V6>&, const NewFlowFrame<V6>&);

void hash_flow(Dsl& b, const Frame<V4>& frame, const NewFlowFrame<V4>& fresh)
{
    b.note("hash the tuple");
    auto hash = b.let_bits<u64>("hash", frame.key(&FlowKey4::saddr));
    auto part = b.let_bits<u64>("part", frame.key(&FlowKey4::sport));
    auto multiplier = b.let<u64>("multiplier", model::hash_multiplier_1);
    hash <<= 16;
    hash |= part.value();
    hash <<= 16;
    frame.key(&FlowKey4::dport).load_into(part.reg());
    hash |= part.value();
    hash *= multiplier.value();
    part = hash.value();
    part >>= 32;
    hash ^= part.value();
    frame.key(&FlowKey4::daddr).load_into(part.reg());
    part <<= 8;
    hash += part.value();
    hash += frame.key(&FlowKey4::protocol);
    multiplier = model::hash_multiplier_2;
    hash *= multiplier.value();
    part = hash.value();
    part >>= 29;
    hash ^= part.value();
    multiplier = model::hash_multiplier_3;
    hash *= multiplier.value();
    hash >>= 32;
    fresh.hash() = hash;
}

// hash *= multiplier; hash ^= hash >> shift
void mix(Dsl& b, Var<u64>& hash, u64 multiplier, u32 shift)
{
    {
        auto factor = b.let<u64>("multiplier", multiplier);
        hash *= factor.value();
    }
    auto high = b.let<u64>("high", hash);
    high >>= shift;
    hash ^= high.value();
}

void hash_flow(Dsl& b, const Frame<V6>& frame, const NewFlowFrame<V6>& fresh)
{
    using wire::Address6;
    b.note("hash the tuple");
    auto hash = b.let<u64>("hash", 0);
    for (const auto address : {&FlowKey6::saddr, &FlowKey6::daddr})
        for (const auto half : {&Address6::high, &Address6::low}) {
            {
                auto word = b.let_bits<u64>("word", frame.key(address)(half));
                hash += word.value();
            }
            mix(b, hash, model::hash_multiplier_1, 32);
        }
    {
        auto ports = b.let_bits<u64>("ports", frame.key(&FlowKey6::sport));
        ports <<= 16;
        auto part = b.let_bits<u64>("part", frame.key(&FlowKey6::dport));
        ports |= part.value();
        ports <<= 16;
        hash += ports.value();
        hash += frame.key(&FlowKey6::protocol);
    }
    mix(b, hash, model::hash_multiplier_2, 29);
    auto multiplier = b.let<u64>("multiplier", model::hash_multiplier_3);
    hash *= multiplier.value();
    hash >>= 32;
    fresh.hash() = hash;
}

template <class F>
void pick_target(Dsl& b, const Maps& maps, const Frame<F>& frame, const NewFlowFrame<F>& fresh, Ways& ways)
{
    b.note("slot of the group's table");
    auto group = b.lookup_brief(maps.groups, fresh.group, ways.to(Reason::internal));
    auto first = b.let<u64>("first", group(&model::GroupRow::word));
    group.release();
    b.jump_if(first == 0, ways.to(Reason::no_target));
    auto slot = b.let<u64>("slot", first);
    slot >>= 32;
    slot *= fresh.hash();
    slot >>= 32;
    slot += first.value(); // the low half of the sum is first + slot: the high half is not stored
    first.release();
    frame.index().store(slot.reg());
    slot.release();
    auto target = b.lookup_brief(maps.slots, frame.index, ways.to(Reason::internal));
    frame.index() = target.value();
    target.release();
}
template void pick_target(Dsl&, const Maps&, const Frame<V4>&, const NewFlowFrame<V4>&, Ways&);
template void pick_target(Dsl&, const Maps&, const Frame<V6>&, const NewFlowFrame<V6>&, Ways&);

template <class F>
View<model::TargetRow> read_target(Dsl& b, const Maps& maps, const Frame<F>& frame, Ways& ways)
{
    b.note("the target's row");
    return b.lookup_brief(maps.targets, frame.index, ways.to(Reason::internal));
}
template View<model::TargetRow> read_target(Dsl&, const Maps&, const Frame<V4>&, Ways&);
template View<model::TargetRow> read_target(Dsl&, const Maps&, const Frame<V6>&, Ways&);

} // namespace lb::datapath
