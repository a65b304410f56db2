// Single packets of every kind, byte for byte.
#include "judge.hpp"

using namespace lb;
using namespace lb::test;
using lab::build;
using lab::ip;
using lab::pattern;
using lab::Tcp;
using lab::Udp;
using model::Reason;

namespace {

const u32 vip = ip("192.0.2.1"), client = ip("198.51.100.7"), target_ip = ip("10.0.0.1");

ModelFacts simple_facts()
{
    ModelFacts facts;
    for (const u8 protocol : {u8{6}, u8{17}})
        facts.listeners.push_back({.protocol = protocol, .address = vip});
    facts.proxies = {{.group = {{target_ip, 8080}}}};
    return facts;
}

Judge simple() { return Judge(config_text({{}}), simple_facts()); }

Packet request(const std::variant<Tcp, Udp, lab::Icmp, lab::Raw>& l4, const Bytes& payload = {})
{
    return {.saddr = client, .daddr = vip, .l4 = l4, .payload = payload};
}

Packet answer(const std::variant<Tcp, Udp, lab::Icmp, lab::Raw>& l4, const Bytes& payload = {})
{
    return {.saddr = target_ip, .daddr = client, .l4 = l4, .payload = payload};
}

void put16(Bytes& frame, std::size_t at, unsigned value)
{
    frame[at] = static_cast<u8>(value >> 8);
    frame[at + 1] = static_cast<u8>(value);
}

} // namespace

TEST_CASE("requests and answers of a connection are translated, whatever their payload's length",
          "[datapath]")
{
    Judge judge = simple();
    for (const std::size_t size : {0UL, 1UL, 2UL, 3UL, 63UL, 1000UL, 1459UL, 1460UL}) {
        judge.in(build(request(Tcp{.sport = 4000}, pattern(size))));
        CHECK(judge.last() == Reason::forwarded);
        judge.out(build(answer(Tcp{.sport = 8080, .dport = 4000, .flags = Tcp::ack_flag}, pattern(size))));
        CHECK(judge.last() == Reason::reply_forwarded);
        judge.in(build(request(Udp{.sport = 4000}, pattern(size))));
        judge.out(build(answer(Udp{.sport = 8080, .dport = 4000}, pattern(size))));
        CHECK(judge.last() == Reason::reply_forwarded);
    }
}

TEST_CASE("every combination of TCP flags is translated, or let go as a stray reset", "[datapath]")
{
    Judge judge = simple();
    for (unsigned flags = 0; flags < 256; ++flags) {
        const u16 port = static_cast<u16>(5000 + flags);
        const Tcp tcp{.sport = port, .flags = static_cast<u8>(flags), .options = pattern(12)};
        judge.in(build(request(tcp)));
        CHECK(judge.last() == ((flags & Tcp::rst) != 0 ? Reason::stray_reset : Reason::forwarded));
        judge.in(build(request(tcp, pattern(7))));
        judge.out(build(answer(Tcp{.sport = 8080, .dport = port, .flags = static_cast<u8>(flags)})));
    }
}

TEST_CASE("a UDP datagram without a checksum keeps none, in both directions", "[datapath]")
{
    Judge judge = simple();
    const Bytes there = judge.in(build(request(Udp{.sport = 4001, .checksum = false}, pattern(5))));
    CHECK(there[40] == 0);
    CHECK(there[41] == 0);
    const Bytes back =
        judge.out(build(answer(Udp{.sport = 8080, .dport = 4001, .checksum = false}, pattern(5))));
    CHECK(back[40] == 0);
    CHECK(back[41] == 0);
}

TEST_CASE("a UDP checksum that comes out as 0 is written as 0xffff", "[datapath]")
{
    // The last two bytes of the payload are varied until the translated sum is 0.
    Judge judge = simple();
    const auto find = [](Packet packet) {
        for (unsigned value = 0; value < 0x10000; ++value) {
            packet.payload = {static_cast<u8>(value >> 8), static_cast<u8>(value)};
            const Bytes frame = build(packet);
            if (frame[40] == 0xff && frame[41] == 0xff) return packet.payload;
        }
        return Bytes{};
    };
    const auto there = request(Udp{.sport = 4002});
    auto translated = there;
    translated.daddr = target_ip;
    translated.l4 = Udp{.sport = 4002, .dport = 8080};
    const Bytes payload = find(translated);
    REQUIRE(payload.size() == 2);
    const Bytes out = judge.in(build(request(Udp{.sport = 4002}, payload)));
    CHECK(out[40] == 0xff);
    CHECK(out[41] == 0xff);

    const Bytes reply_payload = find({.saddr = vip, .daddr = client, .l4 = Udp{.sport = 80, .dport = 4002}});
    REQUIRE(reply_payload.size() == 2);
    const Bytes back = judge.out(build(answer(Udp{.sport = 8080, .dport = 4002}, reply_payload)));
    CHECK(back[40] == 0xff);
    CHECK(back[41] == 0xff);
}

