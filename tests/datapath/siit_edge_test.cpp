// The rarer packets between IPv4 and IPv6: damaged, padded, quoted in part, or of what is not translated.
#include "siit_icmp.hpp"

using namespace lb;
using namespace lb::test;
using lab::build;
using lab::Icmp;
using lab::quote;
using model::Reason;

namespace {

// Both directions of a connection from either version, of TCP and of UDP.
template <class Check> void each_way(const Bench& bench, const Check& check)
{
    u16 port = 5000;
    for (const bool six : {false, true})
        for (const u8 protocol : {u8{6}, u8{17}})
            for (const bool reply : {false, true}) {
                INFO((six ? "client of IPv6, " : "client of IPv4, ")
                     << (protocol == 6 ? "TCP, " : "UDP, ") << (reply ? "reply" : "request"));
                const Across across(bench, six, protocol, ++port);
                Packet packet = reply ? across.reply() : across.request();
                if (protocol == 6) std::get<lab::Tcp>(packet.l4).flags = lab::Tcp::ack_flag;
                check(across, packet, reply);
            }
}

// Where the checksum of L4 is, in a frame that ends with the payload.
std::size_t sum_at(const Packet& packet, const Bytes& frame)
{
    const bool tcp = std::holds_alternative<lab::Tcp>(packet.l4);
    return frame.size() - packet.payload.size() - (tcp ? 4 : 2);
}

Bytes padded(Bytes frame, std::size_t bytes)
{
    for (std::size_t i = 0; i < bytes; ++i) frame.push_back(static_cast<u8>(0xe0 + i));
    return frame;
}

void check_untouched(const Bench& bench, const Bytes& frame, Reason reason)
{
    const u64 before = bench.exits()[reason];
    const auto passage = bench.in(frame);
    CHECK(passage.verdict == xdp_pass);
    CHECK(hex(passage.frame) == hex(frame));
    CHECK(bench.exits()[reason] == before + 1);
}

} // namespace

TEST_CASE("a checksum of UDP or TCP that is wrong stays wrong by as much between IP versions",
          "[datapath][siit]")
{
    const Bench bench(across_config());
    each_way(bench, [&](const Across& across, const Packet& packet, bool reply) {
        const Bytes right = build(packet);
        Bytes frame = right;
        const std::size_t at = sum_at(packet, frame);
        frame[at] ^= 0x12;
        const Bytes out = bench.in(frame).frame, wanted = build(across.expected(packet, reply, out));
        const std::size_t to = sum_at(packet, out);
        REQUIRE(out.size() == wanted.size());
        CHECK_FALSE(lab::checksums_ok(out));
        CHECK((number(out, to, 2) + number(right, at, 2)) % 0xffff ==
              (number(wanted, to, 2) + number(frame, at, 2)) % 0xffff);
        Bytes rest = out;
        rest[to] = wanted[to];
        rest[to + 1] = wanted[to + 1];
        CHECK(hex(rest) == hex(wanted));
    });
}

TEST_CASE("UDP whose checksum comes to 0 between IP versions has the other zero (RFC 768)",
          "[datapath][siit]")
{
    const Bench bench(across_config());
    each_way(bench, [&](const Across& across, Packet packet, bool reply) {
        if (across.protocol == 6) return;
        const auto out = [&] { return bench.in(build(packet)).frame; };
        packet.payload = {0, 0};
        const Bytes first = out();
        const u32 sum = number(first, sum_at(packet, first), 2);
        // In one's complement, this makes the sum 0xffff and the checksum 0.
        packet.payload = {static_cast<u8>(sum >> 8), static_cast<u8>(sum)};
        const Bytes zero = out();
        CHECK(number(zero, sum_at(packet, zero), 2) == 0xffff);
        CHECK(hex(zero) == hex(build(across.expected(packet, reply, zero))));
        // And one that arrives with that is translated like any other.
        packet.payload = {0, 0};
        const Bytes arrives = build(packet);
        const u32 own = number(arrives, sum_at(packet, arrives), 2);
        packet.payload = {static_cast<u8>(own >> 8), static_cast<u8>(own)};
        CHECK(number(build(packet), sum_at(packet, build(packet)), 2) == 0xffff);
        const Bytes crossed = out();
        CHECK(hex(crossed) == hex(build(across.expected(packet, reply, crossed))));
    });
}

TEST_CASE("what Ethernet adds behind a packet is none of it, between IP versions, too", "[datapath][siit]")
{
    const Bench bench(across_config());
    each_way(bench, [&](const Across& across, const Packet& packet, bool reply) {
        for (const std::size_t bytes : {1u, 6u, 18u, 46u}) {
            const Bytes out = bench.in(padded(build(packet), bytes)).frame;
            CHECK(hex(out) == hex(padded(build(across.expected(packet, reply, out)), bytes)));
        }
    });
}

TEST_CASE("a routing header on its way is not translated between IP versions", "[datapath][siit]")
{
    const Bench bench(across_config());
    for (const u8 protocol : {u8{6}, u8{17}}) {
        const Across client(bench, true, protocol), target(bench, false, protocol);
        for (Packet packet : {client.request(), target.reply()})
            for (const auto& extensions :
                 {std::vector{lab::routing(1)}, std::vector{lab::destination_options(), lab::routing(2)}}) {
                packet.extensions = extensions;
                check_untouched(bench, build(packet), Reason::extension_header);
            }
    }
}

