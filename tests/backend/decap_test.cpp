// Tunnels of every kind, taken off: what comes out is the inner packet in a frame of its own type.
#include "bench.hpp"

using namespace lb;
using namespace lb::test;
using model::Reason;
using model::Tunnel;

namespace {

const IpText inner4{.saddr = "198.51.100.7", .daddr = "192.0.2.1", .payload = lab::pattern(33)};
const IpText inner6{.saddr = "2001:db8:7::7", .daddr = "2001:db8::1", .payload = lab::pattern(33)};

/// The outer packet around `payload`, from a balancer to this host.
Bytes outer4(u8 protocol, const Bytes& payload, u8 tos = 0)
{
    return ip_packet(
        {.saddr = "10.0.0.1", .daddr = "10.0.0.2", .protocol = protocol, .payload = payload, .tos = tos});
}
Bytes outer6(u8 protocol, const Bytes& payload, u8 tos = 0)
{
    return ip_packet({.saddr = "2001:db8:1::1",
                      .daddr = "2001:db8:1::2",
                      .protocol = protocol,
                      .payload = payload,
                      .tos = tos});
}

const Bytes gue_ipv4 = {0, 4, 0, 0}, gue_ipv6 = {0, 41, 0, 0};

struct Kind {
    const char* name;
    Tunnel tunnel;
    Bytes packet; ///< with the outer header
    Bytes inner;
};

std::vector<Kind> kinds(const IpText& four = inner4, const IpText& six = inner6, u8 tos = 0)
{
    const Bytes i4 = ip_packet(four), i6 = ip_packet(six);
    return {{"4in4", Tunnel::ipip, outer4(4, i4, tos), i4},
            {"6in4", Tunnel::ipip, outer4(41, i6, tos), i6},
            {"4in6", Tunnel::ipip, outer6(4, i4, tos), i4},
            {"6in6", Tunnel::ipip, outer6(41, i6, tos), i6},
            {"gue 4in4", Tunnel::gue, outer4(17, udp_packet(6080, i4), tos), i4},
            {"gue 6in4", Tunnel::gue, outer4(17, udp_packet(6080, i6), tos), i6},
            {"gue 4in6", Tunnel::gue, outer6(17, udp_packet(6080, i4), tos), i4},
            {"gue 6in6", Tunnel::gue, outer6(17, udp_packet(6080, i6), tos), i6},
            {"gue variant 0 4in4", Tunnel::gue, outer4(17, udp_packet(6080, gue_ipv4 + i4), tos), i4},
            {"gue variant 0 6in4", Tunnel::gue, outer4(17, udp_packet(6080, gue_ipv6 + i6), tos), i6},
            {"gue variant 0 4in6", Tunnel::gue, outer6(17, udp_packet(6080, gue_ipv4 + i4), tos), i4},
            {"gue variant 0 6in6", Tunnel::gue, outer6(17, udp_packet(6080, gue_ipv6 + i6), tos), i6}};
}

/// One program of each tunnel.
struct Benches {
    explicit Benches(bool frags = true)
        : ipip(backend_of(Tunnel::ipip), frags),
          gue(backend_of(Tunnel::gue), frags)
    {}
    BackendBench& of(Tunnel tunnel) { return tunnel == Tunnel::gue ? gue : ipip; }
    BackendBench ipip, gue;
};

} // namespace

TEST_CASE("each tunnel of each family is taken off, and the inner packet is given to the host", "[backend]")
{
    for (const bool frags : {false, true}) {
        Benches benches(frags);
        for (const auto& kind : kinds()) {
            INFO(kind.name << (frags ? ", frags" : ""));
            const auto passage = benches.of(kind.tunnel).in(framed(kind.packet));
            CHECK(passage.reason == Reason::decapsulated);
            CHECK(passage.verdict == xdp_pass);
            CHECK(passage.frame == framed(kind.inner));
        }
    }
}

