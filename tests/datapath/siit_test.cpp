// Full NAT between IPv4 and IPv6 (RFC 7915): each packet is held against one of the other version that is
// built from what it ought to say, every byte of it.
#include "siit.hpp"

#include <random>

using namespace lb;
using namespace lb::test;
using lab::build;
using lab::Extension;
using lab::fragment_header;
using model::Reason;

namespace {

void check_crossing(const Bench& bench, const Across& across, const Packet& packet, bool reply)
{
    const Bytes frame = build(packet);
    const auto passage = bench.in(frame);
    INFO(lab::describe(frame) << " became " << lab::describe(passage.frame));
    REQUIRE(passage.verdict == xdp_pass);
    REQUIRE(hex(passage.frame) == hex(build(across.expected(packet, reply, passage.frame))));
}

/// Any request or reply that is translated.
Packet random_packet(std::mt19937& random, const Across& across, bool reply)
{
    const auto one_of = [&](auto... values) {
        const std::array all = {values...};
        return all[random() % all.size()];
    };
    const bool tcp = across.protocol == 6;
    Packet packet = reply ? across.reply() : across.request();
    packet.payload = lab::pattern(one_of(0u, 1u, 2u, 3u, 8u, 17u, 512u, 1199u, 1200u, 1201u, 1240u, 1400u));
    for (u8& each : packet.payload) each = static_cast<u8>(random());
    packet.tos = static_cast<u8>(random());
    packet.ttl = one_of(u8{2}, u8{3}, u8{64}, u8{255});
    for (u32 tags = random() % 4; tags > 1; --tags) packet.vlans.push_back(static_cast<u16>(random() % 4095));
    if (tcp) {
        auto& header = std::get<lab::Tcp>(packet.l4);
        header.seq = static_cast<u32>(random());
        header.flags = lab::Tcp::ack_flag | (random() % 2 ? lab::Tcp::psh : u8{0});
        header.urgent = static_cast<u16>(random());
        header.options = one_of(Bytes{}, Bytes{1, 1, 1, 0}, Bytes(20, 1));
    }
    if (!packet.saddr.six()) {
        packet.id = static_cast<u16>(random());
        packet.fragment = one_of(u16{0}, u16{0x4000});
        // No operation; a stream id; a time stamp with bytes that look like a source route.
        packet.options = one_of(Bytes{}, Bytes{}, Bytes{1, 1, 1, 0}, Bytes{136, 4, 131, 137},
                                Bytes{1, 68, 8, 5, 0, 131, 7, 4, 137, 3, 3, 0}, Bytes(40, 1));
    } else {
        packet.flow_label = random() % 0x100000;
        for (u32 count = random() % 4; count > 1; --count)
            packet.extensions.push_back(
                one_of(lab::hop_by_hop(), lab::destination_options(16), lab::routing(0)));
    }
    return packet;
}

} // namespace

TEST_CASE("packets between IP versions are those that RFC 7915 says, both ways", "[datapath][siit]")
{
    std::mt19937 random(7915);
    for (const KernelFeatures& kernel : {KernelFeatures{}, *KernelFeatures::from_version("6.18")}) {
        const Bench bench(across_config(), {.kernel = kernel});
        for (const bool six : {false, true})
            for (const u8 protocol : {u8{6}, u8{17}}) {
                const Across across(bench, six, protocol);
                for (int round = 0; round < 2500; ++round) {
                    const bool reply = round % 2 == 1;
                    const Packet packet = random_packet(random, across, reply);
                    check_crossing(bench, across, packet, reply);
                }
            }
        CHECK(bench.counters(0).connections + bench.counters(1).connections == 4);
    }
}

TEST_CASE("replies between IP versions arrive by the targets' side as well", "[datapath][siit][kernels]")
{
    const Bench bench(across_config(), {.inside = true});
    for (const bool six : {false, true})
        for (const u8 protocol : {u8{6}, u8{17}}) {
            const Across across(bench, six, protocol);
            const Packet reply = across.reply();
            const Bytes out = bench.inside(build(reply)).frame;
            CHECK(hex(out) == hex(build(across.expected(reply, true, out))));
            // What a client sends is the listeners' business.
            CHECK(bench.inside(build(across.request())).frame == build(across.request()));
        }
    CHECK(bench.exits()[Reason::reply_translated] == 4);
}

TEST_CASE("fragments between IP versions, the first and the later ones", "[datapath][siit][kernels]")
{
    const Bench bench(across_config());
    for (const bool six : {false, true})
        for (const u8 protocol : {u8{6}, u8{17}})
            for (const bool reply : {false, true}) {
                const Across across(bench, six, protocol);
                INFO((six ? "from IPv6 " : "from IPv4 ") << (protocol == 6 ? "TCP " : "UDP ") << reply);
                Packet packet = reply ? across.reply() : across.request();
                if (protocol == 6) std::get<lab::Tcp>(packet.l4).flags = lab::Tcp::ack_flag;
                packet.payload = lab::pattern(1003);
                packet.tos = 0x2e;
                constexpr u32 id = 0xbeef4711;
                const auto sent = lab::split(packet, 400, packet.saddr.six() ? id : id & 0xffff);
                Packet whole = across.expected(packet, reply, {});
                whole.fragment = 0;
                const auto wanted = lab::split(whole, 400, id & 0xffff);
                REQUIRE(sent.size() == wanted.size());
                for (std::size_t i = 0; i < sent.size(); ++i) {
                    INFO("fragment " << i);
                    CHECK(hex(bench.in(sent[i]).frame) == hex(wanted[i]));
                }
                // One that comes first of all is nobody's.
                const auto early = lab::split(packet, 400, 0x77);
                CHECK(bench.in(early[1]).frame == early[1]);
            }
    CHECK(bench.exits()[Reason::fragment_early] == 8);
    CHECK(bench.exits()[Reason::fragment_forwarded] == 16);
}

