// Packets that are larger than one buffer, or than an IPv4 header can say.
#include "judge.hpp"

using namespace lb;
using namespace lb::test;
using lab::build;
using lab::ip;
using lab::Tcp;
using lab::Udp;
using model::Reason;

namespace {

const u32 client = ip("198.51.100.7"), vip = ip("192.0.2.1"), target_ip = ip("10.0.0.1");

ModelFacts one_target()
{
    ModelFacts facts;
    facts.listeners = {{.protocol = 6, .address = vip}, {.protocol = 17, .address = vip}};
    facts.proxies = {{.group = {{target_ip, 8080}}}};
    return facts;
}

Packet request(const std::variant<Tcp, Udp, lab::Icmp, lab::Raw>& l4, std::size_t payload)
{
    return {.saddr = client, .daddr = vip, .l4 = l4, .payload = lab::pattern(payload)};
}

} // namespace

TEST_CASE("a jumbo frame in several buffers is translated like any other", "[datapath]")
{
    // A test run puts what does not fit into the first page into fragments, as drivers do.
    Judge judge(config_text({{}}), one_target(), {.kernel = {.xdp_frags = true}});
    for (const std::size_t payload : {100UL, 3000UL, 4000UL, 8960UL}) {
        INFO("payload of " << payload);
        judge.in(build(request(Tcp{.sport = 1}, payload)));
        CHECK(judge.last() == Reason::forwarded);
        judge.in(build(request(Udp{.sport = 1}, payload)));
        CHECK(judge.last() == Reason::forwarded);
    }
    CHECK(judge.bench().counters().forward_packets == 8);
    CHECK(judge.bench().counters().forward_bytes == 4 * (40 + 28) + 2 * (100 + 3000 + 4000 + 8960));
}

TEST_CASE("a jumbo frame that is shorter than it says passes untouched", "[datapath]")
{
    Judge judge(config_text({{}}), one_target(), {.kernel = {.xdp_frags = true}});
    for (const auto& whole : {build(request(Tcp{}, 8960)), build(request(Udp{}, 8960))})
        for (const std::size_t missing : {1UL, 2UL, 4000UL, 8000UL}) {
            const Bytes frame(whole.begin(), whole.end() - static_cast<std::ptrdiff_t>(missing));
            judge.in(frame);
            CHECK(judge.last() == Reason::truncated);
        }
}
