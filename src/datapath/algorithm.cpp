#include "datapath/algorithm.hpp"

#include "datapath/hash.hpp"
#include "datapath/scratch.hpp"
#include "model/flow_hash.hpp"

namespace lb::datapath {

using namespace bpf;
using model::Algorithm;
using model::Reason;

namespace {

template <class F> struct Choice {
    Dsl& b;
    const Maps& maps;
    const Frame<F>& frame;
    const NewFlowFrame<F>& fresh;
    Ways& ways;
};

// Where the group's table lies: its first slot in the low half, their number in the high one.
template <class F> Var<u64> read_group(const Choice<F>& choice)
{
    Dsl& b = choice.b;
    b.note("slot of the group's table");
    auto group = b.lookup_brief(choice.maps.groups, choice.fresh.group, choice.ways.to(Reason::internal));
    auto first = b.let<u64>("first", group(&model::GroupRow::word));
    group.release();
    b.jump_if(first == 0, choice.ways.refuse(Reason::no_target, choice.fresh.proxy));
    return first;
}

// The target in the slot that the low half of `slot` numbers.
template <class F> void read_slot(const Choice<F>& choice, Var<u64>&& slot)
{
    Dsl& b = choice.b;
    choice.frame.index().store(slot.reg());
    slot.release();
    auto target = b.lookup_brief(choice.maps.slots, choice.frame.index, choice.ways.to(Reason::internal));
    choice.frame.index() = target.value();
}

// The target at `part`/2^32 of the table.
template <class F> void choose_part(const Choice<F>& choice, const StackVar<u64>& part)
{
    auto first = read_group(choice);
    auto slot = choice.b.template let<u64>("slot", first);
    slot >>= 32;
    slot *= part();
    slot >>= 32;
    slot += first.value(); // the low half of the sum is first + slot: the high half is not stored
    first.release();
    read_slot(choice, std::move(slot));
}

template <class F> void choose_random(const Choice<F>& choice, const StackVar<u64>& part)
{
    {
        auto drawn = choice.b.template call<u64>(Helper::get_prandom_u32, {}, "drawn"); // of 32 bits
        part() = drawn;
    }
    choose_part(choice, part);
}

// model::source_hash() of the client.
void hash_source(Dsl& b, const Frame<V4>& frame, const StackVar<u64>& part)
{
    auto hash = b.let_bits<u64>("hash", frame.key(&model::FlowKey4::saddr));
    mix(b, hash, model::hash_multiplier_1, 32);
    mix(b, hash, model::hash_multiplier_2, 29);
    finish_hash(b, hash, model::hash_multiplier_3);
    part() = hash;
}

void hash_source(Dsl& b, const Frame<V6>& frame, const StackVar<u64>& part)
{
    const auto client = frame.key(&model::FlowKey6::saddr);
    auto hash = b.let_bits<u64>("hash", client(&wire::Address6::high));
    mix(b, hash, model::hash_multiplier_1, 32);
    {
        auto low = b.let_bits<u64>("low", client(&wire::Address6::low));
        hash += low.value();
    }
    mix(b, hash, model::hash_multiplier_1, 32);
    mix(b, hash, model::hash_multiplier_2, 29);
    finish_hash(b, hash, model::hash_multiplier_3);
    part() = hash;
}

// The group's counter goes round its table, for all CPUs together.
template <class F> void choose_next(const Choice<F>& choice)
{
    Dsl& b = choice.b;
    const auto taken = Scratch(b, choice.fresh).template local<u64>("turns taken");
    {
        auto counter =
            b.lookup_brief(*choice.maps.turns, choice.fresh.group, choice.ways.to(Reason::internal));
        taken() = counter.value().fetch_add(1);
    }
    auto first = read_group(choice);
    auto slot = b.let<u64>("slot", taken());
    {
        auto slots = b.let<u64>("slots", first);
        slots >>= 32;
        slot %= slots.value();
    }
    slot += first.value();
    first.release();
    read_slot(choice, std::move(slot));
}

// One of the two targets that least-connections compares.
template <class F> struct Candidate {
    explicit Candidate(Scratch<F>& scratch)
        : target(scratch.template local<u32>("candidate")),
          live(scratch.template local<i64>("live")),
          weight(scratch.template local<i64>("weight"))
    {}
    StackVar<u32> target;
    StackVar<i64> live, weight;
};

// What is known of the target in `frame.index`. One that the group no longer has is taken as it is: the slots
// are about to follow.
template <class F>
void weigh(const Choice<F>& choice, const Candidate<F>& candidate, const StackView<model::MemberKey>& member,
           Label no_member)
{
    Dsl& b = choice.b;
    const auto& target = choice.frame.index;
    candidate.target() = target();
    {
        auto live = b.lookup_brief(*choice.maps.live, target, choice.ways.to(Reason::internal));
        candidate.live() = live.value();
    }
    member(&model::MemberKey::group) = choice.fresh.group();
    member(&model::MemberKey::target) = target();
    auto weight = b.lookup_brief(*choice.maps.members, member, no_member);
    candidate.weight() = b.let<i64>("weight", weight.value());
}

// The power of two choices (Mitzenmacher): of two targets that are drawn by weight, the one that has fewer
// live connections for its weight. Looking for the least of all would cost more, and send what comes at once
// on several CPUs to the same one.
template <class F> void choose_least_loaded(const Choice<F>& choice)
{
    Dsl& b = choice.b;
    Scratch scratch(b, choice.fresh);
    const auto part = scratch.template local<u64>("part");
    const Candidate one(scratch), other(scratch);
    const auto member = scratch.template stack<model::MemberKey>("member");
    const Label chosen = b.label("less loaded");
    choose_random(choice, part);
    weigh(choice, one, member, chosen);
    b.note("least connections: a second draw");
    choose_random(choice, part);
    weigh(choice, other, member, chosen);
    b.note("which of the two has less to do for its weight?");
    auto its = b.let<i64>("its load", other.live());
    its *= one.weight();
    auto load = b.let<i64>("load", one.live());
    load *= other.weight();
    b.jump_if(its < load.value(), chosen);
    choice.frame.index() = one.target();
    b.bind(chosen);
}

template <class F> void choose_by(Algorithm algorithm, const Choice<F>& choice)
{
    Dsl& b = choice.b;
    if (algorithm == Algorithm::maglev) return choose_part(choice, choice.fresh.hash);
    b.note(model::name_of(algorithm));
    if (algorithm == Algorithm::round_robin) return choose_next(choice);
    if (algorithm == Algorithm::least_connections) return choose_least_loaded(choice);
    const auto part = Scratch(b, choice.fresh).template local<u64>("part");
    if (algorithm == Algorithm::random) return choose_random(choice, part);
    hash_source(b, choice.frame, part);
    choose_part(choice, part);
}

} // namespace

template <class F>
void choose_target(Dsl& b, const model::Plan& plan, const Maps& maps, const Frame<F>& frame,
                   const NewFlowFrame<F>& fresh, Ways& ways)
{
    const Choice<F> choice{b, maps, frame, fresh, ways};
    auto all = plan.algorithms();
    const Algorithm last = all.back();
    all.pop_back();
    const Label chosen = b.label("chosen");
    for (const Algorithm each : all) {
        const Label another = b.label("another algorithm");
        b.jump_if((*fresh.algorithm)() != static_cast<u32>(each), another);
        choose_by(each, choice);
        b.jump(chosen);
        b.bind(another);
    }
    choose_by(last, choice);
    b.bind(chosen);
}

template void choose_target(Dsl&, const model::Plan&, const Maps&, const Frame<V4>&, const NewFlowFrame<V4>&,
                            Ways&);
template void choose_target(Dsl&, const model::Plan&, const Maps&, const Frame<V6>&, const NewFlowFrame<V6>&,
                            Ways&);

} // namespace lb::datapath
