// ICMP errors about packets between IPv4 and IPv6 (RFC 7915, 4.2 and 5.2): whoever gets one finds the packet
// in it that it has sent.
#include "siit_icmp.hpp"

using namespace lb;
using namespace lb::test;
using lab::build;
using lab::Icmp;
using lab::quote;
using model::Reason;

namespace {

struct Word {
    Icmp said = {};
    std::optional<Icmp> becomes = {};
};

const Word from_icmpv4[] = {
    {{3, 0, 0}, Icmp{1, 0, 0}},
    {{3, 1, 0}, Icmp{1, 0, 0}},
    {{3, 2, 0}, Icmp{4, 1, 6}},
    {{3, 3, 0}, Icmp{1, 4, 0}},
    {{3, 4, 1300}, Icmp{2, 0, 1320}},
    {{3, 4, 1260}, Icmp{2, 0, 1280}},
    {{3, 4, 576}, Icmp{2, 0, 1280}},
    {{3, 4, 0}, Icmp{2, 0, 1280}}, // the quoted packet is shorter than 1492
    {{3, 4, 0xffff0000 | 1400}, Icmp{2, 0, 1420}},
    {{3, 5, 0}, Icmp{1, 0, 0}},
    {{3, 6, 0}, Icmp{1, 0, 0}},
    {{3, 7, 0}, Icmp{1, 0, 0}},
    {{3, 8, 0}, Icmp{1, 0, 0}},
    {{3, 9, 0}, Icmp{1, 1, 0}},
    {{3, 10, 0}, Icmp{1, 1, 0}},
    {{3, 11, 0}, Icmp{1, 0, 0}},
    {{3, 12, 0}, Icmp{1, 0, 0}},
    {{3, 13, 0}, Icmp{1, 1, 0}},
    {{3, 14, 0}, {}},
    {{3, 15, 0}, Icmp{1, 1, 0}},
    {{3, 16, 0}, {}},
    {{11, 0, 0}, Icmp{3, 0, 0}},
    {{11, 1, 0x12345678}, Icmp{3, 1, 0}}, // what is not used is 0
    {{12, 0, 0}, Icmp{4, 0, 0}},
    {{12, 0, 1u << 24}, Icmp{4, 0, 1}},
    {{12, 0, 2u << 24}, Icmp{4, 0, 4}},
    {{12, 0, 3u << 24}, Icmp{4, 0, 4}},
    {{12, 0, 4u << 24}, {}},
    {{12, 0, 7u << 24}, {}},
    {{12, 2, 8u << 24}, Icmp{4, 0, 7}},
    {{12, 0, 9u << 24}, Icmp{4, 0, 6}},
    {{12, 0, 10u << 24}, {}},
    {{12, 0, 11u << 24}, {}},
    {{12, 0, 12u << 24}, Icmp{4, 0, 8}},
    {{12, 0, 15u << 24}, Icmp{4, 0, 8}},
    {{12, 0, 16u << 24}, Icmp{4, 0, 24}},
    {{12, 0, 19u << 24}, Icmp{4, 0, 24}},
    {{12, 0, 20u << 24}, {}},
    {{12, 1, 0}, {}},
    {{12, 3, 0}, {}},
};

const Word from_icmpv6[] = {
    {{1, 0, 0}, Icmp{3, 1, 0}},
    {{1, 1, 0}, Icmp{3, 10, 0}},
    {{1, 2, 0}, Icmp{3, 1, 0}},
    {{1, 3, 7}, Icmp{3, 1, 0}},
    {{1, 4, 0}, Icmp{3, 3, 0}},
    {{1, 5, 0}, {}},
    {{1, 6, 0}, {}},
    {{2, 0, 1300}, Icmp{3, 4, 1280}},
    {{2, 0, 1280}, Icmp{3, 4, 1260}},
    {{2, 0, 200000}, Icmp{3, 4, 65515}},
    {{2, 0, 10}, Icmp{3, 4, 68}}, // less than any link of IPv4 has
    {{3, 0, 0}, Icmp{11, 0, 0}},
    {{3, 1, 0}, Icmp{11, 1, 0}},
    {{4, 0, 0}, Icmp{12, 0, 0}},
    {{4, 0, 1}, Icmp{12, 0, 1u << 24}},
    {{4, 0, 2}, {}},
    {{4, 0, 3}, {}},
    {{4, 0, 4}, Icmp{12, 0, 2u << 24}},
    {{4, 0, 5}, Icmp{12, 0, 2u << 24}},
    {{4, 0, 6}, Icmp{12, 0, 9u << 24}},
    {{4, 0, 7}, Icmp{12, 0, 8u << 24}},
    {{4, 0, 8}, Icmp{12, 0, 12u << 24}},
    {{4, 0, 23}, Icmp{12, 0, 12u << 24}},
    {{4, 0, 24}, Icmp{12, 0, 16u << 24}},
    {{4, 0, 39}, Icmp{12, 0, 16u << 24}},
    {{4, 0, 40}, {}},
    {{4, 0, 0x01000000}, {}},
    {{4, 1, 6}, Icmp{3, 2, 0}},
    {{4, 2, 0}, {}},
    {{4, 3, 0}, {}},
};

void check_word(const Bench& bench, const ErrorCase& about, const Word& word, std::size_t behind)
{
    const Bytes arrives = build(about.arrives(word.said, header(about.sent) + behind));
    const auto passage = bench.in(arrives);
    INFO("type " << int(word.said.type) << ", code " << int(word.said.code) << ", rest " << word.said.rest
                 << ", quoted L4 " << behind);
    if (!word.becomes) {
        CHECK(passage.verdict == xdp_drop);
        return;
    }
    CHECK(passage.verdict == xdp_pass);
    Packet leaves = about.leaves(*word.becomes, header(about.original) + behind, passage.frame);
    // Half of TCP's checksum is not changed.
    if (behind == 17 && std::holds_alternative<lab::Tcp>(about.sent.l4))
        leaves.payload.back() = about.arrives(word.said, header(about.sent) + behind).payload.back();
    CHECK(hex(passage.frame) == hex(build(leaves)));
}

} // namespace

