#include "datapath/session.hpp"

#include "datapath/scratch.hpp"

namespace lb::datapath {

using namespace bpf;
using model::MemberKey;
using model::Session;

namespace {

template <class F>
StackView<typename F::SessionKey> session_key(Scratch<F>& scratch, const Frame<F>& frame,
                                              const NewFlowFrame<F>& fresh)
{
    using Key = typename F::SessionKey;
    auto key = scratch.template stack<Key>("session key");
    key(&Key::proxy) = fresh.proxy();
    key(&Key::zero32) = u32{0};
    copy_address(key(&Key::client), frame.key(&F::Key::saddr));
    return key;
}

} // namespace

template <class F>
void recall_session(Dsl& b, const Maps& maps, const Frame<F>& frame, const NewFlowFrame<F>& fresh,
                    Label found)
{
    const auto& sessions = *F::maps(maps).sessions;
    b.note("session: has the client a target?");
    Scratch scratch(b, fresh);
    const Label none = b.label("no session"), over = b.label("session over");
    b.jump_if(b.let<i64>("session time", (*fresh.session_ns)()) == 0, none);
    const auto key = session_key(scratch, frame, fresh);
    const auto member = scratch.template stack<MemberKey>("member");
    {
        const auto session = b.lookup(sessions, key, none);
        // Read once: a row that is taken out may be another client's in the next moment.
        member(&MemberKey::target) = session(&Session::target);
        member(&MemberKey::group) = fresh.group();
        b.note("session: is the target one of the group, and does it take connections?");
        {
            auto weight = b.lookup_brief(*maps.members, member, over);
            b.jump_if(weight.value() == u32{0}, over);
        }
        b.note("session: has it run out?");
        auto now = b.call<i64>(Helper::ktime_get_ns, {}, "now");
        {
            auto age = b.let<i64>("age", now);
            age -= session(&Session::seen);
            b.jump_if(age > (*fresh.session_ns)(), over); // below 0: another CPU has just renewed it
        }
        session(&Session::seen) = now;
        frame.index() = member(&MemberKey::target);
        b.jump(found);
    }
    b.bind(over);
    b.remove(sessions, key);
    b.bind(none);
}

template <class F>
void begin_session(Dsl& b, const Maps& maps, const Frame<F>& frame, const NewFlowFrame<F>& fresh)
{
    const auto& sessions = *F::maps(maps).sessions;
    b.note("session: the target of the client from here on");
    Scratch scratch(b, fresh);
    const Label begun = b.label("session begun");
    b.jump_if(b.let<i64>("session time", (*fresh.session_ns)()) == 0, begun);
    const auto key = session_key(scratch, frame, fresh);
    const auto session = scratch.template stack<Session>("session");
    session(&Session::target) = frame.index();
    session(&Session::zero32) = u32{0};
    {
        auto now = b.call<i64>(Helper::ktime_get_ns, {}, "now");
        session(&Session::seen) = now;
    }
    {
        auto result = b.update(sessions, key, session, UpdateFlag::no_exist);
        b.jump_if(result != already_there, begun);
    }
    b.note("session: another CPU has begun it meanwhile");
    auto there = b.lookup_brief(sessions, key, begun);
    frame.index() = there(&Session::target);
    there.release();
    b.bind(begun);
}

template void recall_session(Dsl&, const Maps&, const Frame<V4>&, const NewFlowFrame<V4>&, Label);
template void recall_session(Dsl&, const Maps&, const Frame<V6>&, const NewFlowFrame<V6>&, Label);
template void begin_session(Dsl&, const Maps&, const Frame<V4>&, const NewFlowFrame<V4>&);
template void begin_session(Dsl&, const Maps&, const Frame<V6>&, const NewFlowFrame<V6>&);

} // namespace lb::datapath
