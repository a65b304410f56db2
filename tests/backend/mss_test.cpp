// The MSS of SYNs that leave from a VIP: found wherever it is, only lowered, the checksum made right.
#include "bench.hpp"

using namespace lb;
using namespace lb::test;
using model::Reason;
using model::Tunnel;

namespace {

struct Family {
    std::string vip, client;
    std::size_t l4; ///< where TCP begins in the frame
    u16 limit;
};
const Family families[] = {{"192.0.2.1", "198.51.100.7", 34, 1440},
                           {"2001:db8::1", "2001:db8:7::7", 54, 1420}};

Bytes mss(u16 value) { return {2, 4, static_cast<u8>(value >> 8), static_cast<u8>(value)}; }

Bytes syn(const Family& family, const Bytes& options, u8 flags = 0x12, const Bytes& payload = {})
{
    return framed(tcp_packet({.saddr = family.vip,
                              .daddr = family.client,
                              .flags = flags,
                              .options = options,
                              .payload = payload}));
}

Bytes packet_of(const Bytes& frame) { return {frame.begin() + 14, frame.end()}; }

} // namespace

TEST_CASE("the MSS is lowered wherever the option is, and no other byte but the checksum changes",
          "[backend]")
{
    BackendBench bench(backend_of(Tunnel::ipip));
    const Bytes nop = {1}, sack = {4, 2}, scale = {3, 3, 7}, times = {8, 10, 1, 2, 3, 4, 5, 6, 7, 8};
    for (const auto& family : families)
        for (const Bytes& before : {Bytes{}, nop, nop + nop, sack, scale, scale + nop, times, times + nop,
                                    Bytes(35, 1), Bytes(36, 1), sack + times + scale + nop})
            for (const u16 offered : {u16{1460}, u16{8960}, u16{65535}, u16{1441}, u16(family.limit + 1)}) {
                const auto options = [&](u16 value) {
                    Bytes all = before + mss(value);
                    while (all.size() % 4 != 0) all.push_back(0);
                    return all;
                };
                if (options(1).size() > 40) continue;
                INFO(family.vip << ", behind " << before.size() << " bytes, offered " << offered);
                const auto passage = bench.out(syn(family, options(offered)));
                CHECK(passage.reason == Reason::mss_lowered);
                CHECK(passage.verdict == tc_unspec);
                // The model's own packet with the smaller value: its checksum is made from scratch.
                CHECK(passage.frame == syn(family, options(family.limit)));
                CHECK(tcp_sum_is_right(packet_of(passage.frame)));
            }
}

TEST_CASE("the MSS of a plain SYN is lowered like that of a SYN-ACK, data or not", "[backend]")
{
    BackendBench bench(backend_of(Tunnel::ipip));
    for (const auto& family : families)
        for (const u8 flags : {u8{0x02}, u8{0x12}, u8{0x52}, u8{0xc2}})
            CHECK(bench.out(syn(family, mss(1460), flags, lab::pattern(77))).frame ==
                  syn(family, mss(family.limit), flags, lab::pattern(77)));
}

TEST_CASE("a checksum stays right for every value that it may have", "[backend]")
{
    BackendBench bench(backend_of(Tunnel::ipip));
    for (const auto& family : families)
        for (u32 i = 0; i < 600; ++i)
            for (const Bytes& before : {Bytes{}, Bytes{1}}) {
                Bytes options = before + mss(static_cast<u16>(1461 + i * 97));
                options.resize((options.size() + 3) / 4 * 4);
                const auto passage = bench.out(syn(family, options, 0x12, lab::pattern(i)));
                REQUIRE(passage.reason == Reason::mss_lowered);
                REQUIRE(tcp_sum_is_right(packet_of(passage.frame)));
            }
}