TEST_CASE("sums that carry over at every fold are right", "[datapath]")
{
    for (const char* to : {"255.255.255.254", "0.0.0.1", "1.0.0.0", "192.0.2.2", "255.255.0.1", "128.0.0.1"})
        for (const int port : {1, 255, 256, 32768, 65535}) {
            ModelFacts facts = simple_facts();
            facts.proxies[0].group = {{ip(to), static_cast<u16>(port)}};
            Judge judge(config_text({{.target = std::string(R"({"ip": ")") + to + R"(", "port": )" +
                                                std::to_string(port) + "}"}}),
                        facts);
            for (const u16 sport : {u16{1}, u16{0x00ff}, u16{0xff00}, u16{0xffff}}) {
                Packet packet = request(Udp{.sport = sport}, {0xff, 0xff, 0xff, 0xff});
                packet.saddr = ip("223.255.255.255") - sport;
                judge.in(build(packet));
                packet.l4 = Tcp{.sport = sport};
                judge.in(build(packet));
                Packet back = {.saddr = ip(to), .daddr = packet.saddr};
                back.l4 = Tcp{.sport = static_cast<u16>(port), .dport = sport, .flags = Tcp::ack_flag};
                judge.out(build(back));
                CHECK(judge.last() == Reason::reply_forwarded);
            }
        }
}

TEST_CASE("a frame that ends early passes untouched, at every length", "[datapath]")
{
    Judge judge = simple();
    for (const auto& whole : {build(request(Tcp{}, pattern(20))), build(request(Udp{}, pattern(20)))}) {
        judge.in(whole); // so that the connection is known
        for (std::size_t size = 14; size < whole.size(); ++size) {
            const Bytes frame(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
            CHECK(judge.in(frame) == frame);
            CHECK(judge.last() == Reason::truncated);
        }
    }
    const Bytes reply = build(answer(Udp{.sport = 8080, .dport = 40000}));
    for (std::size_t size = 34; size < reply.size(); ++size) // a test run wants a whole IPv4 header
        judge.out({reply.begin(), reply.begin() + static_cast<std::ptrdiff_t>(size)});
}

TEST_CASE("bytes behind the IPv4 packet stay as they are", "[datapath]")
{
    Judge judge = simple();
    Bytes padded = build(request(Udp{.sport = 4003}, pattern(1)));
    padded.resize(60, 0xaa); // Ethernet's shortest frame
    judge.in(padded);
    CHECK(judge.last() == Reason::forwarded);
}

TEST_CASE("IPv4 headers that contradict themselves are the kernel's", "[datapath]")
{
    Judge judge = simple();
    const Bytes good = build(request(Tcp{.sport = 4004}));
    judge.in(good);
    for (unsigned first = 0; first < 256; ++first) {
        if (first == 0x45) continue;
        Bytes frame = good;
        frame[14] = static_cast<u8>(first);
        judge.in(frame);
        // With options, the TCP header would begin further on, and leave no room for itself in the total
        // length.
        CHECK(judge.last() == Reason::bad_header);
    }
    for (const unsigned total : {0u, 19u, 20u, 39u}) {
        Bytes frame = good;
        put16(frame, 16, total);
        judge.in(frame);
        CHECK(judge.last() == Reason::bad_header);
    }
    for (const unsigned total : {41u, 1500u, 65535u}) {
        Bytes frame = good;
        put16(frame, 16, total);
        judge.in(frame);
        CHECK(judge.last() == Reason::truncated);
    }
}

TEST_CASE("a reply's later fragment comes in by a listener's interface unchanged, and leaves translated",
          "[datapath]")
{
    Judge judge = simple();
    judge.in(build(request(Udp{.sport = 4006})));
    Packet first = answer(Udp{.sport = 8080, .dport = 4006}, pattern(32)), later = first;
    first.fragment = 0x2000;
    later.fragment = 0x2005;
    judge.in(build(first));
    CHECK(judge.last() == Reason::no_listener);
    judge.out(build(first));
    CHECK(judge.last() == Reason::reply_forwarded);
    judge.in(build(later)); // although the first one has left by now
    CHECK(judge.last() == Reason::fragment_early);
    judge.out(build(later));
    CHECK(judge.last() == Reason::egress_fragment_forwarded);
}

TEST_CASE("fragments follow the first one, options and tags do not matter, other protocols pass untouched",
          "[datapath]")
{
    Judge judge = simple();
    Packet known = request(Udp{.sport = 4005}, pattern(32));
    judge.in(build(known));
    Packet reply = answer(Udp{.sport = 8080, .dport = 4005}, pattern(32));
    judge.out(build(reply));
    const auto both = [&](const Packet& packet, const Packet& back, Reason in, Reason out) {
        judge.in(build(packet));
        CHECK(judge.last() == in);
        judge.out(build(back));
        CHECK(judge.last() == out);
    };
    for (const u16 fragment : {u16{0x2000}, u16{0x2001}, u16{0x0001}, u16{0x1fff}, u16{0x3fff}}) {
        Packet first = known, second = reply;
        first.fragment = second.fragment = fragment;
        if (fragment == 0x2000)
            both(first, second, Reason::forwarded, Reason::reply_forwarded);
        else
            both(first, second, Reason::fragment_forwarded, Reason::egress_fragment_forwarded);
        first.id = second.id = 0x4321; // of another datagram
        if ((fragment & 0x1fff) != 0)
            both(first, second, Reason::fragment_early, Reason::egress_fragment_early);
    }
    for (const u16 whole : {u16{0}, u16{0x4000}, u16{0x8000}}) { // don't fragment, and the reserved bit
        Packet first = known, second = reply;
        first.fragment = second.fragment = whole;
        both(first, second, Reason::forwarded, Reason::reply_forwarded);
    }
    Packet first = known, second = reply;
    for (const std::size_t length : {4u, 8u, 40u}) {
        first.options = second.options = Bytes(length, 1); // no-operation, RFC 791
        for (const auto& tags : {std::vector<u16>{}, {100}, {100, 200}}) {
            first.vlans = second.vlans = tags;
            both(first, second, Reason::forwarded, Reason::reply_forwarded);
        }
    }
    first.vlans = second.vlans = {100, 200, 300};
    both(first, second, Reason::too_many_tags, Reason::egress_too_many_tags);
    both(request(lab::Icmp{}, pattern(20)), answer(lab::Icmp{.type = 0}, pattern(20)), Reason::icmp_other,
         Reason::egress_icmp_other);
    for (const u8 protocol : {u8{0}, u8{2}, u8{4}, u8{41}, u8{47}, u8{132}, u8{255}})
        both(request(lab::Raw{protocol}, pattern(40)), answer(lab::Raw{protocol}, pattern(40)),
             Reason::other_protocol, Reason::egress_other_protocol);
    for (const unsigned type : {0x0806u, 0x86ddu, 0x8847u, 0x0008u, 0u}) {
        Bytes frame = build(known);
        put16(frame, 12, type);
        INFO("type " << type);
        judge.in(frame);
        CHECK(judge.last() == (type == 0x86dd ? Reason::no_family : Reason::not_ip));
        judge.out(frame);
        CHECK(judge.last() == (type == 0x86dd ? Reason::egress_no_family : Reason::egress_not_ip));
    }
}

TEST_CASE("the way out counts what was sent, merged segments whole", "[datapath]")
{
    Judge judge = simple();
    judge.in(build(request(Tcp{.sport = 4006})));
    const Bytes large =
        build(answer(Tcp{.sport = 8080, .dport = 4006, .flags = Tcp::ack_flag}, pattern(3000)));
    const auto run = must(judge.bench().egress().run(large, {.skb = {.gso_segs = 3, .gso_size = 1448}}));
    CHECK(run.retval == tc_unspec);
    const auto counters = judge.bench().counters();
    CHECK(counters.reply_packets == 1);
    CHECK(counters.reply_bytes == 3040); // from the IP header on
    CHECK(counters.forward_packets == 1);
    CHECK(counters.forward_bytes == 40);
    CHECK(counters.connections == 1);
}
