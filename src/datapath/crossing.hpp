// From the programs on the interfaces to the one that translates between families (siit.hpp). It is a program
// of its own, with a budget of the verifier's and a stack of its own, and parses the packet anew: the way
// there carries no more than a target's id.
#pragma once

#include "datapath/carry.hpp"
#include "datapath/ways.hpp"

namespace lb::datapath {

/// What the stages before leave for the crossing.
struct Crossing {
    /// `carrying`: what else a packet may be handed over to, and its memory with it; null: nothing.
    Crossing(bpf::Dsl& b, const Carrying* carrying)
        : given(carrying ? carrying->target : b.local<u32>("given target")),
          go(b.label("across")),
          known(b.label("known across"))
    {}
    bpf::StackVar<u32> given; ///< 0, or the id, plus 1, of the target that a new connection was given
    bpf::Label go;            ///< go there when it is written
    bpf::Label known;         ///< or there with a packet of no new connection
};

/// Emits the crossing, once per program.
void emit_crossing(bpf::Dsl& b, const Maps& maps, Ways& ways, const Crossing& crossing,
                   const bpf::StackVar<u64>& context);

/// Emits the hand-over of a new connection to the target in `row`, whose id is in `frame.index`, where that
/// is of the other family.
template <class F>
void go_if_other_family(bpf::Dsl& b, const Frame<F>& frame, const bpf::View<model::TargetRow>& row,
                        const Crossing& crossing)
{
    const bpf::Label same = b.label("of one family");
    // A target has an address of one family; the other is 0.
    const auto address4 = row(&model::TargetRow::address4);
    b.jump_if(F::header_sum ? address4 != be32{0} : address4 == be32{0}, same);
    auto given = b.let<u32>("given", frame.index());
    given += 1;
    crossing.given() = given;
    given.release();
    b.jump(crossing.go);
    b.bind(same);
}

/// Emits the hand-over of a packet of a connection between families by its entry. IPv6 packets have all of
/// them in one table.
template <class F>
void cross_if_known(bpf::Dsl& b, const bpf::View<typename F::Flow>& flow, const Crossing& crossing)
{
    if constexpr (!F::header_sum) b.jump_if(flow(&F::Flow::carried) == model::carried_across, crossing.known);
}

/// Emits the same where the common table has none: IPv4 packets have entries of such connections in another.
template <class F>
void find_across(bpf::Dsl& b, const Maps& maps, const Frame<F>& frame, const Crossing& crossing)
{
    if constexpr (F::header_sum) {
        const bpf::Label none = b.label("not across");
        b.note("a connection between families?");
        b.lookup_brief(maps.across->flows4, frame.key, none).release();
        b.jump(crossing.known);
        b.bind(none);
    }
}

/// Emits `goto program`, as bpf_tail_call does it; falls through where that is not there.
void go_on(bpf::Dsl& b, const Maps& maps, const bpf::StackVar<u64>& context, Follower program);

} // namespace lb::datapath
