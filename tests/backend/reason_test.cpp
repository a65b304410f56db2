// Every way out of the backend's programs but those that no frame brings about, each by one packet that moves
// its counter and no other. What is not decapsulated or lowered leaves as it came.
#include "bench.hpp"

using namespace lb;
using namespace lb::test;
using model::Reason;
using model::Tunnel;

namespace {

const Bytes inner = ip_packet({.saddr = "198.51.100.7", .daddr = "192.0.2.1", .payload = lab::pattern(20)});
const Bytes inner_v6 =
    ip_packet({.saddr = "2001:db8:7::7", .daddr = "2001:db8::1", .payload = lab::pattern(20)});

IpText around(u8 protocol, const Bytes& payload)
{
    return {.saddr = "10.0.0.1", .daddr = "10.0.0.2", .protocol = protocol, .payload = payload};
}
IpText around6(u8 protocol, const Bytes& payload)
{
    return {.saddr = "2001:db8:1::1", .daddr = "2001:db8:1::2", .protocol = protocol, .payload = payload};
}

Bytes with(IpText text, auto&& change)
{
    change(text);
    return framed(ip_packet(text));
}

Bytes byte_set(Bytes frame, std::size_t at, u8 value)
{
    frame[at] = value;
    return frame;
}

struct Row {
    const char* name;
    Tunnel tunnel;
    Bytes frame;
    Reason reason;
};

std::vector<Row> ipip_rows()
{
    const IpText four = around(4, inner), six = around6(41, inner_v6);
    const Bytes plain = framed(ip_packet(four)), plain6 = framed(ip_packet(six));
    const auto t = Tunnel::ipip;
    return {
        {"ARP", t, byte_set(plain, 13, 6), Reason::decap_not_ip},
        {"a VLAN tag", t, byte_set(byte_set(plain, 12, 0x81), 13, 0), Reason::decap_not_ip},
        {"IPv4 version 5", t, byte_set(plain, 14, 0x55), Reason::decap_bad_header},
        {"IHL 4", t, byte_set(plain, 14, 0x44), Reason::decap_bad_header},
        {"IPv6 version 7", t, byte_set(plain6, 14, 0x70), Reason::decap_bad_header},
        {"total length 19", t, byte_set(byte_set(plain, 16, 0), 17, 19), Reason::decap_bad_header},
        {"options", t,
         with(four,
              [](IpText& x) {
                  x.options = {1, 1, 1, 0};
              }),
         Reason::decap_ip_options},
        {"IHL 15", t, byte_set(plain, 14, 0x4f), Reason::decap_ip_options},
        {"first fragment", t, with(four, [](IpText& x) { x.fragment = 0x2000; }), Reason::decap_fragment},
        {"later fragment", t, with(four, [](IpText& x) { x.fragment = 1; }), Reason::decap_fragment},
        {"hop-by-hop", t, with(six, [](IpText& x) { x.protocol = 0; }), Reason::decap_extension_header},
        {"routing", t, with(six, [](IpText& x) { x.protocol = 43; }), Reason::decap_extension_header},
        {"destination options", t, with(six, [](IpText& x) { x.protocol = 60; }),
         Reason::decap_extension_header},
        {"IPv6 fragment", t, with(six, [](IpText& x) { x.protocol = 44; }), Reason::decap_fragment},
        {"TCP", t, with(four, [](IpText& x) { x.protocol = 6; }), Reason::decap_not_tunnel},
        {"TCP by IPv6", t, with(six, [](IpText& x) { x.protocol = 6; }), Reason::decap_not_tunnel},
        {"GUE where IPIP is", t, framed(ip_packet(around(17, udp_packet(6080, inner)))),
         Reason::decap_not_tunnel},
        {"another host's", t, with(four, [](IpText& x) { x.daddr = "10.0.0.3"; }),
         Reason::decap_other_address},
        {"another host's, IPv6", t, with(six, [](IpText& x) { x.daddr = "2001:db8:1::3"; }),
         Reason::decap_other_address},
        {"inner version 6 in protocol 4", t, framed(ip_packet(around(4, inner_v6))), Reason::decap_bad_inner},
        {"inner version 4 in protocol 41", t, framed(ip_packet(around6(41, inner + Bytes(20)))),
         Reason::decap_bad_inner},
        {"inner IHL 4", t, byte_set(plain, 34, 0x44), Reason::decap_bad_inner},
        {"inner header longer than its packet", t,
         framed(ip_packet(around(4, byte_set(byte_set(inner, 0, 0x4f), 3, 40)))), Reason::decap_bad_inner},
        {"inner IPv4 longer than the outer", t, byte_set(plain, 37, 41), Reason::decap_bad_inner},
        {"inner IPv6 longer than the outer", t, byte_set(plain6, 59, 21), Reason::decap_bad_inner},
        {"outer shorter than the inner", t, byte_set(plain, 17, 59), Reason::decap_bad_inner},
        {"not to a VIP", t,
         framed(ip_packet(around(4, ip_packet({.saddr = "198.51.100.7", .daddr = "192.0.2.2"})))),
         Reason::decap_not_vip},
        {"not to a VIP, IPv6, high half", t,
         framed(ip_packet(around6(41, ip_packet({.saddr = "2001:db8::7", .daddr = "2001:db9::1"})))),
         Reason::decap_not_vip},
        {"not to a VIP, IPv6, low half", t,
         framed(ip_packet(around6(41, ip_packet({.saddr = "2001:db8::7", .daddr = "2001:db8::2"})))),
         Reason::decap_not_vip},
    };
}

std::vector<Row> gue_rows()
{
    const auto t = Tunnel::gue;
    const auto gue = [](const Bytes& header) {
        return framed(ip_packet(around(17, udp_packet(6080, header + inner))));
    };
    return {
        {"IPIP where GUE is", t, framed(ip_packet(around(4, inner))), Reason::decap_not_tunnel},
        {"another port", t, framed(ip_packet(around(17, udp_packet(6081, inner)))), Reason::decap_not_tunnel},
        {"another port by IPv6", t, framed(ip_packet(around6(17, udp_packet(53, inner)))),
         Reason::decap_not_tunnel},
        {"a later fragment, which has no ports", t,
         with(around(17, udp_packet(6080, inner)), [](IpText& x) { x.fragment = 0x0010; }),
         Reason::decap_fragment},
        {"a UDP length too small", t, framed(ip_packet(around(17, udp_packet(6080, inner, -1)))),
         Reason::decap_bad_header},
        {"a UDP length too large", t, framed(ip_packet(around6(17, udp_packet(6080, inner, 1)))),
         Reason::decap_bad_header},
        {"variant 2", t, gue({0x80, 4, 0, 0}), Reason::decap_bad_gue},
        {"a control message", t, gue({0x20, 4, 0, 0}), Reason::decap_bad_gue},
        {"extension fields", t, gue({0x01, 4, 0, 0}), Reason::decap_bad_gue},
        {"flags", t, gue({0, 4, 0, 1}), Reason::decap_bad_gue},
        {"neither IPv4 nor IPv6 in GUE", t, gue({0, 6, 0, 0}), Reason::decap_bad_gue},
        {"variant 1 with version 5", t,
         framed(ip_packet(around(17, udp_packet(6080, byte_set(inner, 0, 0x55))))), Reason::decap_bad_gue},
        {"variant 0 with the wrong inner version", t, gue({0, 41, 0, 0}), Reason::decap_bad_inner},
        {"an inner packet longer than UDP says", t,
         framed(ip_packet(around(17, udp_packet(6080, byte_set(inner, 3, 41))))), Reason::decap_bad_inner},
    };
}

} // namespace

TEST_CASE("what is not taken off passes unchanged, and its reason is counted", "[backend]")
{
    auto rows = ipip_rows();
    for (auto& row : gue_rows()) rows.push_back(std::move(row));
    for (const bool frags : {false, true}) {
        BackendBench ipip(backend_of(Tunnel::ipip), frags), gue(backend_of(Tunnel::gue), frags);
        for (const auto& row : rows) {
            INFO(row.name);
            const auto passage = (row.tunnel == Tunnel::gue ? gue : ipip).in(row.frame);
            CHECK(model::info(passage.reason).name == model::info(row.reason).name);
            CHECK(passage.verdict == xdp_pass);
            CHECK(passage.frame == row.frame);
        }
    }
}
