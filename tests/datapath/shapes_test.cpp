// Tags, options and extension headers, each with TCP and UDP in both directions; and the same frames cut at
// every length and damaged at random. A failure at random prints its seed; LB_TEST_SEED=N runs that one
// again.
#include <cstdlib>
#include <random>

#include "shapes.hpp"

using namespace lb;
using namespace lb::test;
using lab::build;
using model::Reason;

TEST_CASE("whatever stands before TCP and UDP, both directions are translated", "[shapes]")
{
    Judge judge = judge_of_both_families();
    u16 port = 1000;
    for (const auto& shape : every_shape())
        for (const std::size_t payload : {0UL, 1UL, 1300UL}) {
            INFO(shape.name << ", payload " << payload);
            const Bytes in = judge.in(build(shape_request(shape, payload, ++port)));
            CHECK(judge.last() == Reason::forwarded);
            CHECK(lab::checksum_fault(in) == "");
            const Bytes out = judge.out(build(shape_reply(shape, payload, port)));
            CHECK(judge.last() == Reason::reply_forwarded);
            CHECK(lab::checksum_fault(out) == "");
        }
}

TEST_CASE("a TTL or hop limit of 1 or 0 is the kernel's to judge, which has the packet afterwards",
          "[shapes]")
{
    Judge judge = judge_of_both_families();
    for (const auto& shape : every_shape())
        for (const u8 ttl : {u8{0}, u8{1}, u8{255}}) {
            Packet packet = shape_request(shape);
            packet.ttl = ttl;
            CHECK(lab::parse(judge.in(build(packet)))->ttl == ttl);
        }
}

TEST_CASE("a frame of any shape that ends early passes untouched, at every length", "[shapes]")
{
    Judge judge = judge_of_both_families();
    for (const auto& shape : every_shape()) {
        INFO(shape.name);
        const Bytes whole = build(shape_request(shape, 5));
        judge.in(whole); // so that the connection is known
        for (std::size_t size = 14; size < whole.size(); ++size) {
            const Bytes frame(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
            CHECK((judge.in(frame) == frame));
            CHECK(judge.last() == Reason::truncated);
        }
    }
}

TEST_CASE("extension headers that are not translated pass untouched", "[shapes]")
{
    using namespace lab;
    struct Row {
        const char* name;
        std::vector<Extension> extensions;
        Reason in, out;
    };
    const std::vector<Extension> seven(7, destination_options());
    const Row rows[] = {
        {"seven", seven, Reason::extension_header, Reason::egress_extension_header},
        {"segments left", {routing(1)}, Reason::extension_header, Reason::egress_extension_header},
        {"segments left behind others",
         {hop_by_hop(), destination_options(), routing(3, 0, 3)},
         Reason::extension_header,
         Reason::egress_extension_header},
        {"authentication", {authentication()}, Reason::other_protocol, Reason::egress_other_protocol},
        {"authentication behind options",
         {destination_options(), authentication()},
         Reason::other_protocol,
         Reason::egress_other_protocol},
    };
    Judge judge = judge_of_both_families();
    const FrameShape plain{.six = true};
    judge.in(build(shape_request(plain)));
    for (const auto& row : rows) {
        INFO(row.name);
        Packet there = shape_request(plain), back = shape_reply(plain);
        there.extensions = back.extensions = row.extensions;
        const Bytes in = build(there), out = build(back);
        CHECK((judge.in(in) == in));
        CHECK(judge.last() == row.in);
        CHECK((judge.out(out) == out));
        CHECK(judge.last() == row.out);
    }
}

TEST_CASE("lengths and header lengths that lie are never followed", "[shapes]")
{
    Judge judge = judge_of_both_families();
    for (const auto& shape : every_shape()) {
        INFO(shape.name);
        const Bytes good = build(shape_request(shape, 5));
        judge.in(good);
        const std::size_t ip = 14 + 4 * shape.tags.size(), length_at = ip + (shape.six ? 4 : 2);
        for (const unsigned length : {0U, 1U, 19U, 20U, 27U, 28U, 39U, 40U, 60U, 255U, 1500U, 65535U}) {
            Bytes frame = good;
            frame[length_at] = static_cast<u8>(length >> 8);
            frame[length_at + 1] = static_cast<u8>(length);
            judge.in(frame);
        }
        for (unsigned first = 0; first < 256; ++first) { // version, and IPv4's header length
            Bytes frame = good;
            frame[ip] = static_cast<u8>(first);
            judge.in(frame);
        }
        if (shape.extensions.empty()) continue;
        for (unsigned size = 0; size < 256; ++size) { // the first extension header's length
            Bytes frame = good;
            frame[ip + 41] = static_cast<u8>(size);
            judge.in(frame);
        }
    }
}

TEST_CASE("frames damaged at random are judged as the model judges them", "[shapes][random]")
{
    const char* chosen = std::getenv("LB_TEST_SEED");
    const u32 seed =
        chosen != nullptr ? static_cast<u32>(std::strtoul(chosen, nullptr, 10)) : std::random_device{}();
    INFO("seed " << seed << ": LB_TEST_SEED=" << seed << " datapath_test '[shapes][random]'");
    std::mt19937 random(seed);
    const auto below = [&](std::size_t end) {
        return std::uniform_int_distribution<std::size_t>(0, end - 1)(random);
    };
    Judge judge = judge_of_both_families();
    const auto shapes = every_shape();
    for (int i = 0; i < 6000; ++i) {
        const auto& shape = shapes[below(shapes.size())];
        const bool out = below(3) == 0;
        const u16 port = static_cast<u16>(1000 + below(30));
        Bytes frame =
            build(out ? shape_reply(shape, below(60), port) : shape_request(shape, below(60), port));
        const std::size_t first = 12, last = std::min<std::size_t>(frame.size(), 14 + 8 + 60 + 20);
        for (std::size_t change = below(3); change-- > 0;)
            frame[first + below(last - first)] = static_cast<u8>(random());
        lab::recompute_checksums(frame); // damage by the sender, not on the way: see wrong_sum_test
        if (!out && below(6) == 0) frame.resize(14 + below(frame.size() - 13));
        if (out)
            judge.out(frame);
        else
            judge.in(frame);
    }
}
