#include "datapath/crossing.hpp"

namespace lb::datapath {

using namespace bpf;
using model::Reason;

void emit_crossing(Dsl& b, const Maps& maps, Ways& ways, const Crossing& crossing,
                   const StackVar<u64>& context)
{
    b.note("to the program that translates between families");
    b.bind(crossing.known);
    crossing.given() = 0;
    b.bind(crossing.go);
    const Builder::StackScope scope(b);
    const auto index = b.local<u32>("handover row");
    index() = 0;
    auto row = b.lookup_brief(maps.across->handover, index, ways.to(Reason::internal));
    row.value() = crossing.given();
    row.release();
    go_on(b, maps, context, Follower::siit);
    b.jump(ways.to(Reason::internal));
}

void go_on(Dsl& b, const Maps& maps, const StackVar<u64>& context, Follower program)
{
    auto ctx = b.let<u64>("ctx", context());
    b.call(Helper::tail_call, {std::move(ctx), maps.across->programs, static_cast<u32>(program)});
}

} // namespace lb::datapath
