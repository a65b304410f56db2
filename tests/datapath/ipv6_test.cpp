// IPv6 through the programs, with frames and expectations written out by hand: addresses and ports change,
// the checksum is right when it is summed from scratch, and nothing else changes.
#include <array>

#include "bench.hpp"

namespace lb::test {
namespace {

using Address = std::array<u8, 16>;
constexpr u8 tcp = 6, udp = 17;

Address address(const char* text) { return IpAddress::parse(text)->v6(); }

const Address client = address("2001:db8:c::7"), vip = address("2001:db8::80"),
              target = address("2001:db8:b::11");

struct Packet6 {
    Address saddr = client, daddr = vip;
    u16 sport = 40000, dport = 80;
    u8 protocol = tcp;
    u8 flags = 2;                    ///< TCP: SYN
    std::vector<u8> extensions = {}; ///< before L4, as bytes; the first one's type is `first`
    u8 first = 0;
    std::vector<u16> tags = {};
    std::size_t payload = 11;
};

void append16(Bytes& bytes, unsigned value)
{
    bytes.push_back(static_cast<u8>(value >> 8));
    bytes.push_back(static_cast<u8>(value));
}

// RFC 8200, 8.1: pseudo header, then the upper layer, summed as 16-bit numbers.
u16 upper_sum(const Packet6& packet, const Bytes& upper)
{
    Bytes all(packet.saddr.begin(), packet.saddr.end());
    all.insert(all.end(), packet.daddr.begin(), packet.daddr.end());
    append16(all, 0);
    append16(all, static_cast<unsigned>(upper.size()));
    append16(all, 0);
    append16(all, packet.protocol);
    all.insert(all.end(), upper.begin(), upper.end());
    return static_cast<u16>(~lab::ones_sum(all));
}

Bytes build(const Packet6& packet)
{
    Bytes upper;
    append16(upper, packet.sport);
    append16(upper, packet.dport);
    const std::size_t header = packet.protocol == tcp ? 20 : 8;
    upper.resize(header);
    if (packet.protocol == tcp) {
        upper[12] = 0x50;
        upper[13] = packet.flags;
    } else {
        upper[5] = static_cast<u8>(header + packet.payload);
    }
    const Bytes data = lab::pattern(packet.payload);
    upper.insert(upper.end(), data.begin(), data.end());
    u16 sum = upper_sum(packet, upper);
    if (packet.protocol == udp && sum == 0) sum = 0xffff; // RFC 8200, 8.1
    const std::size_t at = packet.protocol == tcp ? 16 : 6;
    upper[at] = static_cast<u8>(sum >> 8);
    upper[at + 1] = static_cast<u8>(sum);

    Bytes frame = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
    for (const u16 tag : packet.tags) {
        append16(frame, 0x8100);
        append16(frame, tag);
    }
    append16(frame, 0x86dd);
    const Bytes fixed = {0x60, 0x12, 0x34, 0x56};
    frame.insert(frame.end(), fixed.begin(), fixed.end());
    append16(frame, static_cast<unsigned>(packet.extensions.size() + upper.size()));
    frame.push_back(packet.extensions.empty() ? packet.protocol : packet.first);
    frame.push_back(64);
    frame.insert(frame.end(), packet.saddr.begin(), packet.saddr.end());
    frame.insert(frame.end(), packet.daddr.begin(), packet.daddr.end());
    frame.insert(frame.end(), packet.extensions.begin(), packet.extensions.end());
    frame.insert(frame.end(), upper.begin(), upper.end());
    return frame;
}

std::string config(const std::string& more = "", const std::string& settings = "")
{
    return config_text({{.listen = R"("address": "2001:db8::80")",
                         .target = R"({"ip": "2001:db8:b::11", "port": 8080})",
                         .more = more}},
                       settings);
}

// Options that fill `words` times 8 bytes, with the type of what follows.
Bytes options(u8 next, u8 words)
{
    Bytes header(std::size_t{words} * 8);
    header[0] = next;
    header[1] = static_cast<u8>(words - 1);
    header[2] = 1; // PadN
    header[3] = static_cast<u8>(header.size() - 4);
    return header;
}

Packet6 forwarded(Packet6 packet)
{
    packet.daddr = target;
    packet.dport = 8080;
    return packet;
}
Packet6 reply_to(Packet6 packet)
{
    packet.saddr = target, packet.daddr = client;
    packet.dport = packet.sport;
    packet.sport = 8080;
    packet.flags = 0x12;
    return packet;
}
Packet6 translated(Packet6 packet)
{
    packet.saddr = vip;
    packet.sport = 80;
    return packet;
}

} // namespace

TEST_CASE("IPv6 is translated toward the target and back, with whatever is before TCP and UDP", "[ipv6]")
{
    const Bench bench(config());
    u16 port = 1000;
    for (const u8 protocol : {tcp, udp})
        for (const auto& tags : {std::vector<u16>{}, {5}, {5, 6}})
            for (const u8 extensions : {u8{0}, u8{1}, u8{2}, u8{6}}) {
                INFO("protocol " << int{protocol} << ", tags " << tags.size() << ", extensions "
                                 << int{extensions});
                Packet6 packet{.sport = ++port, .protocol = protocol, .first = 60, .tags = tags};
                for (u8 i = 1; i <= extensions; ++i) {
                    const Bytes header = options(i == extensions ? protocol : u8{60}, i);
                    packet.extensions.insert(packet.extensions.end(), header.begin(), header.end());
                }
                for (int again = 0; again < 2; ++again) { // a connection's first packet, and a later one
                    const auto in = bench.in(build(packet));
                    CHECK(in.verdict == xdp_pass);
                    CHECK(in.frame == build(forwarded(packet)));
                    packet.flags = 0x10;
                }
                const auto out = bench.out(build(reply_to(packet)));
                CHECK(out.verdict == tc_unspec);
                CHECK(out.frame == build(translated(reply_to(packet))));
            }
    CHECK(bench.counters().connections == 24);
    CHECK(bench.counters().forward_packets == 48);
    CHECK(bench.counters().reply_packets == 24);
}

TEST_CASE("IPv6 cut at any length is passed as it is", "[ipv6]")
{
    const Bench bench(config());
    const Bytes extension = options(tcp, 2);
    for (const auto& extensions : {Bytes{}, extension}) {
        const Bytes whole = build({.extensions = extensions, .payload = 0});
        for (std::size_t length = 14; length < whole.size(); ++length) {
            INFO("length " << length);
            const Bytes frame(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
            const auto in = bench.in(frame);
            CHECK(in.verdict == xdp_pass);
            CHECK(in.frame == frame);
        }
    }
    CHECK(bench.counters().forward_packets == 0);
}

TEST_CASE("an IPv6 header that contradicts itself is passed as it is", "[ipv6]")
{
    const Bench bench(config());
    const auto check = [&](std::size_t at, u8 value, model::Reason reason) {
        INFO("byte " << at << " = " << int{value});
        Bytes frame = build({});
        frame[at] = value;
        const u64 before = bench.exits()[reason];
        CHECK(bench.in(frame).frame == frame);
        CHECK(bench.exits()[reason] == before + 1);
    };
    for (const u8 version : {u8{0x00}, u8{0x40}, u8{0x50}, u8{0x70}, u8{0xf0}})
        check(14, version, model::Reason::bad_header);
    for (const u8 payload : {u8{0}, u8{19}}) check(19, payload, model::Reason::bad_header);
    check(18, 1, model::Reason::truncated); // payload length
    for (const u8 next : {u8{50}, u8{51}, u8{59}, u8{253}}) check(20, next, model::Reason::other_protocol);
}

TEST_CASE("IPv6 listeners match by address, own address and source route", "[ipv6]")
{
    const std::string routes =
        R"("source-routes": [{"source": "2001:db8:c::/48", "target": {"ip": "2001:db8:b::22", "port": 9000}}])";
    const Bench given(config(routes));
    Packet6 packet;
    Packet6 routed = forwarded(packet);
    routed.daddr = address("2001:db8:b::22");
    routed.dport = 9000;
    CHECK(given.in(build(packet)).frame == build(routed));
    packet.saddr = address("2001:db8:d::7");
    CHECK(given.in(build(packet)).frame == build(forwarded(packet)));
    packet.daddr = address("2001:db8::81");
    CHECK(given.in(build(packet)).frame == build(packet));

    const Bench own(config_text({{.listen = "", .target = R"({"ip": "2001:db8:b::11", "port": 8080})"}}),
                    {.own_addresses = {"2001:db8::80"}});
    packet = {};
    CHECK(own.in(build(packet)).frame == build(forwarded(packet)));
    packet.daddr = address("2001:db8::81");
    CHECK(own.in(build(packet)).frame == build(packet));
}

TEST_CASE("both families live in one program, and each is counted for its target", "[ipv6]")
{
    const Bench bench(config_text({{.name = "six",
                                    .listen = R"("address": "2001:db8::80")",
                                    .target = R"({"ip": "2001:db8:b::11", "port": 8080})"},
                                   {.name = "four"}}));
    const Packet6 packet;
    CHECK(bench.in(build(packet)).frame == build(forwarded(packet)));
    const Bytes four = bench.in(lab::build(lab::Packet{})).frame;
    CHECK(lab::checksums_ok(four));
    CHECK(lab::parse(four)->daddr == lab::ip("10.0.0.1"));
    CHECK(bench.counters(0).forward_packets == 1);
    CHECK(bench.counters(1).forward_packets == 1);
}

} // namespace lb::test