TEST_CASE("no part of a datagram without a checksum crosses to IPv6", "[datapath][siit]")
{
    const Bench bench(across_config());
    const Across across(bench, false, 17);
    Packet packet = across.request();
    packet.payload = lab::pattern(1000);
    packet.fragment = 0;
    std::get<lab::Udp>(packet.l4).checksum = false;
    const auto parts = lab::split(packet, 400, 0x99);
    const auto passage = bench.in(parts[0]);
    CHECK(passage.verdict == xdp_drop);
    CHECK(bench.exits()[Reason::siit_no_checksum] == 1);
    for (std::size_t i = 1; i < parts.size(); ++i) check_untouched(bench, parts[i], Reason::fragment_early);
}

TEST_CASE("parts of an ICMP error are not translated between IP versions", "[datapath][siit]")
{
    const Bench bench(across_config());
    for (const bool six : {false, true}) {
        const Across across(bench, six, 17);
        const ErrorCase about(across, false, packet_of(across, false, 1000));
        Packet error = about.arrives(six ? Icmp{3, 3, 0} : Icmp{1, 4, 0}, 1000);
        error.fragment = 0;
        const auto parts = lab::split(error, 400, 0x42);
        check_untouched(bench, parts[0], Reason::icmp_other);
        for (std::size_t i = 1; i < parts.size(); ++i)
            check_untouched(bench, parts[i], Reason::fragment_early);
    }
}

TEST_CASE("an ICMP error with a wrong checksum does not get a right one", "[datapath][siit]")
{
    const Bench bench(across_config());
    for (const bool six : {false, true}) {
        const Across across(bench, six, 17);
        const ErrorCase about(across, false, packet_of(across, false, 100));
        const bool four = !about.sent.saddr.six();
        Bytes frame = build(about.arrives(four ? Icmp{3, 3, 0} : Icmp{1, 4, 0}, 500));
        frame[14 + (four ? 20 : 40) + 2] ^= 0x40;
        const Bytes out = bench.in(frame).frame;
        const Bytes right = build(about.leaves(four ? Icmp{1, 4, 0} : Icmp{3, 3, 0}, 500, out));
        REQUIRE(out.size() == right.size());
        const std::size_t at = 14 + (four ? 40 : 20) + 2;
        CHECK(number(out, at, 2) != number(right, at, 2));
        Bytes rest = out;
        rest[at] = right[at];
        rest[at + 1] = right[at + 1];
        CHECK(hex(rest) == hex(right));
    }
}

TEST_CASE("what Ethernet adds behind an ICMP error is not read as quoted", "[datapath][siit]")
{
    const Bench bench(across_config());
    for (const bool six : {false, true})
        for (const u8 protocol : {u8{6}, u8{17}}) {
            const Across across(bench, six, protocol);
            const ErrorCase about(across, false, packet_of(across, false, 100));
            const bool four = !about.sent.saddr.six();
            const Icmp said = four ? Icmp{3, 3, 0} : Icmp{1, 4, 0},
                       becomes = four ? Icmp{1, 4, 0} : Icmp{3, 3, 0};
            // TCP's checksum is at 16 of its header: with 8, 16 or 17 bytes quoted, what is there is padding.
            for (const std::size_t behind : {8u, 16u, 17u, 18u, 40u}) {
                INFO("quoted L4 " << behind);
                const Bytes frame = build(about.arrives(said, header(about.sent) + behind));
                const auto passage = bench.in(padded(frame, 30));
                Packet leaves = about.leaves(becomes, header(about.original) + behind, passage.frame);
                if (protocol == 6 && behind == 17) leaves.payload.back() = frame.back();
                CHECK(hex(passage.frame) == hex(padded(build(leaves), 30)));
            }
        }
}

TEST_CASE("a quoted packet that is not as lb has sent it tells of nothing", "[datapath][siit]")
{
    const Bench bench(across_config());
    for (const bool six : {false, true}) {
        const Across across(bench, six, 17);
        const ErrorCase about(across, false, packet_of(across, false, 100));
        const bool four = !about.sent.saddr.six();
        Packet quoted = about.sent;
        if (four)
            quoted.options = {1, 1, 1, 0};
        else
            quoted.extensions = {lab::destination_options()};
        Packet error = about.arrives(four ? Icmp{3, 3, 0} : Icmp{1, 4, 0}, 0);
        error.payload = quote(build(quoted));
        check_untouched(bench, build(error), Reason::icmp_other);
        // lb sends no UDP without a checksum. If somebody on the way took it off, it stays off.
        quoted = about.sent;
        std::get<lab::Udp>(quoted.l4).checksum = false;
        error.payload = quote(build(quoted));
        const auto passage = bench.in(build(error));
        Packet leaves = about.leaves(four ? Icmp{1, 4, 0} : Icmp{3, 3, 0}, 500, passage.frame);
        Packet original = about.original;
        std::get<lab::Udp>(original.l4).checksum = false;
        leaves.payload = quote(build(original));
        CHECK(hex(passage.frame) == hex(build(leaves)));
    }
}
