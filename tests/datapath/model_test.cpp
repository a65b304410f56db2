// The model judges the datapath, so it is itself held against literal bytes (errors of a Linux kernel whose
// addresses and ports were changed, and whose sums were made anew, by hand) and against frames that are built
// from what each side ought to see.
#include <catch2/catch.hpp>

#include "model.hpp"

using namespace lb;
using namespace lb::test;
using lab::any_ip;
using lab::build;
using lab::Icmp;
using lab::Packet;
using lab::pattern;
using lab::quote;
using lab::Tcp;
using lab::Udp;
using model::Reason;

namespace {

Bytes from_hex(std::string_view digits)
{
    Bytes out;
    for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
        out.push_back(static_cast<u8>(std::stoul(std::string(digits.substr(i, 2)), nullptr, 16)));
    return out;
}

// One connection: client > vip, and client > target behind.
struct Ends {
    const char *client, *vip, *target;
    u16 client_port = 4000, vip_port = 80, target_port = 8080;
};
constexpr Ends four{"198.51.100.7", "192.0.2.1", "10.0.0.1"};
constexpr Ends six{"2001:db8:c::7", "2001:db8::1", "2001:db8:a::1"};

lab::L4 with_ports(u8 protocol, u16 sport, u16 dport)
{
    if (protocol == 6) return Tcp{.sport = sport, .dport = dport, .flags = Tcp::syn};
    return Udp{.sport = sport, .dport = dport};
}

Packet between(const char* from, const char* to, u8 protocol, u16 sport, u16 dport, std::size_t payload = 0)
{
    return {.saddr = any_ip(from),
            .daddr = any_ip(to),
            .l4 = with_ports(protocol, sport, dport),
            .payload = pattern(payload)};
}

// The four sights of one connection.
struct Sights {
    Packet request, request_behind, reply, reply_behind;
    Sights(const Ends& e, u8 protocol, std::size_t payload)
        : request(between(e.client, e.vip, protocol, e.client_port, e.vip_port, payload)),
          request_behind(between(e.client, e.target, protocol, e.client_port, e.target_port, payload)),
          reply(between(e.vip, e.client, protocol, e.vip_port, e.client_port, payload)),
          reply_behind(between(e.target, e.client, protocol, e.target_port, e.client_port, payload))
    {}
};

// A model that knows the connection.
Model knowing(const Ends& e, u8 protocol)
{
    ModelFacts facts;
    facts.listeners = {{.protocol = protocol, .port = e.vip_port, .address = any_ip(e.vip)}};
    facts.proxies = {{.group = {{any_ip(e.target), e.target_port}}}};
    Model model(facts);
    const Sights sights(e, protocol, 0);
    const Bytes out = build(sights.request_behind);
    const Judgement judged = model.ingress(build(sights.request), "eth0", out);
    REQUIRE(judged.fault == "");
    REQUIRE(judged.reason == Reason::forwarded);
    REQUIRE((judged.frame == out));
    return model;
}

Bytes error(const char* from, const char* to, const Bytes& quoted, u8 type, u8 code = 0)
{
    return build({.saddr = any_ip(from),
                  .daddr = any_ip(to),
                  .l4 = Icmp{.type = type, .code = code, .rest = 1300},
                  .payload = quoted});
}

} // namespace

TEST_CASE("a checksum is updated as in RFC 1624's example", "[model]")
{
    const Bytes before = {0x55, 0x55}, after = {0x32, 0x85};
    CHECK(updated_checksum(0xdd2f, before, after) == 0x0000);
    CHECK(updated_checksum(0x0000, after, before) == 0xdd2f);
    CHECK(updated_checksum(0x1234, before, before) == 0x1234);
}

