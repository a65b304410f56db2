#include "datapath/ways.hpp"

namespace lb::datapath {

using namespace bpf;
using model::Reason;

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

Label Ways::refuse(Reason reason, const StackVar<u32>& proxy, Loc loc)
{
    if (!by_proxy_) return to(reason, loc);
    for (const Refusal& each : refusals_)
        if (each.reason == reason && each.proxy.range().off == proxy.range().off) return each.label;
    const Label label = b_.label("proxy: " + std::string(model::info(reason).name), loc);
    refusals_.push_back({reason, proxy, label});
    return label;
}

// The program's other variables are not read any more.
void Ways::emit_refusals()
{
    for (const Refusal& each : refusals_) {
        const Builder::StackScope scope(b_);
        b_.note("refused by a proxy: " + std::string(model::info(each.reason).name));
        b_.bind(each.label);
        if (&each == &refusals_.front()) b_.only_by_jumps();
        const auto row = b_.local<u32>("row");
        {
            auto index = b_.let<u64>("row", each.proxy());
            index *= u64{model::refusals_count};
            index += u64{model::refusal_index(each.reason)};
            row().store(index.reg());
        }
        auto counter = b_.lookup_brief(*by_proxy_, row, to(each.reason));
        counter.value().add(1);
        counter.release();
        b_.jump(to(each.reason));
    }
}

void Ways::emit()
{
    emit_refusals();
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