TEST_CASE("a packet of IPv6 that says it could be a fragment is whole, with its identification",
          "[datapath][siit]")
{
    const Bench bench(across_config());
    const Across across(bench, true, 17);
    Packet packet = across.request();
    packet.payload = lab::pattern(1300);
    packet.extensions = {fragment_header(0, false, 0xabcd1234)}; // RFC 6946
    Packet wanted = across.expected(packet, false, {});
    wanted.id = 0x1234;
    wanted.fragment = 0;
    CHECK(hex(bench.in(build(packet)).frame) == hex(build(wanted)));
}

TEST_CASE("what cannot be a packet of the other IP version is not translated", "[datapath][siit]")
{
    const Bench bench(across_config());
    const Across from4(bench, false, 17), from6(bench, true, 17);
    const auto counted = [&](Reason reason) { return bench.exits()[reason]; };

    Packet packet = from4.request();
    for (Packet each : {from4.request(), from4.reply(), from6.request(), from6.reply()}) {
        std::get<lab::Udp>(each.l4).checksum = false;
        CHECK(bench.in(build(each)).verdict == xdp_drop);
    }
    CHECK(counted(Reason::siit_no_checksum) == 4);

    for (const u8 type : {u8{131}, u8{137}}) {
        packet = from4.request();
        packet.options = {1, 1, type, 7, 4, 10, 0, 0, 9, 0, 0, 0};
        CHECK(bench.in(build(packet)).verdict == xdp_drop);
    }
    CHECK(counted(Reason::siit_source_route) == 2);

    for (const auto& request : {from4.request(), from6.request()})
        for (const u8 hops : {u8{0}, u8{1}}) {
            packet = request;
            packet.ttl = hops;
            const auto passage = bench.in(build(packet));
            CHECK(passage.verdict == xdp_drop);
            CHECK(passage.frame == build(packet));
        }
    CHECK(counted(Reason::last_hop) == 4);
}

TEST_CASE("frames cut at any length are left as they are between IP versions, too", "[datapath][siit]")
{
    const Bench bench(across_config());
    for (const bool six : {false, true})
        for (const u8 protocol : {u8{6}, u8{17}}) {
            const Across across(bench, six, protocol);
            for (const bool reply : {false, true}) {
                const Bytes whole = build(reply ? across.reply() : across.request());
                for (std::size_t size = 14; size < whole.size(); ++size) {
                    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
                    const auto passage = bench.in(cut);
                    INFO("of " << whole.size() << " bytes " << size);
                    CHECK(passage.verdict == xdp_pass);
                    CHECK(passage.frame == cut);
                }
            }
        }
}

TEST_CASE("an IPv6 packet that is longer than IPv4 knows is dropped", "[datapath][siit]")
{
    const Bench bench(across_config(), {.kernel = *KernelFeatures::from_version("6.18")});
    const Across across(bench, true, 17);
    Packet packet = across.request();
    for (const std::size_t payload : {65507u, 65508u, 65527u}) {
        packet.payload = lab::pattern(payload);
        const Bytes frame = build(packet);
        const auto passage = bench.in(frame);
        INFO(payload);
        CHECK(passage.verdict == (payload == 65507 ? xdp_pass : xdp_drop));
        CHECK(bench.exits()[Reason::siit_failed] == (payload == 65507 ? 0 : payload == 65508 ? 1 : 2));
    }
}

TEST_CASE("an IPv4 header with a wrong checksum does not become a good one of IPv6", "[datapath][siit]")
{
    const Bench bench(across_config());
    const Across across(bench, false, 17);
    u64 wrong = 0;
    for (const Bytes& options : {Bytes{}, Bytes(4, 1), Bytes(40, 1)}) {
        Packet packet = across.request();
        packet.options = options;
        const Bytes right = build(packet);
        CHECK(bench.in(right).frame != right);
        for (std::size_t at = 14; at < 34 + options.size(); ++at) {
            if (at == 14 || at == 16 || at == 17) continue; // version and lengths say more than their sum
            Bytes frame = right;
            frame[at] ^= 0x20;
            const auto passage = bench.in(frame);
            INFO("byte " << at << " of a header with " << options.size() << " bytes of options");
            CHECK(passage.verdict == xdp_pass);
            CHECK(passage.frame == frame);
            ++wrong;
        }
    }
    CHECK(wrong > 90);
}
