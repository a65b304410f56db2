// The frames helper judges the datapath's tests, so it is itself held against bytes from elsewhere.
#include <catch2/catch.hpp>

#include "lab/packet.hpp"

using namespace lb::lab;

namespace {

// RFC 1071's own example: 00 01 f2 03 f4 f5 f6 f7 sums to ddf2.
const Bytes rfc1071 = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

const Packet syn = {.saddr = ip("10.0.0.7"), .daddr = ip("192.0.2.9"), .l4 = Tcp{.sport = 4000, .dport = 80}};

Packet with_payload(Packet packet, const Bytes& payload)
{
    packet.payload = payload;
    return packet;
}

} // namespace

TEST_CASE("the one's complement sum is that of RFC 1071's example", "[packet]")
{
    CHECK(ones_sum(rfc1071) == 0xddf2);
    CHECK(ones_sum(Bytes{0x12}) == 0x1200);
    CHECK(ones_sum(Bytes{}, 0x1fffe) == 0xffff);
}

TEST_CASE("a built IPv4 header carries a known checksum", "[packet]")
{
    // 4500 0073 0000 4000 4011 .... c0a8 0001 c0a8 00c7 has the checksum b861.
    const Bytes frame = build({.id = 0,
                               .saddr = ip("192.168.0.1"),
                               .daddr = ip("192.168.0.199"),
                               .l4 = Udp{},
                               .payload = pattern(0x73 - 28)});
    CHECK(frame[14 + 10] == 0xb8);
    CHECK(frame[14 + 11] == 0x61);
}

TEST_CASE("what was built is parsed back the same", "[packet]")
{
    const std::vector<Packet> packets = {
        syn,
        with_payload(syn, text("odd")),
        {.vlans = {7},
         .options = {1, 1, 1, 0},
         .l4 = Udp{.sport = 53, .dport = 5353},
         .payload = pattern(300)},
        {.vlans = {9, 7},
         .l4 = Tcp{.flags = Tcp::ack_flag, .options = {2, 4, 5, 0xb4}},
         .payload = pattern(1)},
        {.l4 = Udp{.checksum = false}, .payload = text("x")},
        {.l4 = Icmp{.type = 3, .code = 4, .rest = 1400}, .payload = pattern(28)},
        {.fragment = 0x0010, .l4 = Raw{17}, .payload = pattern(64)},
        {.l4 = Raw{}, .payload = {}},
    };
    for (const Packet& packet : packets) {
        const Bytes frame = build(packet);
        INFO(describe(frame));
        CHECK(parse(frame) == packet);
        CHECK(checksum_fault(frame).empty());
    }
}

TEST_CASE("every flipped byte of a packet is seen by the checksums that cover it", "[packet]")
{
    const Bytes good = build(with_payload(syn, text("payload")));
    for (std::size_t at = 14; at < good.size(); ++at) {
        Bytes bad = good;
        bad[at] ^= 0x20;
        INFO("byte " << at);
        CHECK_FALSE(checksums_ok(bad));
    }
}

TEST_CASE("the fault names the header whose sum is wrong", "[packet]")
{
    Bytes frame = build({.l4 = Udp{}, .payload = text("abc")});
    frame.back() ^= 1;
    CHECK(checksum_fault(frame) == "UDP");
    frame[14 + 8] ^= 1;
    CHECK(checksum_fault(frame) == "IPv4 header");
    CHECK(checksum_fault(Bytes(60)) == "not a whole IP frame");
}

TEST_CASE("a UDP checksum of zero means none", "[packet]")
{
    Bytes frame = build({.l4 = Udp{.checksum = false}, .payload = text("abc")});
    frame.back() ^= 1;
    CHECK(checksums_ok(frame));
}

TEST_CASE("bytes after the IPv4 length do not count", "[packet]")
{
    Bytes frame = build(syn);
    frame.resize(60, 0xee);
    CHECK(checksums_ok(frame));
    CHECK(parse(frame) == syn);
}

TEST_CASE("a cut frame is not parsed", "[packet]")
{
    const Bytes frame = build(syn);
    for (std::size_t size = 0; size < frame.size(); ++size)
        CHECK_FALSE(parse(std::span(frame).first(size)).has_value());
}

TEST_CASE("completing a partial checksum gives the one computed from scratch", "[packet]")
{
    const Bytes whole = build(with_payload(syn, text("seven b")));
    Bytes frame = whole;
    const PartialChecksum where = make_partial(frame);
    CHECK(where == PartialChecksum{34, 16});
    CHECK(checksum_fault(frame) == "TCP");
    CHECK(complete_partial(frame, where));
    CHECK(frame == whole);
    CHECK_FALSE(complete_partial(frame, {.start = 34, .offset = 200}));
}