TEST_CASE("one frame in literal bytes: 6in4 comes out as IPv6", "[backend]")
{
    const Bytes in = {0x02, 0,    0,    0,    0, 1, 0x02, 0,  0,  0,  0,    9,    0x08, 0x00, // Ethernet
                      0x45, 0,    0,    62,   0, 0, 0,    0,  64, 41, 0x66, 0x94, 10,   0,    0, 1,    10,
                      0,    0,    2,                          // IPv4
                      0x60, 0,    0,    0,    0, 2, 59,   64, // IPv6
                      0x20, 1,    0x0d, 0xb8, 0, 7, 0,    0,  0,  0,  0,    0,    0,    0,    0, 7,    0x20,
                      1,    0x0d, 0xb8, 0,    0, 0, 0,    0,  0,  0,  0,    0,    0,    0,    1, 0xab, 0xcd};
    const Bytes out = {0x02, 0,  0,    0,    0, 1,    0x02, 0, 0, 0, 0, 9, 0x86, 0xdd, 0x60, 0, 0,    0,   0,
                       2,    59, 64,   0x20, 1, 0x0d, 0xb8, 0, 7, 0, 0, 0, 0,    0,    0,    0, 0,    0,   7,
                       0x20, 1,  0x0d, 0xb8, 0, 0,    0,    0, 0, 0, 0, 0, 0,    0,    0,    1, 0xab, 0xcd};
    BackendBench bench(backend_of(Tunnel::ipip));
    CHECK(bench.in(in).frame == out);
}

TEST_CASE("a frame that is cut off anywhere passes as it is", "[backend]")
{
    for (const bool frags : {false, true}) {
        Benches benches(frags);
        for (const auto& kind : kinds()) {
            const Bytes whole = framed(kind.packet);
            // The kernel makes no frame of less than an Ethernet header.
            for (std::size_t length = 14; length < whole.size(); ++length) {
                INFO(kind.name << " cut to " << length);
                const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
                const auto passage = benches.of(kind.tunnel).in(cut);
                CHECK(passage.reason == Reason::decap_truncated);
                CHECK(passage.verdict == xdp_pass);
                CHECK(passage.frame == cut);
            }
        }
    }
}

TEST_CASE("padding behind the outer packet stays behind the inner one", "[backend]")
{
    Benches benches;
    for (const auto& kind : kinds()) {
        const auto passage = benches.of(kind.tunnel).in(framed(kind.packet) + Bytes{0, 0, 0});
        CHECK(passage.frame == framed(kind.inner) + Bytes{0, 0, 0});
    }
}

TEST_CASE("an inner packet in several buffers is decapsulated, and one byte less passes", "[backend]")
{
    Benches benches;
    IpText four = inner4, six = inner6;
    four.payload = six.payload = lab::pattern(8900);
    for (const auto& kind : kinds(four, six)) {
        INFO(kind.name);
        Bytes frame = framed(kind.packet);
        CHECK(benches.of(kind.tunnel).in(frame).frame == framed(kind.inner));
        frame.pop_back();
        const auto cut = benches.of(kind.tunnel).in(frame);
        CHECK(cut.reason == Reason::decap_truncated);
        CHECK(cut.frame == frame);
    }
}

TEST_CASE("inner IPv4 options and inner fragments are the host's", "[backend]")
{
    IpText inner = inner4;
    inner.options = {1, 1, 1, 1, 1, 1, 1, 0};
    inner.fragment = 0x2003;
    Benches benches;
    for (const auto& kind : kinds(inner)) {
        INFO(kind.name);
        CHECK(benches.of(kind.tunnel).in(framed(kind.packet)).frame == framed(kind.inner));
    }
}

