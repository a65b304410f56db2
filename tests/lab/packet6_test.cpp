// IPv6 frames with extension headers, fragments of both families: offsets and lengths as the RFCs draw them.
#include <catch2/catch.hpp>

#include "lab/headers.hpp"
#include "lab/packet.hpp"

using namespace lb::lab;

namespace {

const Address client = ip6("2001:db8::7"), server = ip6("2001:db8:1::9");

Packet udp6(const std::vector<Extension>& extensions, const Bytes& payload = pattern(5))
{
    return {.saddr = client, .daddr = server, .l4 = Udp{}, .payload = payload, .extensions = extensions};
}

// The L4 payload that these fragments make together.
Bytes joined(const std::vector<Bytes>& fragments)
{
    Bytes out;
    for (const auto& frame : fragments) add(out, parse(frame)->payload);
    return out;
}

} // namespace

TEST_CASE("addresses of both families are read and written", "[packet]")
{
    CHECK(ip_text(ip6("2001:DB8:0::1")) == "2001:db8::1");
    CHECK(ip_text(ip("192.0.2.1")) == "192.0.2.1");
    CHECK(Address(ip("192.0.2.1")) == any_ip("192.0.2.1"));
    CHECK(any_ip("::1") == ip6("::1"));
    CHECK(Address(0x01020304).v4() == 0x01020304);
    // The four first bytes alike, and yet not the same address.
    CHECK(Address(0x20010db8) != ip6("2001:db8::"));
    CHECK(endpoint_text(server, 80) == "[2001:db8:1::9]:80");
}

TEST_CASE("extension headers are written as RFC 8200 draws them", "[packet]")
{
    const Bytes frame = build(udp6({hop_by_hop(16), routing(2), fragment_header(0, false, 0xaabbccdd),
                                    authentication(), destination_options()}));
    const std::span ip6_part = std::span<const u8>(frame).subspan(14);
    CHECK(get32(ip6_part, 0) == 0x60000000);
    CHECK(get16(ip6_part, 4) == 16 + 24 + 8 + 24 + 8 + 8 + 5);
    CHECK(ip6_part[6] == 0);
    CHECK(slice(ip6_part, 40, 56) == Bytes{43, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}); // PadN 12
    CHECK(slice(ip6_part, 56, 62) == Bytes{44, 2, 4, 2, 0, 0});
    CHECK(slice(ip6_part, 80, 88) == Bytes{51, 0, 0, 0, 0xaa, 0xbb, 0xcc, 0xdd});
    CHECK(slice(ip6_part, 88, 90) == Bytes{60, 4}); // 24 bytes: 4 words beyond the first two
    CHECK(slice(ip6_part, 112, 120) == Bytes{17, 0, 1, 4, 0, 0, 0, 0});
    CHECK(get16(ip6_part, 122) == 80);
    CHECK(ip_header_size(frame) == 120);
    CHECK(checksums_ok(frame));
}

TEST_CASE("IPv6 frames are parsed back the same", "[packet]")
{
    const std::vector<Packet> packets = {
        udp6({}),
        udp6({hop_by_hop()}),
        udp6({hop_by_hop(8), destination_options(264), routing(0, 4, 3), destination_options(),
              authentication(), fragment_header(0, false, 1)}),
        {.vlans = {9, 7},
         .tos = 0xb8,
         .ttl = 1,
         .saddr = client,
         .daddr = server,
         .l4 = Tcp{.options = {1, 1, 1, 1}},
         .payload = pattern(33),
         .flow_label = 0xabcde},
        {.saddr = client, .daddr = server, .l4 = Icmp{.type = 2, .rest = 1280}, .payload = pattern(1232)},
        {.saddr = client, .daddr = server, .l4 = Raw{59}, .extensions = {destination_options()}},
        {.saddr = client,
         .daddr = server,
         .l4 = Raw{17},
         .payload = pattern(64),
         .extensions = {fragment_header(1232, true, 77)}},
    };
    for (const Packet& packet : packets) {
        const Bytes frame = build(packet);
        INFO(describe(frame));
        CHECK(parse(frame) == packet);
        CHECK(checksum_fault(frame) == "");
        for (std::size_t size = 0; size < frame.size(); ++size)
            CHECK_FALSE(parse(std::span(frame).first(size)).has_value());
    }
}

TEST_CASE("a UDP datagram without a checksum is right in IPv4 and wrong in IPv6", "[packet]")
{
    Packet packet = udp6({});
    packet.l4 = Udp{.checksum = false};
    CHECK(checksum_fault(build(packet)) == "UDP without a checksum in IPv6");
    packet.saddr = ip("192.0.2.1");
    packet.daddr = ip("192.0.2.2");
    CHECK(checksum_fault(build(packet)) == "");
}

TEST_CASE("fragments carry the bytes of the whole, in both families", "[packet]")
{
    const Packet four{.options = {1, 1, 1, 0}, .l4 = Udp{}, .payload = pattern(100)};
    const Packet six = udp6({hop_by_hop(), destination_options()}, pattern(100));
    for (const auto& [packet, in_front] : {std::pair{four, 24UL}, {six, 40 + 8 + 8UL}}) {
        const Bytes whole = build(packet);
        for (const std::size_t room : {8UL, 48UL, 104UL}) {
            const auto pieces = split(packet, room, 0x4321);
            INFO(describe(pieces.front()) << ", " << room);
            Bytes together;
            for (std::size_t i = 0; i < pieces.size(); ++i) {
                CHECK(checksum_fault(pieces[i]) == "");
                const auto piece = slice(pieces[i], 14 + in_front, pieces[i].size());
                CHECK(piece.size() == (i + 1 < pieces.size() ? room : piece.size()));
                add(together, piece);
                if (packet.saddr.six()) {
                    const std::size_t at = 14 + 40 + 8;
                    CHECK(pieces[i][at] == ext_destination);
                    CHECK(get16(pieces[i], at + 2) == i * room + (i + 1 < pieces.size() ? 1 : 0));
                    CHECK(get32(pieces[i], at + 4) == 0x4321);
                } else {
                    CHECK(get16(pieces[i], 18) == 0x4321);
                    CHECK(get16(pieces[i], 20) == i * room / 8 + (i + 1 < pieces.size() ? 0x2000 : 0));
                }
            }
            const std::size_t from = packet.saddr.six() ? 14 + 48 : 14 + 24;
            CHECK(together == slice(whole, from, whole.size()));
        }
    }
    CHECK(joined(split({.l4 = Raw{253}, .payload = pattern(50)}, 16)) == pattern(50));
}
