// Each way out of the programs: one packet, and exactly its counter moves.
#include <algorithm>
#include <functional>

#include "judge.hpp"

using namespace lb;
using namespace lb::test;
using lab::build;
using lab::ip;
using lab::Tcp;
using lab::Udp;
using model::Reason;

namespace {

const u32 client = ip("198.51.100.7"), vip = ip("192.0.2.1"), target_ip = ip("10.0.0.1");

Packet request(const lab::L4& l4, const Bytes& payload = {})
{
    return {.saddr = client, .daddr = vip, .l4 = l4, .payload = payload};
}
Packet answer(const lab::L4& l4, const Bytes& payload = {})
{
    return {.saddr = target_ip, .daddr = client, .l4 = l4, .payload = payload};
}

Bytes changed(Bytes frame, std::size_t at, u8 value)
{
    frame[at] = value;
    return frame;
}

Bytes cut(Bytes frame, std::size_t size)
{
    frame.resize(size);
    return frame;
}

struct Case {
    std::string config = config_text({{}});
    std::function<void(const Bench&)> before = [](const Bench&) {};
    Bytes frame = {};
};

const Bytes syn = build(request(Tcp{}));
const Bytes reply = build(answer(Tcp{.sport = 8080, .dport = 40000, .flags = Tcp::ack_flag}));
const auto opened = [](const Bench& bench) { bench.in(syn); };

// One port to send from, so that the answer's destination is known.
const std::string full_nat_without_pool = config_text({{.more = R"("forwarding": {"mode": "full-nat"})"}});
const std::string full_nat =
    config_text({{.more = R"("forwarding": {"mode": "full-nat"})"}},
                R"("full-nat": {"addresses": ["10.0.0.254"], "ports": "20000-20000"})");
// The same between IP versions, both ways.
const std::string between =
    config_text({{.name = "to6",
                  .listen = R"("address": "192.0.2.1", "protocol": "both")",
                  .target = R"({"ip": "2001:db8:a::1", "port": 8080})",
                  .more = R"("forwarding": {"mode": "full-nat"})"}},
                R"("full-nat": {"addresses": ["2001:db8:a::fe"], "ports": "20000-20000"})");
Packet across_answer(const lab::L4& l4, const Bytes& payload = {})
{
    return {.saddr = lab::ip6("2001:db8:a::1"),
            .daddr = lab::ip6("2001:db8:a::fe"),
            .l4 = l4,
            .payload = payload};
}
Bytes quoted_across()
{
    return lab::quote(build({.saddr = lab::ip6("2001:db8:a::fe"),
                             .daddr = lab::ip6("2001:db8:a::1"),
                             .l4 = Tcp{.sport = 20000, .dport = 8080}}));
}
// Both sides have ended it, and what would begin it anew is not there.
const auto ended_across = [](const Bench& bench) {
    bench.in(syn);
    bench.in(build(request(Tcp{.flags = Tcp::fin | Tcp::ack_flag})));
    bench.in(build(across_answer(Tcp{.sport = 8080, .dport = 20000, .flags = Tcp::fin | Tcp::ack_flag})));
    must(bench.map("programs").remove(static_cast<u32>(datapath::Follower::ingress)));
};
Packet with_options(Packet packet, const Bytes& options)
{
    packet.options = options;
    return packet;
}
Packet with_ttl(Packet packet, u8 ttl)
{
    packet.ttl = ttl;
    return packet;
}
Packet answer_to_lb()
{
    return {.saddr = target_ip,
            .daddr = ip("10.0.0.254"),
            .l4 = Tcp{.sport = 8080, .dport = 20000, .flags = Tcp::ack_flag}};
}

// Two established connections: all that a table of one connection, and one half-open, has room for.
const auto crowded = [](const Bench& bench) {
    for (const u16 port : {u16{1}, u16{2}}) {
        bench.in(build(request(lab::Udp{.sport = port})));
        bench.out(build(answer(lab::Udp{.sport = 8080, .dport = port})));
    }
};

Packet tagged(Packet packet, u16 tags = 3)
{
    for (u16 tag = 1; tag <= tags; ++tag) packet.vlans.push_back(tag);
    return packet;
}

const Packet large_request = request(lab::Udp{}, lab::pattern(1000));
const Packet large_answer = answer(lab::Udp{.sport = 8080, .dport = 40000}, lab::pattern(1000));
// What a router toward the client quotes of an answer, and one toward the target of a request.
Bytes quoted_answer()
{
    return lab::quote(
        build({.saddr = ip("192.0.2.1"), .daddr = client, .l4 = Tcp{.sport = 80, .dport = 40000}}), 28);
}
Bytes quoted_request()
{
    return lab::quote(build({.saddr = client, .daddr = ip("10.0.0.1"), .l4 = Tcp{.dport = 8080}}), 28);
}
Packet of_protocol(Packet packet, u8 protocol)
{
    packet.l4 = lab::Raw{protocol};
    packet.payload = lab::pattern(30);
    return packet;
}
Packet to(Packet packet, const char* address)
{
    packet.daddr = ip(address);
    return packet;
}

// IPv6 with a routing header whose last destination is still ahead, then TCP.
Bytes routing_header()
{
    Bytes frame(14 + 40 + 24 + 20);
    frame[12] = 0x86, frame[13] = 0xdd;
    frame[14] = 0x60;
    frame[19] = 44;                              // payload length
    frame[20] = 43;                              // routing
    frame[54] = 6, frame[55] = 2, frame[57] = 1; // TCP follows 24 bytes; one segment left
    return frame;
}

const std::string ipv6 = config_text(
    {{.listen = R"("address": "2001:db8::1")", .target = R"({"ip": "2001:db8:1::1", "port": 8080})"}});
const std::string loopback = config_text({{.target = R"({"ip": "127.0.0.1", "port": 8080})"}});
const std::string carried = config_text(
    {{.target = R"({"ip": "10.0.0.1", "port": 80})", .more = R"("forwarding": {"mode": "dsr-ipip"})"}});
const std::string two_vips = config_text({{.listen = R"("address": ["192.0.2.1", "192.0.2.2"])"}});

// Seventeen look-alikes are in the way of one more.
void take_all_ports(const Bench& bench)
{
    const Bytes first = bench.in(syn).frame;
    const auto entry = *bench.flow(key_of(reply));
    for (u32 port = 32768; port < 65536; ++port) {
        auto key = key_of(reply);
        key.dport = be16(static_cast<u16>(port));
        must(bench.map("flows4").update(key, entry));
    }
}

// The client's and the target's buckets are as empty as can be.
void empty_buckets(const Bench& bench)
{
    constexpr u64 never = u64{1} << 63;
    const model::Buckets empty{.connections = never, .packets = never};
    if (bench.has("sources4"))
        must(bench.map("sources4").update(model::SourceKey<be32>{.address = be32(client)}, empty));
    if (bench.has("target_buckets")) must(bench.map("target_buckets").update(0u, empty));
}

Case limited(const std::string& kind, const std::string& rate, bool known)
{
    return {.config =
                config_text({{.more = "\"rate-limits\": {\"" + kind + "\": {\"" + rate + "\": 1000}}"}}),
            .before =
                [=](const Bench& bench) {
                    if (known) bench.in(syn);
                    empty_buckets(bench);
                },
            .frame = syn};
}

Case case_of(Reason reason)
{
    const auto tight = config_text({{}}, R"("max-connections": 1)");
    switch (reason) {
    case Reason::forwarded:
        return {.before = opened, .frame = syn};
    case Reason::not_ip:
        return {.frame = changed(syn, 12, 0x86)};
    case Reason::not_unicast:
        return {.config = carried, .frame = changed(syn, 0, 0x03)};
    case Reason::no_family:
        return {.frame = routing_header()};
    case Reason::too_many_tags:
        return {.frame = build(tagged(request(Tcp{})))};
    case Reason::truncated:
        return {.frame = cut(syn, 40)};
    case Reason::bad_header:
        return {.frame = changed(syn, 14, 0x44)};
    case Reason::extension_header:
        return {.config = ipv6, .frame = routing_header()};
    case Reason::fragment_early:
        return {.before = opened, .frame = split(large_request, 600)[1]};
    case Reason::fragment_forwarded:
        return {.before = [](const Bench& bench) { bench.in(split(large_request, 600)[0]); },
                .frame = split(large_request, 600)[1]};
    case Reason::icmp_other:
        return {.frame = build(request(lab::Icmp{}))};
    case Reason::icmp_forwarded:
        return {.before = opened, .frame = build(request(lab::Icmp{.type = 3, .code = 4}, quoted_answer()))};
    case Reason::other_protocol:
        return {.frame = build(of_protocol(request(Tcp{}), 47))};
    case Reason::no_listener:
        return {.frame = build(request(Tcp{.dport = 81}))};
    case Reason::other_address:
        return {.frame = build(to(request(Tcp{}), "192.0.2.9"))};
    case Reason::reply:
        return {.config = config_text({{.port = 40000}}),
                .before = [](const Bench& bench) { bench.in(build(request(Tcp{.dport = 40000}))); },
                .frame = reply};
    case Reason::stray_reset:
        return {.frame = build(request(Tcp{.flags = Tcp::rst}))};
    case Reason::martian_loopback:
        return {.config = loopback, .frame = build(to(request(Tcp{}), "127.0.0.1"))};
    case Reason::no_target:
        return {.before = [](const Bench& bench) { must(bench.map("groups").update(0u, model::GroupRow{})); },
                .frame = syn};
    case Reason::table_full:
        return {.config = tight, .before = crowded, .frame = build(request(Tcp{.sport = 3}))};
    case Reason::no_source_port:
        return {
            .config = two_vips, .before = take_all_ports, .frame = build(to(request(Tcp{}), "192.0.2.2"))};
    case Reason::internal:
        return {.before = [](const Bench& bench) { must(bench.map("slots").update(0u, u32{9999})); },
                .frame = syn};
    case Reason::denied:
        return {.config = config_text({{.more = R"("deny": ["198.51.100.7"])"}}), .frame = syn};
    case Reason::source_connection_rate:
        return limited("per-source", "requests-per-sec", false);
    case Reason::target_connection_rate:
        return limited("per-target", "requests-per-sec", false);
    case Reason::source_packet_rate:
        return limited("per-source", "packets-per-sec", true);
    case Reason::target_packet_rate:
        return limited("per-target", "packets-per-sec", true);
    case Reason::no_source_address:
        return {
            .config = full_nat_without_pool,
            .before =
                [](const Bench& bench) { must(bench.map("nat_sources").update(u32{0}, model::SourceRow{})); },
            .frame = syn};
    case Reason::last_hop:
        return {.config = full_nat, .frame = build(with_ttl(request(Tcp{}), 1))};
    case Reason::reply_translated:
        return {.config = full_nat, .before = opened, .frame = build(answer_to_lb())};
    case Reason::siit_no_checksum:
        return {.config = between, .frame = build(request(lab::Udp{.checksum = false}))};
    case Reason::siit_source_route:
        return {.config = between, .frame = build(with_options(request(Tcp{}), {131, 7, 4, 10, 0, 0, 9, 0}))};
    case Reason::siit_icmp_unknown:
        return {.config = between,
                .before = opened,
                .frame = build(across_answer(lab::Icmp{.type = 1, .code = 5}, quoted_across()))};
    case Reason::siit_lost:
        return {.config = between, .before = ended_across, .frame = syn};
    case Reason::martian_address:
        return {.frame = build({.saddr = ip("127.0.0.1"), .daddr = ip("192.0.2.1"), .l4 = Tcp{}})};
    case Reason::encapsulated:
        return {.config = carried, .frame = syn};
    case Reason::dsr_tagged:
        return {.config = carried, .frame = build(tagged(request(Tcp{}), 1))};
    case Reason::dsr_no_route:
        return {
            .config = carried,
            .before = [](const Bench& bench) { must(bench.map("carriers").update(0u, model::CarrierRow{})); },
            .frame = syn};
    case Reason::reply_forwarded:
        return {.before = opened, .frame = reply};
    case Reason::egress_not_ip:
        return {.frame = changed(cut(reply, 60), 12, 0x86)};
    case Reason::egress_no_family:
        return {.frame = routing_header()};
    case Reason::egress_too_many_tags:
        return {.frame = build(tagged(answer(Tcp{})))};
    case Reason::egress_truncated:
        return {.frame = cut(reply, 40)};
    case Reason::egress_bad_header:
        return {.frame = changed(reply, 14, 0x44)};
    case Reason::egress_extension_header:
        return {.config = ipv6, .frame = routing_header()};
    case Reason::egress_fragment_early:
        return {.before = opened, .frame = split(large_answer, 600)[1]};
    case Reason::egress_fragment_forwarded:
        return {.before =
                    [](const Bench& bench) {
                        bench.in(split(large_request, 600)[0]);
                        bench.out(split(large_answer, 600)[0]);
                    },
                .frame = split(large_answer, 600)[1]};
    case Reason::egress_icmp_other:
        return {.frame = build(answer(lab::Icmp{.type = 0}))};
    case Reason::egress_icmp_forwarded:
        return {.before = opened, .frame = build(answer(lab::Icmp{.type = 11}, quoted_request()))};
    case Reason::egress_other_protocol:
        return {.frame = build(of_protocol(answer(Tcp{}), 47))};
    case Reason::egress_no_flow:
        return {.frame = reply};
    case Reason::egress_loopback:
        return {.config = loopback,
                .frame = build({.saddr = ip("127.0.0.1"), .daddr = client, .l4 = Tcp{.sport = 8080}})};
    case Reason::egress_failed:
        return {};
    default: // of lb backend's programs, which have a test of their own
        return {};
    }
    return {};
}

std::map<Reason, u64> all_counts(const Bench& bench)
{
    auto counted = bench.exits();
    const auto target = bench.counters();
    if (target.forward_packets > 0 && !bench.plan().lb_sends())
        counted[Reason::forwarded] = target.forward_packets;
    if (target.reply_packets > 0 && !bench.plan().expects_replies())
        counted[Reason::reply_forwarded] = target.reply_packets;
    return counted;
}

// Those that need routes, neighbours and devices have their packets in dsr_way_test.cpp and
// fast_reply_test.cpp.
constexpr Reason of_the_way[] = {Reason::sent_back,        Reason::sent_on,        Reason::too_big,
                                 Reason::too_big_sent,     Reason::too_big_unsaid, Reason::dsr_not_on_link,
                                 Reason::dsr_no_neighbour, Reason::dsr_no_device,  Reason::reply_sent_back,
                                 Reason::reply_sent_on,    Reason::not_a_reply};

} // namespace