TEST_CASE("errors of a Linux kernel are translated to the bytes that were made by hand", "[model]")
{
    struct Row {
        Ends ends;
        bool ingress;
        const char *before, *after;
    };
    const Row rows[] = {
        {{"192.0.2.2", "192.0.2.1", "10.0.0.1", 9, 5000, 8080},
         true,
         "02000000000a02000000000b080045c0003d63070000400192f5c0000202c00002010303811f00000000450000210f94400"
         "0"
         "4011a734c0000201c000020213880009000d246d68656c6c6f",
         "02000000000a02000000000b080045c0003d6307000040014af6c00002020a0000010303c91e00000000450000210f94400"
         "0"
         "40115f350a000001c00002021f900009000dd06568656c6c6f"},
        {{"192.0.2.1", "203.0.113.80", "192.0.2.2", 5000, 80, 9},
         false,
         "02000000000a02000000000b080045c0003d63070000400192f5c0000202c00002010303811f00000000450000210f94400"
         "0"
         "4011a734c0000201c000020213880009000d246d68656c6c6f",
         "02000000000a02000000000b080045c0003d63070000400118a7cb007150c00002010303fb6d00000000450000210f94400"
         "0"
         "40112ce6c0000201cb00715013880050000da9d768656c6c6f"},
        {{"2001:db8::2", "2001:db8::1", "2001:db8:9::1", 9, 5000, 8080},
         true,
         "02000000000a02000000000b86dd6009e860003d3a4020010db800000000000000000000000220010db8000000000000000"
         "0"
         "000000010104062b00000000600f2ba6000d114020010db800000000000000000000000120010db80000000000000000000"
         "0"
         "000213880009000d4cfc68656c6c6f",
         "02000000000a02000000000b86dd6009e860003d3a4020010db800000000000000000000000220010db8000900000000000"
         "0"
         "000000010104062200000000600f2ba6000d114020010db800090000000000000000000120010db80000000000000000000"
         "0"
         "00021f900009000d40eb68656c6c6f"},
        {{"2001:db8::1", "2001:db8:7::80", "2001:db8::2", 5000, 80, 9},
         false,
         "02000000000a02000000000b86dd6009e860003d3a4020010db800000000000000000000000220010db8000000000000000"
         "0"
         "000000010104062b00000000600f2ba6000d114020010db800000000000000000000000120010db80000000000000000000"
         "0"
         "000213880009000d4cfc68656c6c6f",
         "02000000000a02000000000b86dd6009e860003d3a4020010db800070000000000000000008020010db8000000000000000"
         "0"
         "00000001010405a600000000600f2ba6000d114020010db800000000000000000000000120010db80007000000000000000"
         "0"
         "008013880050000d4c3068656c6c6f"},
    };
    for (const auto& row : rows) {
        INFO(row.ends.vip << (row.ingress ? " in" : " out"));
        Model model = knowing(row.ends, 17);
        const Bytes before = from_hex(row.before);
        const Judgement judged = row.ingress ? model.ingress(before, "eth0", {}) : model.egress(before);
        CHECK(judged.reason == (row.ingress ? Reason::icmp_forwarded : Reason::egress_icmp_forwarded));
        INFO(lab::describe(judged.frame));
        CHECK((judged.frame == from_hex(row.after)));
    }
}

TEST_CASE("an error quotes what its receiver sent, however much of it is quoted", "[model]")
{
    for (const auto& ends : {four, six})
        for (const u8 protocol : {u8{6}, u8{17}}) {
            Model model = knowing(ends, protocol);
            const Sights sights(ends, protocol, 51);
            const bool v6 = sights.request.saddr.six();
            const std::size_t header = v6 ? 40 : 20;
            const char* router = v6 ? "2001:db8:ff::1" : "203.0.113.9";
            const u8 type = v6 ? 2 : 3, code = v6 ? 0 : 4; // too big
            for (std::size_t size = 0; size <= header + 80; ++size) {
                INFO(ends.vip << " protocol " << int{protocol} << ", " << size << " bytes quoted");
                const Bytes in = error(router, ends.vip, quote(build(sights.reply), size), type, code);
                Bytes in_after =
                    error(router, ends.target, quote(build(sights.reply_behind), size), type, code);
                const Judgement there = model.ingress(in, "eth0", {});
                const Bytes out =
                    error(router, ends.client, quote(build(sights.request_behind), size), type, code);
                Bytes out_after = error(router, ends.client, quote(build(sights.request), size), type, code);
                const Judgement back = model.egress(out);
                if (protocol == 6 && size == header + 17) // half a checksum stays as it is
                    for (const auto& [from, to] : {std::pair{&in, &in_after}, {&out, &out_after}}) {
                        to->back() = from->back();
                        lab::recompute_checksums(*to);
                    }
                Bytes damaged = in, damaged_after = in_after; // on its way: as wrong afterwards as before
                damaged.at(14 + header + 7) ^= 0x40;
                damaged_after.at(14 + header + 7) ^= 0x40;
                if (size >= header + 8) CHECK((model.ingress(damaged, "eth0", {}).frame == damaged_after));
                if (size < header + 8) {
                    CHECK(there.reason == Reason::icmp_other);
                    CHECK((there.frame == in));
                    CHECK(back.reason == Reason::egress_icmp_other);
                    CHECK((back.frame == out));
                } else {
                    CHECK(there.reason == Reason::icmp_forwarded);
                    CHECK((there.frame == in_after));
                    CHECK(back.reason == Reason::egress_icmp_forwarded);
                    CHECK((back.frame == out_after));
                }
            }
            // The target itself complains: toward the client it is the VIP.
            const Bytes refused =
                error(ends.target, ends.client, quote(build(sights.request_behind)), v6 ? 1 : 3);
            CHECK((model.egress(refused).frame ==
                   error(ends.vip, ends.client, quote(build(sights.request)), v6 ? 1 : 3)));
        }
}

