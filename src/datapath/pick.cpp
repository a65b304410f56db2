#include "datapath/pick.hpp"

#include "model/flow_hash.hpp"

namespace lb::datapath {

using namespace bpf;
using model::FlowKey4;
using model::Reason;

void route_by_source(Dsl& b, const Maps& maps, const View<wire::Ipv4>& ip, const NewFlowFrame& frame)
{
    b.note("source route: longest prefix of this proxy");
    const Label none = b.label("no source route");
    frame.route(&model::RouteKey4::prefix_length) = 64; // all bits of proxy id and address
    frame.route(&model::RouteKey4::address) = ip(&wire::Ipv4::saddr);
    auto route = b.lookup_brief(maps.routes, frame.route, none);
    frame.group() = route.value();
    route.release();
    b.bind(none);
}

void hash_flow(Dsl& b, const Frame& frame, const NewFlowFrame& fresh)
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

View<model::TargetRow> pick_target(Dsl& b, const Maps& maps, const Frame& frame, const NewFlowFrame& fresh,
                                   Ways& ways)
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
    b.note("the target's row");
    return b.lookup_brief(maps.targets, frame.index, ways.to(Reason::internal));
}

} // namespace lb::datapath
