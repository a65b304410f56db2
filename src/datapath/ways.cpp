#include "datapath/ways.hpp"

namespace lb::datapath {

using namespace bpf;

i32 Ways::verdict(const model::ReasonInfo& way) const
{
    using model::Outcome;
    if (b_.type() != ProgramType::xdp)
        return static_cast<i32>(way.outcome == Outcome::drop ? TcAction::shot : TcAction::unspec);
    switch (way.outcome) {
    case Outcome::drop:
        return static_cast<i32>(XdpAction::drop);
    case Outcome::tx:
        return static_cast<i32>(XdpAction::tx);
    case Outcome::redirect:
        return static_cast<i32>(XdpAction::redirect);
    case Outcome::pass:
        break;
    }
    return static_cast<i32>(XdpAction::pass);
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