TEST_CASE("the congestion mark is carried over by RFC 6040, figure 4", "[backend]")
{
    // By inner and outer mark: Not-ECT, ECT(1), ECT(0), CE; -1: dropped.
    constexpr int expected[4][4] = {{0, 0, 0, -1}, {1, 1, 1, 3}, {2, 1, 2, 3}, {3, 3, 3, 3}};
    Benches benches;
    for (u8 inner = 0; inner < 4; ++inner)
        for (u8 outer = 0; outer < 4; ++outer)
            for (const u8 dscp : {u8{0}, u8{0xb8}, u8{0xfc}}) {
                const auto marked = [&](IpText text, int ecn) {
                    text.tos = static_cast<u8>(dscp | ecn);
                    return text;
                };
                const int wanted = expected[inner][outer];
                const auto in =
                    kinds(marked(inner4, inner), marked(inner6, inner), static_cast<u8>(0x28 | outer));
                const auto out = kinds(marked(inner4, wanted), marked(inner6, wanted));
                for (std::size_t i = 0; i < in.size(); ++i) {
                    INFO(in[i].name << ", inner " << int{inner} << ", outer " << int{outer});
                    const auto passage = benches.of(in[i].tunnel).in(framed(in[i].packet));
                    if (wanted < 0) {
                        CHECK(passage.verdict == xdp_drop);
                        CHECK(passage.reason == Reason::decap_congested);
                        continue;
                    }
                    // The model makes header sums from scratch.
                    CHECK(passage.verdict == xdp_pass);
                    CHECK(passage.frame == framed(out[i].inner));
                }
            }
}

TEST_CASE("a header checksum stays right for every value that it may have", "[backend]")
{
    BackendBench bench(backend_of(Tunnel::ipip));
    IpText inner = inner4;
    inner.tos = 2;
    for (u32 host = 0; host < 700; ++host) {
        inner.saddr = "198.51." + std::to_string(host % 256) + "." + std::to_string(host * 7 % 256);
        const auto passage = bench.in(framed(outer4(4, ip_packet(inner), 3)));
        REQUIRE(passage.frame[15] == 3);
        REQUIRE(header_sum_is_right(Bytes(passage.frame.begin() + 14, passage.frame.end())));
    }
}

TEST_CASE("with --from only those prefixes may send", "[backend]")
{
    struct Row {
        const char* prefix;
        bool four, six; ///< taken from 10.0.0.1 and from 2001:db8:1::1
    };
    for (const auto& [prefix, four, six] :
         {Row{"10.0.0.0/24", true, false}, Row{"10.0.0.1", true, false}, Row{"10.0.0.3", false, false},
          Row{"0.0.0.0/0", true, false}, Row{"10.0.0.2/31", false, false}, Row{"::/0", false, true},
          Row{"2001:db8:1::/48", false, true}, Row{"2001:db8:1::/64", false, true},
          Row{"2001:db8:2::/48", false, false}, Row{"2001:db8:1::/96", false, true},
          Row{"2001:db8:1:0:1::/96", false, false}, Row{"2001:db8:1::1", false, true},
          Row{"2001:db8:1::3", false, false}}) {
        INFO(prefix);
        model::Backend backend = backend_of(Tunnel::ipip);
        backend.senders = {*Prefix::parse("203.0.113.0/24"), *Prefix::parse(prefix)};
        BackendBench bench(backend);
        const auto reason = [](bool taken) {
            return taken ? Reason::decapsulated : Reason::decap_other_sender;
        };
        CHECK(bench.in(framed(outer4(4, ip_packet(inner4)))).reason == reason(four));
        CHECK(bench.in(framed(outer6(4, ip_packet(inner4)))).reason == reason(six));
    }
}

TEST_CASE("a family without a VIP is nobody's", "[backend]")
{
    model::Backend backend = backend_of(Tunnel::ipip);
    backend.vips = {*IpAddress::parse("192.0.2.1")};
    BackendBench four(backend);
    CHECK(four.in(framed(outer4(41, ip_packet(inner6)))).reason == Reason::decap_not_vip);
    CHECK(four.in(framed(outer6(4, ip_packet(inner4)))).reason == Reason::decapsulated);
}

TEST_CASE("another port of GUE is taken where it is configured", "[backend]")
{
    model::Backend backend = backend_of(Tunnel::gue);
    backend.gue_port = 5555;
    BackendBench bench(backend);
    const Bytes i4 = ip_packet(inner4);
    CHECK(bench.in(framed(outer4(17, udp_packet(5555, i4)))).reason == Reason::decapsulated);
    CHECK(bench.in(framed(outer4(17, udp_packet(6080, i4)))).reason == Reason::decap_not_tunnel);
}
