// ICMP errors and fragments through the programs: what each side gets is built from what it ought to see, so
// the expected bytes do not come from the model alone.
#include "shapes.hpp"

using namespace lb;
using namespace lb::test;
using lab::build;
using lab::Icmp;
using lab::quote;
using model::Reason;

namespace {

// The sights of the connection that lb makes of it.
Packet reply_seen(const FrameShape& shape, std::size_t payload)
{
    Packet packet = shape_request(shape, payload);
    std::swap(packet.saddr, packet.daddr);
    if (auto* tcp = std::get_if<lab::Tcp>(&packet.l4)) std::swap(tcp->sport, tcp->dport);
    if (auto* udp = std::get_if<lab::Udp>(&packet.l4)) std::swap(udp->sport, udp->dport);
    return packet;
}
Packet request_seen(const FrameShape& shape, std::size_t payload)
{
    Packet packet = shape_reply(shape, payload);
    std::swap(packet.saddr, packet.daddr);
    if (auto* tcp = std::get_if<lab::Tcp>(&packet.l4)) std::swap(tcp->sport, tcp->dport);
    if (auto* udp = std::get_if<lab::Udp>(&packet.l4)) std::swap(udp->sport, udp->dport);
    return packet;
}

Bytes error(const FrameShape& shape, const Address& to, const Bytes& quoted, u8 type, u8 code)
{
    return build({.vlans = shape.tags,
                  .saddr = lab::any_ip(shape.six ? "2001:db8:ff::1" : "203.0.113.9"),
                  .daddr = to,
                  .l4 = Icmp{.type = type, .code = code, .rest = 1300},
                  .payload = quoted});
}

} // namespace

TEST_CASE("errors reach the side that sent what they quote, whole or cut anywhere", "[errors]")
{
    Judge judge = judge_of_both_families();
    for (const auto& shape : every_shape()) {
        judge.in(build(shape_request(shape)));
        const u8 too_big = shape.six ? 2 : 3, code = shape.six ? 0 : 4;
        const Bytes reply = build(reply_seen(shape, 40)), reply_behind = build(shape_reply(shape, 40));
        const Bytes request = build(shape_request(shape, 40)), behind = build(request_seen(shape, 40));
        const std::size_t header = lab::ip_header_size(reply);
        for (const std::size_t size : {0UL, 19UL, header, header + 7, header + 8, header + 12, header + 18,
                                       header + 20, header + 33, 2000UL}) {
            INFO(shape.name << ", " << size << " bytes quoted");
            // What is quoted with options or extension headers is left alone.
            const bool plain = header == (shape.six ? 40U : 20U);
            const bool enough = plain && size >= header + 8;
            const Bytes in = judge.in(error(shape, shape_vip(shape), quote(reply, size), too_big, code));
            CHECK(judge.last() == (enough ? Reason::icmp_forwarded : Reason::icmp_other));
            if (enough)
                CHECK((in == error(shape, shape_target(shape), quote(reply_behind, size), too_big, code)));
            const Bytes out =
                judge.out(error(shape, shape_client(shape), quote(behind, size), too_big, code));
            CHECK(judge.last() == (enough ? Reason::egress_icmp_forwarded : Reason::egress_icmp_other));
            if (enough)
                CHECK((out == error(shape, shape_client(shape), quote(request, size), too_big, code)));
        }
    }
}

TEST_CASE("every type and code of ICMP is an error that is translated, or passes untouched", "[errors]")
{
    Judge judge = judge_of_both_families();
    for (const bool six : {false, true}) {
        const FrameShape shape{.six = six, .protocol = 17};
        judge.in(build(shape_request(shape)));
        const Bytes quoted = quote(build(reply_seen(shape, 3)));
        for (unsigned type = 0; type < 256; ++type)
            for (const u8 code : {u8{0}, u8{1}, u8{4}, u8{255}}) {
                judge.in(error(shape, shape_vip(shape), quoted, static_cast<u8>(type), code));
                const bool known = six ? type >= 1 && type <= 4 : type == 3 || type == 11 || type == 12;
                INFO(six << " type " << type);
                CHECK(judge.last() == (known ? Reason::icmp_forwarded : Reason::icmp_other));
            }
    }
}

TEST_CASE("an error cut at any length passes untouched", "[errors]")
{
    Judge judge = judge_of_both_families();
    for (const bool six : {false, true}) {
        const FrameShape shape{.six = six};
        judge.in(build(shape_request(shape)));
        const Bytes whole =
            error(shape, shape_vip(shape), quote(build(reply_seen(shape, 3))), six ? 1 : 3, 1);
        for (std::size_t size = 14; size < whole.size(); ++size) {
            const Bytes frame(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
            CHECK((judge.in(frame) == frame));
            CHECK(judge.last() == Reason::truncated);
        }
    }
}

TEST_CASE("fragments are translated like their first one, in both directions", "[fragments]")
{
    Judge judge = judge_of_both_families();
    u32 id = 0x100;
    for (const auto& shape : every_shape()) {
        if (shape.extensions.size() == 6) continue; // one more would be too many
        if (!shape.extensions.empty() && shape.extensions.front().type == 44) continue; // one is enough
        INFO(shape.name);
        judge.in(build(shape_request(shape)));
        const std::size_t room = shape.extensions.empty() ? 64 : 400;
        const auto there = lab::split(shape_request(shape, 1000), room, ++id);
        const auto behind = lab::split(request_seen(shape, 1000), room, id);
        judge.in(there.at(1));
        CHECK(judge.last() == Reason::fragment_early);
        for (std::size_t i = 0; i < there.size(); ++i) {
            CHECK((judge.in(there[i]) == behind[i]));
            CHECK(judge.last() == (i == 0 ? Reason::forwarded : Reason::fragment_forwarded));
        }
        const auto back = lab::split(shape_reply(shape, 1000), room, id);
        const auto seen = lab::split(reply_seen(shape, 1000), room, id);
        judge.out(back.at(1));
        CHECK(judge.last() == Reason::egress_fragment_early);
        for (std::size_t i = 0; i < back.size(); ++i) {
            CHECK((judge.out(back[i]) == seen[i]));
            CHECK(judge.last() == (i == 0 ? Reason::reply_forwarded : Reason::egress_fragment_forwarded));
        }
    }
}
