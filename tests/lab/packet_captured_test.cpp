// Frames that a Linux kernel sent, byte for byte: the helper has to find them right, say what they are, build
// the same from their parts, and see each byte that is not as it was.
#include <catch2/catch.hpp>

#include "lab/headers.hpp"
#include "lab/packet.hpp"

using namespace lb::lab;

namespace {

Bytes from_hex(std::string_view digits)
{
    Bytes out;
    for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
        out.push_back(static_cast<u8>(std::stoul(std::string(digits.substr(i, 2)), nullptr, 16)));
    return out;
}

struct Captured {
    const char* what;
    const char* text;
    const char* bytes;
};
constexpr Captured captured[] = {
    {"UDP in IPv4", "192.0.2.1:5000 > 192.0.2.2:9 udp len 5",
     "02000000000b02000000000a0800450000210f9440004011a734c0000201c000020213880009000d246d68656c6c6f"},
    {"a port that is unreachable, in IPv4",
     "192.0.2.2 > 192.0.2.1 icmp 3/3 quoting 192.0.2.1:5000 > 192.0.2.2:9 protocol 17 len 33",
     "02000000000a02000000000b080045c0003d63070000400192f5c0000202c00002010303811f00000000450000210f944000"
     "4011a734c0000201c000020213880009000d246d68656c6c6f"},
    {"TCP in IPv4", "192.0.2.1:5001 > 192.0.2.2:9 tcp S len 0",
     "02000000000b02000000000a08004500003c01e140004006b4d7c0000201c000020213890009716019c500000000a002faf0"
     "52450000020405b40402080a4fda8831000000000103030a"},
    {"a report of multicast listeners, behind a hop-by-hop header", ":: > ff02::16 icmp 143/0 ext 0 len 40",
     "33330000001602000000000b86dd600000000038000100000000000000000000000000000000ff0200000000000000000000"
     "000000163a000502000001008f006d630000000204000000ff0200000000000000000001ff00000b04000000ff0200000000"
     "000000000001ff000002"},
    {"a neighbour solicitation", "2001:db8::1 > ff02::1:ff00:2 icmp 135/0 len 24",
     "3333ff00000202000000000a86dd6000000000203aff20010db8000000000000000000000001ff0200000000000000000001"
     "ff00000287001c1e0000000020010db8000000000000000000000002010102000000000a"},
    {"UDP in IPv6", "[2001:db8::1]:5000 > [2001:db8::2]:9 udp len 5",
     "02000000000b02000000000a86dd600f2ba6000d114020010db800000000000000000000000120010db80000000000000000"
     "0000000213880009000d4cfc68656c6c6f"},
    {"a port that is unreachable, in IPv6",
     "2001:db8::2 > 2001:db8::1 icmp 1/4 quoting [2001:db8::1]:5000 > [2001:db8::2]:9 protocol 17 len 53",
     "02000000000a02000000000b86dd6009e860003d3a4020010db800000000000000000000000220010db80000000000000000"
     "000000010104062b00000000600f2ba6000d114020010db800000000000000000000000120010db800000000000000000000"
     "000213880009000d4cfc68656c6c6f"},
    {"TCP in IPv6", "[2001:db8::1]:5001 > [2001:db8::2]:9 tcp S len 0",
     "02000000000b02000000000a86dd600979570028064020010db800000000000000000000000120010db80000000000000000"
     "0000000213890009916b3c8d00000000a002fd20d5e40000020405a00402080a25ae125e000000000103030a"},
};

} // namespace

TEST_CASE("captured frames are told, found right, and built again from their parts", "[packet]")
{
    for (const auto& row : captured) {
        INFO(row.what);
        const Bytes frame = from_hex(row.bytes);
        CHECK(describe(frame) == row.text);
        CHECK(checksum_fault(frame) == "");
        const auto packet = parse(frame);
        REQUIRE(packet.has_value());
        // A router alert is not padding, so this shows too that content is kept as it is.
        CHECK(build(*packet) == frame);
        Bytes wiped = frame;
        recompute_checksums(wiped);
        CHECK(wiped == frame);
    }
}

