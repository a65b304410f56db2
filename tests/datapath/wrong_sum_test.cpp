// A packet that was damaged on its way stays as damaged: its checksums are changed by what was changed in the
// packet and never made right, so that its receiver finds the fault.
#include "bench.hpp"
#include "model.hpp"

using namespace lb;
using namespace lb::test;
using lab::build;
using lab::ip;
using lab::Tcp;
using lab::Udp;

namespace {

const u32 client = ip("198.51.100.7"), vip = ip("192.0.2.1"), target_ip = ip("10.0.0.1");
constexpr std::size_t ip_at = 14, l4_at = 34;

ModelFacts facts()
{
    ModelFacts facts;
    for (const u8 protocol : {u8{6}, u8{17}})
        facts.listeners.push_back({.protocol = protocol, .address = vip});
    facts.proxies = {{.group = {{target_ip, 8080}}}};
    return facts;
}

std::size_t check_at(const Bytes& frame) { return frame[ip_at + 9] == 6 ? l4_at + 16 : l4_at + 6; }

// What a receiver gets when it sums: the fault, with 0 and 0xffff as the one number that they are.
u32 header_fault(const Bytes& frame) { return lab::ones_sum(std::span(frame).subspan(ip_at, 20)) % 0xffffu; }
u32 l4_fault(const Bytes& frame)
{
    const u32 said = static_cast<u32>(frame[ip_at + 2] << 8 | frame[ip_at + 3]) - 20;
    const u32 pseudo = lab::ones_sum(std::span(frame).subspan(ip_at + 12, 8), frame[ip_at + 9] + said);
    // On the way out a packet may say to be longer than it is.
    const auto size = std::min<std::size_t>(said, frame.size() - l4_at);
    return lab::ones_sum(std::span(frame).subspan(l4_at, size), pseudo) % 0xffffu;
}

void check(const Bytes& frame, const Passage& passage, const Judgement& judged)
{
    const auto& info = model::info(judged.reason);
    INFO(info.name << " " << lab::describe(frame));
    const bool ingress = info.role == model::Role::ingress;
    const bool drop = info.outcome == model::Outcome::drop;
    REQUIRE(passage.verdict == (ingress ? (drop ? xdp_drop : xdp_pass) : (drop ? tc_shot : tc_unspec)));
    REQUIRE(judged.fault == "");
    const bool fragment = judged.reason == model::Reason::fragment_forwarded ||
                          judged.reason == model::Reason::egress_fragment_forwarded;
    if (!fragment && judged.reason != model::Reason::forwarded &&
        judged.reason != model::Reason::reply_forwarded) {
        REQUIRE((passage.frame == frame));
        return;
    }
    Bytes got = passage.frame, wanted = judged.frame;
    REQUIRE(got.size() == wanted.size());
    CHECK(header_fault(got) == header_fault(frame));
    if (fragment) { // no checksum but the header's: the first one has it for all
        for (auto* each : {&got, &wanted}) (*each)[ip_at + 10] = (*each)[ip_at + 11] = 0;
        REQUIRE((got == wanted));
        return;
    }
    const std::size_t at = check_at(frame);
    if (frame[ip_at + 9] == 17 && frame[at] == 0 && frame[at + 1] == 0)
        CHECK((got[at] == 0 && got[at + 1] == 0));
    else
        CHECK(l4_fault(got) == l4_fault(frame));
    for (auto* each : {&got, &wanted})
        for (const std::size_t sum : {ip_at + 10, at}) (*each)[sum] = (*each)[sum + 1] = 0;
    REQUIRE((got == wanted));
}

} // namespace

TEST_CASE("one bit that is wrong anywhere in the headers stays the only fault of the packet", "[wrong-sum]")
{
    const Bench bench(config_text({{}}, R"("max-connections": 5000)"));
    ModelFacts known = facts();
    known.connections_max = 5000;
    Model model(known);
    const Bytes payload = lab::pattern(33);
    std::vector<std::pair<Bytes, bool>> frames; // and whether it leaves
    for (const bool summed : {true, false}) {
        frames.emplace_back(
            build({.saddr = client, .daddr = vip, .l4 = Udp{.checksum = summed}, .payload = payload}), false);
        frames.emplace_back(build({.saddr = target_ip,
                                   .daddr = client,
                                   .l4 = Udp{.sport = 8080, .dport = 40000, .checksum = summed},
                                   .payload = payload}),
                            true);
    }
    frames.emplace_back(build({.saddr = client, .daddr = vip, .l4 = Tcp{}, .payload = payload}), false);
    frames.emplace_back(build({.saddr = target_ip,
                               .daddr = client,
                               .l4 = Tcp{.sport = 8080, .dport = 40000, .flags = Tcp::ack_flag},
                               .payload = payload}),
                        true);
    const auto pass = [&](const Bytes& frame, bool out) {
        const Passage passage = out ? bench.out(frame) : bench.in(frame);
        check(frame, passage, out ? model.egress(frame) : model.ingress(frame, "eth0", passage.frame));
    };
    for (const auto& [frame, out] : frames) pass(frame, out); // so that both connections are known
    u32 translated = 0;
    for (const auto& [frame, out] : frames)
        for (std::size_t at = 0; at < 60; ++at)
            for (int bit = 0; bit < 8; ++bit) {
                INFO("bit " << bit << " of byte " << at << (out ? " on the way out" : ""));
                Bytes damaged = frame;
                damaged[at] = static_cast<u8>(damaged[at] ^ 1 << bit);
                const auto before = bench.counters();
                pass(damaged, out);
                const auto after = bench.counters();
                if (after.forward_packets + after.reply_packets >
                    before.forward_packets + before.reply_packets)
                    ++translated;
            }
    CHECK(translated > 1000);
}
