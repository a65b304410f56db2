// Packets that are too large once they are of the other IP version: their sender is told what fits.
#include "model_tunnel.hpp"
#include "siit.hpp"
#include "way.hpp"

using namespace lb;
using namespace lb::test;
using lab::build;

namespace {

// The client's or the target's packet of so many bytes from its IP header on.
Packet of_length(Packet packet, std::size_t length)
{
    packet.payload = lab::pattern(length - lab::quote(build(packet)).size() + packet.payload.size());
    return packet;
}

} // namespace

TEST_CASE("what does not fit as IPv6 is answered with what fits as IPv4", "[datapath][siit][too-big]")
{
    const Net net;
    const auto check = [&](const BenchOptions& options) {
        const Bench bench(across_config(), options);
        const Across across(bench, false, 17);
        const u64 before = bench.counters().forward_packets;
        for (const u16 fragment : {u16{0x4000}, u16{0}}) {
            Packet fits = of_length(across.request(), 1480);
            fits.fragment = fragment;
            CHECK(hex(bench.in(build(fits)).frame) == hex(build(across.expected(fits, false, {}))));
            for (const std::size_t more : {1u, 2u, 20u, 500u}) {
                INFO(more << " bytes too much");
                Packet large = of_length(across.request(), 1480 + more);
                large.fragment = fragment;
                CHECK(pass(bench, build(large), Reason::too_big) ==
                      too_big_answer(build(large), 1480, false));
            }
        }
        CHECK(bench.counters().forward_packets == before + 2); // those that fit
        // With a tag in the frame it goes on: what the kernel does with it is not known here.
        Packet tagged = of_length(across.request(), 1500);
        tagged.vlans = {7};
        CHECK(hex(bench.in(build(tagged)).frame) == hex(build(across.expected(tagged, false, {}))));
        // A fragment gets a longer header.
        Packet datagram = of_length(across.request(), 4000);
        datagram.fragment = 0;
        const auto fitting = lab::split(datagram, 1448, 1), large = lab::split(datagram, 1456, 2);
        CHECK(bench.in(fitting[0]).frame.size() == fitting[0].size() + 28);
        CHECK(pass(bench, large[0], Reason::too_big) == too_big_answer(large[0], 1472, false));
    };
    net.balancer.run([&] {
        for (const auto& options : kernels) check(options);
    });
}

TEST_CASE("what does not fit as IPv4 is answered with what fits as IPv6", "[datapath][siit][too-big]")
{
    const Net net;
    net.balancer.ip("link set eth1 mtu 1400");
    net.balancer.run([&] {
        const Bench bench(across_config(), kernels.front());
        const Across across(bench, true, 17);
        const Packet fits = of_length(across.request(), 1420);
        CHECK(hex(bench.in(build(fits)).frame) == hex(build(across.expected(fits, false, {}))));
        for (const std::size_t more : {1u, 80u}) {
            const Bytes large = build(of_length(across.request(), 1420 + more));
            CHECK(pass(bench, large, Reason::too_big) == too_big_answer(large, 1420, false));
        }
        // What may be fragmented is, by the kernel.
        net.balancer.ip("link set eth1 mtu 1000");
        const Packet fragmentable = of_length(across.request(), 1280);
        const Bytes out = bench.in(build(fragmentable)).frame;
        CHECK(hex(out) == hex(build(across.expected(fragmentable, false, out))));
        // IPv6 has links of 1280 bytes at least, so nobody is told less.
        const Bytes large = build(of_length(across.request(), 1281));
        CHECK(pass(bench, large, Reason::too_big) == too_big_answer(large, 1280, false));
    });
}
