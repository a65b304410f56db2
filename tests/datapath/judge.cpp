#include "judge.hpp"

#include <cstdio>

namespace lb::test {

using model::Outcome;
using model::Reason;
using model::Role;

std::string hex(const Bytes& bytes)
{
    std::string text;
    for (const u8 byte : bytes) {
        char digits[4];
        std::snprintf(digits, sizeof digits, "%02x ", byte);
        text += digits;
    }
    return text;
}

// Translated packets are counted in their target's row and not by reason.
std::map<Reason, u64> Judge::counts() const
{
    auto counted = bench_.exits();
    model::TargetCounters sum;
    for (const auto& target : bench_.plan().targets) sum += bench_.counters(target.id);
    if (sum.forward_packets > 0 && !bench_.plan().lb_sends())
        counted[Reason::forwarded] += sum.forward_packets;
    if (sum.reply_packets > 0 && !bench_.plan().expects_replies())
        counted[Reason::reply_forwarded] += sum.reply_packets;
    return counted;
}

Bytes Judge::check(const Bytes& frame, const Passage& passage, const Judgement& judged)
{
    last_ = judged.reason;
    const auto& info = model::info(judged.reason);
    INFO("frame    " << lab::describe(frame) << "\n         " << hex(frame));
    INFO("expected " << info.name << "\n         " << hex(judged.frame));
    INFO("got      " << lab::describe(passage.frame) << "\n         " << hex(passage.frame));
    const auto now = counts();
    auto expected = before_;
    ++expected[judged.reason];
    for (const auto& [reason, count] : now) UNSCOPED_INFO(model::info(reason).name << " " << count);
    CHECK(now == expected);
    before_ = now;
    const bool drop = info.outcome == Outcome::drop;
    const u32 verdict = info.outcome == Outcome::tx         ? xdp_tx
                        : info.outcome == Outcome::redirect ? xdp_redirect
                        : info.role == Role::ingress        ? (drop ? xdp_drop : xdp_pass)
                        : drop                              ? tc_shot
                                                            : tc_unspec;
    CHECK(passage.verdict == verdict);
    CHECK(judged.fault == "");
    CHECK((passage.frame == judged.frame)); // not expanded: both are above
    return passage.frame;
}

Bytes Judge::in(const Bytes& frame)
{
    const Passage passage = bench_.in(frame);
    return check(frame, passage, model_.ingress(frame, interface_, passage.frame));
}

Bytes Judge::out(const Bytes& frame)
{
    const Passage passage = bench_.out(frame);
    return check(frame, passage, model_.egress(frame));
}

} // namespace lb::test
