#include "datapath/ways.hpp"

namespace lb::datapath {

using namespace bpf;

i32 Ways::verdict(const model::ReasonInfo& way) const
{
    const bool drop = way.outcome == model::Outcome::drop;
    if (b_.type() == ProgramType::xdp) return static_cast<i32>(drop ? XdpAction::drop : XdpAction::pass);
    return static_cast<i32>(drop ? TcAction::shot : TcAction::unspec);
}

void Ways::emit()
{
    exits_.emit([&](Var<u32>& reason) {
        const Label counted = b_.label("counted");
        auto index = b_.local<u32>("reason");
        index() = reason;
        auto counter = b_.lookup_brief(counts_, index, counted);
        // A row of this CPU's own: nobody else writes it.
        counter.value().add(1);
        counter.release();
        b_.bind(counted);
    });
}

} // namespace lb::datapath