TEST_CASE("fragments become those of the translated packet, and wait for the first one", "[model]")
{
    for (const auto& ends : {four, six})
        for (const u8 protocol : {u8{6}, u8{17}}) {
            Model model = knowing(ends, protocol);
            const Sights sights(ends, protocol, 200);
            INFO(ends.vip << " protocol " << int{protocol});
            const auto before = lab::split(sights.request, 64), after = lab::split(sights.request_behind, 64);
            const Judgement early = model.ingress(before[1], "eth0", {});
            CHECK(early.reason == Reason::fragment_early);
            CHECK((early.frame == before[1]));
            for (std::size_t i = 0; i < before.size(); ++i) {
                const Judgement judged = model.ingress(before[i], "eth0", after[i]);
                CHECK(judged.reason == (i == 0 ? Reason::forwarded : Reason::fragment_forwarded));
                CHECK((judged.frame == after[i]));
            }
            const auto back = lab::split(sights.reply_behind, 64), seen = lab::split(sights.reply, 64);
            CHECK(model.egress(back[2]).reason == Reason::egress_fragment_early);
            for (std::size_t i = 0; i < back.size(); ++i) {
                const Judgement judged = model.egress(back[i]);
                CHECK(judged.reason ==
                      (i == 0 ? Reason::reply_forwarded : Reason::egress_fragment_forwarded));
                CHECK((judged.frame == seen[i]));
            }
            const auto others = lab::split(sights.request, 64, 0x777); // of another datagram
            CHECK(model.ingress(others[1], "eth0", {}).reason == Reason::fragment_early);
        }
}

TEST_CASE("ICMP that is no error about a known connection is not touched", "[model]")
{
    for (const auto& ends : {four, six}) {
        Model model = knowing(ends, 17);
        const Sights sights(ends, 17, 20);
        const bool v6 = sights.request.saddr.six();
        const char* elsewhere = v6 ? "2001:db8:ee::1" : "203.0.113.200";
        const u8 unreachable = v6 ? 1 : 3;
        const Bytes reply = quote(build(sights.reply));
        Packet stranger = sights.reply;
        stranger.l4 = Udp{.sport = ends.vip_port, .dport = 4001};
        const auto later = lab::split(sights.reply, 8);
        const Bytes frames[] = {
            error(ends.client, ends.vip, {}, v6 ? 128 : 8),    // an echo request
            error(ends.client, ends.vip, reply, v6 ? 137 : 5), // a redirect
            error(ends.client, ends.vip, reply, v6 ? 5 : 4),   // no longer, or not yet, a type
            error(ends.client, elsewhere, reply, unreachable), // to somebody else
            error(ends.client, ends.vip, quote(build(stranger)), unreachable),       // of no connection
            error(ends.client, ends.vip, quote(later[1]), unreachable),              // a later fragment
            error(ends.client, ends.vip, quote(build(sights.request)), unreachable), // what lb never sent
        };
        for (const auto& frame : frames) {
            INFO(lab::describe(frame));
            const Judgement judged = model.ingress(frame, "eth0", {});
            CHECK(judged.reason == Reason::icmp_other);
            CHECK((judged.frame == frame));
        }
    }
}