TEST_CASE("one packet for each reason moves its counter and no other", "[datapath]")
{
    for (const auto& info : model::reasons) {
        INFO(info.name);
        // The kernel refuses to change a checksum only where the packet cannot be written, which no frame
        // brings about.
        if (info.reason == Reason::egress_failed) continue;
        // Nor makes it too little room in front of a packet.
        if (info.reason == Reason::dsr_failed) continue;
        if (info.reason == Reason::siit_failed) continue; // siit_test.cpp has a packet that is too long
        if (std::ranges::find(of_the_way, info.reason) != std::end(of_the_way)) continue;
        if (info.role == model::Role::backend) continue; // of other programs
        const Case each = case_of(info.reason);
        REQUIRE_FALSE(each.frame.empty());
        const Bench bench(each.config);
        each.before(bench);
        auto expected = all_counts(bench);
        ++expected[info.reason];
        const bool ingress = info.role == model::Role::ingress;
        const auto passage = ingress ? bench.in(each.frame) : bench.out(each.frame);
        CHECK(all_counts(bench) == expected);
        const bool drop = info.outcome == model::Outcome::drop;
        CHECK(passage.verdict == (ingress ? (drop ? xdp_drop : xdp_pass) : (drop ? tc_shot : tc_unspec)));
        const bool translated = info.name.ends_with("forwarded") || info.reason == Reason::encapsulated ||
                                info.reason == Reason::reply_translated;
        CHECK((passage.frame == each.frame) == !translated);
    }
}

TEST_CASE("what a proxy refuses is counted for that proxy, and for no other", "[datapath][counters]")
{
    using Refused = std::map<std::pair<u32, Reason>, u64>;
    for (const Reason reason : model::refusals) {
        INFO(model::info(reason).name);
        Case each = case_of(reason);
        const auto end = each.config.find("], \"settings\"");
        each.config.insert(end, R"(,{"name": "other", "listen": {"interfaces": ["eth0"], "port": 99},
                                     "default-target": {"ip": "10.0.0.9", "port": 8080}})");
        const Bench bench(each.config);
        each.before(bench);
        CHECK(bench.refused() == Refused{});
        CHECK(bench.in(each.frame).verdict == xdp_drop);
        CHECK(bench.refused() == Refused{{{0, reason}, 1}});
    }
}