TEST_CASE("ICMP errors between IP versions say the same in the other's words", "[datapath][siit][kernels]")
{
    const Bench bench(across_config());
    u64 unknown = 0;
    for (const bool six : {false, true})
        for (const u8 protocol : {u8{6}, u8{17}})
            for (const bool reply : {false, true}) {
                const Across across(bench, six, protocol);
                const ErrorCase about(across, reply, packet_of(across, reply, 100));
                INFO((six ? "client of IPv6, " : "client of IPv4, ") << (reply ? "reply" : "request"));
                const bool four = !about.sent.saddr.six();
                for (const Word& word :
                     four ? std::span<const Word>(from_icmpv4) : std::span<const Word>(from_icmpv6))
                    for (const std::size_t behind : {std::size_t{8}, std::size_t{17}, std::size_t{18},
                                                     std::size_t{61}, std::size_t{500}}) {
                        check_word(bench, about, word, behind);
                        if (!word.becomes) ++unknown;
                    }
            }
    CHECK(bench.exits()[Reason::siit_icmp_unknown] == unknown);
}

TEST_CASE("a router that does not say what fits is guessed at by the size of the packet", "[datapath][siit]")
{
    const Bench bench(across_config());
    const Across across(bench, true, 17);
    for (const auto& [payload, mtu] :
         {std::pair{1464u, 1280u}, {1465u, 1512u}, {1974u, 1512u}, {1975u, 2022u}}) {
        // lb's own packet is as long as a length field may say; the quote is cut.
        const ErrorCase about(across, false, packet_of(across, false, payload));
        check_word(bench, about, {{3, 4, 0}, Icmp{2, 0, mtu}}, 64);
    }
}

TEST_CASE("errors that quote fragments between IP versions", "[datapath][siit]")
{
    const Bench bench(across_config());
    for (const bool six : {false, true})
        for (const bool reply : {false, true}) {
            const Across across(bench, six, 17);
            ErrorCase about(across, reply, packet_of(across, reply, 1000));
            INFO((six ? "client of IPv6, " : "client of IPv4, ") << (reply ? "reply" : "request"));
            const bool to_six = about.original.saddr.six();
            about.sent.fragment = 0;
            const auto sent = lab::split(about.sent, 400, 0x4711),
                       wanted = lab::split(about.original, 400, 0x4711);
            const Icmp said = to_six ? Icmp{3, 4, 1300} : Icmp{2, 0, 1300},
                       becomes = to_six ? Icmp{2, 0, 1320} : Icmp{3, 4, 1272};
            Packet arrives = about.arrives(said, 0), leaves;
            arrives.payload = quote(sent[0]);
            const auto passage = bench.in(build(arrives));
            leaves = about.leaves(becomes, 0, passage.frame);
            leaves.payload = quote(wanted[0]);
            leaves.fragment = 0;
            CHECK(passage.verdict == xdp_pass);
            CHECK(hex(passage.frame) == hex(build(leaves)));
            // A later one has no ports: it tells of nothing.
            arrives.payload = quote(sent[1]);
            CHECK(bench.in(build(arrives)).frame == build(arrives));
        }
}

TEST_CASE("errors that are not about a connection between IP versions pass as they are", "[datapath][siit]")
{
    const Bench bench(across_config());
    for (const bool six : {false, true})
        for (const bool reply : {false, true}) {
            const Across across(bench, six, 17);
            const ErrorCase about(across, reply, packet_of(across, reply, 100));
            const Icmp said = about.sent.saddr.six() ? Icmp{1, 4, 0} : Icmp{3, 3, 0};
            const auto passes = [&](const Packet& packet) {
                const auto passage = bench.in(build(packet));
                CHECK(passage.verdict == xdp_pass);
                CHECK(passage.frame == build(packet));
            };
            // To somebody else than who has sent the packet.
            Packet packet = about.arrives(said, 500);
            packet.daddr = lab::any_ip(packet.daddr.six() ? "2001:db8:a::fd" : "10.0.0.253");
            passes(packet);
            // About another connection.
            ErrorCase other = about;
            *ports_of(other.sent.l4).first += 1;
            passes(other.arrives(said, 500));
            // Too short for ports; echo.
            passes(about.arrives(said, header(about.sent) + 7));
            passes(about.arrives(about.sent.saddr.six() ? Icmp{128, 0, 1} : Icmp{8, 0, 1}, 500));
        }
}

TEST_CASE("tags stay on ICMP errors between IP versions, options and extension headers go",
          "[datapath][siit]")
{
    const Bench bench(across_config());
    for (const bool six : {false, true}) {
        const Across across(bench, six, 17);
        const ErrorCase about(across, false, packet_of(across, false, 100));
        const bool four = !about.sent.saddr.six();
        Packet arrives = about.arrives(four ? Icmp{3, 3, 0} : Icmp{1, 4, 0}, 500);
        arrives.vlans = {7, 8};
        if (four)
            arrives.options = Bytes(8, 1);
        else
            arrives.extensions = {lab::destination_options(24)};
        const auto passage = bench.in(build(arrives));
        Packet leaves = about.leaves(four ? Icmp{1, 4, 0} : Icmp{3, 3, 0}, 500, passage.frame);
        leaves.vlans = {7, 8};
        CHECK(hex(passage.frame) == hex(build(leaves)));
    }
}
