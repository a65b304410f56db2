#include "datapath/pick.hpp"

#include "datapath/algorithm.hpp"
#include "datapath/hash.hpp"
#include "datapath/session.hpp"
#include "model/flow_hash.hpp"

namespace lb::datapath {

using namespace bpf;
using model::FlowKey4;
using model::FlowKey6;
using model::Reason;

template <class F> void read_proxy(Dsl& b, const Maps& maps, const NewFlowFrame<F>& fresh, Ways& ways)
{
    using model::ProxyRow;
    b.note("the proxy's row");
    auto row = b.lookup_brief(*maps.proxies, fresh.proxy, ways.to(Reason::internal));
    fresh.group() = row(&ProxyRow::group);
    if (fresh.algorithm) (*fresh.algorithm)() = b.let<u32>("algorithm", row(&ProxyRow::algorithm));
    if (fresh.session_ns) (*fresh.session_ns)() = row(&ProxyRow::session_ns);
    if (maps.limits || maps.refusals) fresh.proxy() = row(&ProxyRow::id);
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

void hash_flow(Dsl& b, const StackView<FlowKey4>& key, const StackVar<u64>& result)
{
    b.note("hash the tuple");
    auto hash = b.let_bits<u64>("hash", key(&FlowKey4::saddr));
    auto part = b.let_bits<u64>("part", key(&FlowKey4::sport));
    auto multiplier = b.let<u64>("multiplier", model::hash_multiplier_1);
    hash <<= 16;
    hash |= part.value();
    hash <<= 16;
    key(&FlowKey4::dport).load_into(part.reg());
    hash |= part.value();
    hash *= multiplier.value();
    part = hash.value();
    part >>= 32;
    hash ^= part.value();
    key(&FlowKey4::daddr).load_into(part.reg());
    part <<= 8;
    hash += part.value();
    hash += key(&FlowKey4::protocol);
    multiplier = model::hash_multiplier_2;
    hash *= multiplier.value();
    part = hash.value();
    part >>= 29;
    hash ^= part.value();
    multiplier = model::hash_multiplier_3;
    hash *= multiplier.value();
    hash >>= 32;
    result() = hash;
}

void hash_flow(Dsl& b, const StackView<FlowKey6>& key, const StackVar<u64>& result)
{
    using wire::Address6;
    b.note("hash the tuple");
    auto hash = b.let<u64>("hash", 0);
    for (const auto address : {&FlowKey6::saddr, &FlowKey6::daddr})
        for (const auto half : {&Address6::high, &Address6::low}) {
            {
                auto word = b.let_bits<u64>("word", key(address)(half));
                hash += word.value();
            }
            mix(b, hash, model::hash_multiplier_1, 32);
        }
    {
        auto ports = b.let_bits<u64>("ports", key(&FlowKey6::sport));
        ports <<= 16;
        auto part = b.let_bits<u64>("part", key(&FlowKey6::dport));
        ports |= part.value();
        ports <<= 16;
        hash += ports.value();
        hash += key(&FlowKey6::protocol);
    }
    mix(b, hash, model::hash_multiplier_2, 29);
    finish_hash(b, hash, model::hash_multiplier_3);
    result() = hash;
}

template <class F>
void pick_target(Dsl& b, const model::Plan& plan, const Maps& maps, const Frame<F>& frame,
                 const NewFlowFrame<F>& fresh, Ways& ways)
{
    const Label picked = b.label("picked");
    if (fresh.session_ns) recall_session(b, maps, frame, fresh, picked);
    choose_target(b, plan, maps, frame, fresh, ways);
    if (fresh.session_ns) begin_session(b, maps, frame, fresh);
    b.bind(picked);
}
template void pick_target(Dsl&, const model::Plan&, const Maps&, const Frame<V4>&, const NewFlowFrame<V4>&,
                          Ways&);
template void pick_target(Dsl&, const model::Plan&, const Maps&, const Frame<V6>&, const NewFlowFrame<V6>&,
                          Ways&);

template <class F>
View<model::TargetRow> read_target(Dsl& b, const Maps& maps, const Frame<F>& frame,
                                   const NewFlowFrame<F>& fresh, Ways& ways)
{
    b.note("the target's row");
    auto row = b.lookup_brief(maps.targets, frame.index, ways.to(Reason::internal));
    // What the listener's leaf has written would be a constant to the verifier, which would follow each.
    if (maps.refusals && (F::across || !maps.proxies))
        fresh.proxy() = b.let<u32>("proxy", row(&model::TargetRow::proxy));
    return row;
}
template View<model::TargetRow> read_target(Dsl&, const Maps&, const Frame<V4>&, const NewFlowFrame<V4>&,
                                            Ways&);
template View<model::TargetRow> read_target(Dsl&, const Maps&, const Frame<V6>&, const NewFlowFrame<V6>&,
                                            Ways&);
template View<model::TargetRow> read_target(Dsl&, const Maps&, const Frame<V4To6>&,
                                            const NewFlowFrame<V4To6>&, Ways&);
template View<model::TargetRow> read_target(Dsl&, const Maps&, const Frame<V6To4>&,
                                            const NewFlowFrame<V6To4>&, Ways&);

} // namespace lb::datapath
