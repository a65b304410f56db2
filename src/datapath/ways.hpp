// The ways out of lb's programs: model::Reason tied to the assembler's Exits. Most are counted by reason in
// one common end; translated packets are counted in their target's row instead, once, by the code that
// translates.
#pragma once

#include "datapath/maps.hpp"
#include "lb/asm/dsl.hpp"
#include "model/reason.hpp"

namespace lb::datapath {

class Ways {
public:
    Ways(bpf::Dsl& b, const Maps& maps)
        : b_(b),
          counts_(maps.exits),
          by_proxy_(maps.refusals ? &*maps.refusals : nullptr),
          exits_(b)
    {}
    /// `counts`: a row for each reason, per CPU.
    Ways(bpf::Dsl& b, const bpf::Map<u32, u64>& counts) : b_(b), counts_(counts), exits_(b) {}

    bpf::Label to(model::Reason reason, bpf::Loc loc = bpf::Loc::current())
    {
        const auto& way = model::info(reason);
        return exits_.to(static_cast<u32>(reason), way.name, verdict(way), loc);
    }
    /// The same for one of model::refusals, which is counted for the proxy with this id as well.
    bpf::Label refuse(model::Reason reason, const bpf::StackVar<u32>& proxy,
                      bpf::Loc loc = bpf::Loc::current());
    /// Leaves here; the target's row has counted the packet.
    void leave(model::Reason reason, bpf::Loc loc = bpf::Loc::current())
    {
        const auto& way = model::info(reason);
        exits_.leave(static_cast<u32>(reason), way.name, verdict(way), loc);
    }
    /// Emits every way out that was used, and their counting.
    void emit();

private:
    struct Refusal {
        model::Reason reason;
        bpf::StackVar<u32> proxy;
        bpf::Label label;
    };
    i32 verdict(const model::ReasonInfo& way) const;
    void emit_refusals();

    bpf::Dsl& b_;
    const bpf::Map<u32, u64>& counts_;
    const bpf::Map<u32, u64>* by_proxy_ = nullptr; ///< null: there is one proxy
    std::vector<Refusal> refusals_ = {};
    bpf::Exits exits_;
};

} // namespace lb::datapath