TEST_CASE("a changed byte of a captured frame is a fault wherever a checksum covers it", "[packet]")
{
    for (const auto& row : captured) {
        const Bytes good = from_hex(row.bytes);
        const auto shape = shape_of(good);
        for (std::size_t at = shape->ip_at; at < good.size(); ++at) {
            Bytes bad = good;
            bad[at] ^= 0x04;
            INFO(row.what << ", byte " << at);
            // IPv6: class, flow label and hop limit have no checksum, nor have extension headers; another
            // next header is another protocol.
            const std::size_t in = at - shape->ip_at;
            if (at >= shape->ip_at + 40 && at < shape->l4_at) continue;
            const bool uncovered = shape->version == 6 && (in < 4 || in == 6 || in == 7);
            CHECK((checksum_fault(bad) == "") == uncovered);
        }
    }
}

TEST_CASE("what is wrong with a quoted packet is told apart from what is wrong with the error", "[packet]")
{
    for (const std::size_t row : {1UL, 6UL}) {
        const Bytes good = from_hex(captured[row].bytes);
        const std::size_t inner = *quoted_at(good);
        INFO(captured[row].what);
        CHECK(quoted_fault(good) == "");
        for (std::size_t at = inner; at < good.size(); ++at) {
            Bytes bad = good;
            bad[at] ^= 0x04;
            recompute_checksums(bad); // the error is right, what it quotes is not
            INFO("byte " << at);
            CHECK(checksum_fault(bad) == "");
            const std::size_t in = at - inner;
            // Where the length says more than is quoted (byte 4), there is nothing to judge.
            const bool uncovered = row == 6 && (in < 4 || in == 4 || in == 6 || in == 7);
            CHECK((quoted_fault(bad) == "") == uncovered);
        }
        Bytes wiped = good;
        for (std::size_t i = 0; i < 2; ++i) wiped[good.size() - 7 + i] = 0x77; // the UDP checksum
        CHECK(quoted_fault(wiped) == "UDP");
        recompute_quoted(wiped);
        CHECK(wiped == good);
    }
    CHECK(quoted_fault(from_hex(captured[0].bytes)) == "not an ICMP error");
    CHECK(quoted_fault(from_hex(captured[3].bytes)) == "not an ICMP error");
}

TEST_CASE("of a quotation that was cut only what is there is judged", "[packet]")
{
    const Bytes tcp = from_hex(captured[2].bytes);
    const auto error = [&](std::size_t size) {
        return build({.saddr = ip("192.0.2.9"),
                      .daddr = ip("192.0.2.1"),
                      .l4 = Icmp{.type = 3, .code = 4, .rest = 1300},
                      .payload = quote(tcp, size)});
    };
    CHECK(quoted_fault(error(19)) == "no whole IP header is quoted");
    for (const std::size_t size : {20UL, 28UL, 40UL, 59UL, 60UL, 100UL}) {
        Bytes frame = error(size);
        INFO(size);
        CHECK(quoted_fault(frame) == "");
        frame[*quoted_at(frame) + 13] ^= 1;
        CHECK(quoted_fault(frame) == "IPv4 header");
        frame.resize(frame.size() + 40, 0xee); // padding is no part of the quotation
        CHECK(quoted_fault(frame) == "IPv4 header");
    }
    Bytes cut = error(59), whole = error(60);
    for (Bytes* frame : {&cut, &whole}) (*frame)[*quoted_at(*frame) + 21] ^= 1; // a port
    CHECK(quoted_fault(cut) == "");
    CHECK(quoted_fault(whole) == "TCP");
    CHECK(describe(error(28)) ==
          "192.0.2.9 > 192.0.2.1 icmp 3/4 quoting 192.0.2.1:5001 > 192.0.2.2:9 protocol 6 "
          "len 28");
}