TEST_CASE("everything else leaves as it is, and its reason is counted", "[backend]")
{
    BackendBench bench(backend_of(Tunnel::ipip));
    const auto check = [&](const char* name, const Bytes& frame, Reason reason) {
        INFO(name);
        const auto passage = bench.out(frame);
        CHECK(model::info(passage.reason).name == model::info(reason).name);
        CHECK(passage.verdict == tc_unspec);
        CHECK(passage.frame == frame);
    };
    for (const auto& family : families) {
        INFO(family.vip);
        check("small enough", syn(family, mss(family.limit)), Reason::mss_fits);
        check("smaller", syn(family, mss(536)), Reason::mss_fits);
        check("no option", syn(family, {}), Reason::mss_absent);
        check("only others", syn(family, {1, 3, 3, 7, 4, 2, 1, 1}), Reason::mss_absent);
        check("behind the end", syn(family, Bytes{0, 0, 0, 0} + mss(1460)), Reason::mss_absent);
        check("an option of length 0", syn(family, Bytes{9, 0, 1, 1} + mss(1460)), Reason::mss_absent);
        check("an option of length 1", syn(family, Bytes{9, 1, 1, 1} + mss(1460)), Reason::mss_absent);
        check("an option past the end", syn(family, Bytes{9, 200, 1, 1} + mss(1460)), Reason::mss_absent);
        check("an MSS of length 3", syn(family, {2, 3, 9, 9}), Reason::mss_absent);
        check("an MSS that is cut off", syn(family, {1, 2, 4, 9}), Reason::mss_absent);
        check("40 bytes of nothing", syn(family, Bytes(40, 1)), Reason::mss_absent);
        check("an ACK", syn(family, mss(1460), 0x10), Reason::mss_not_syn);
        check("a FIN", syn(family, mss(1460), 0x11), Reason::mss_not_syn);
        check("from another address",
              framed(tcp_packet({.saddr = family.client, .daddr = family.vip, .options = mss(1460)})),
              Reason::mss_not_vip);
        check(
            "UDP",
            framed(ip_packet(
                {.saddr = family.vip, .daddr = family.client, .protocol = 17, .payload = lab::pattern(40)})),
            Reason::mss_not_syn);
        check("options said to be longer than the packet",
              framed(tcp_packet({.saddr = family.vip, .daddr = family.client, .data_offset = 15})),
              Reason::mss_truncated);
        Bytes short_offset = syn(family, mss(1460));
        short_offset[family.l4 + 12] = 0x40;
        check("a data offset of 4", short_offset, Reason::mss_absent);
    }
    Bytes arp = syn(families[0], mss(1460));
    arp[13] = 6;
    check("ARP", arp, Reason::mss_not_vip);
    check("IPv4 options",
          framed(ip_packet({.saddr = "192.0.2.1",
                            .daddr = "198.51.100.7",
                            .payload = lab::pattern(40),
                            .options = {1, 1, 1, 0}})),
          Reason::mss_ip_options);
    check("a later fragment",
          framed(ip_packet(
              {.saddr = "192.0.2.1", .daddr = "198.51.100.7", .payload = lab::pattern(40), .fragment = 3})),
          Reason::mss_not_syn);
    check(
        "hop-by-hop options",
        framed(ip_packet(
            {.saddr = "2001:db8::1", .daddr = "2001:db8:7::7", .protocol = 0, .payload = lab::pattern(40)})),
        Reason::mss_ip_options);
}

TEST_CASE("a leaving frame that is cut off anywhere leaves as it is", "[backend]")
{
    BackendBench bench(backend_of(Tunnel::ipip));
    for (const auto& family : families) {
        const Bytes whole = syn(family, Bytes{4, 2, 1, 1} + mss(1460));
        // A test run refuses frames that end within the IP header.
        for (std::size_t length = family.l4; length < whole.size(); ++length) {
            INFO(family.vip << " cut to " << length);
            const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
            const auto passage = bench.out(cut);
            CHECK(passage.reason == Reason::mss_truncated);
            CHECK(passage.frame == cut);
        }
    }
}
