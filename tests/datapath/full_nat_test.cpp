// Full NAT: the target sees an address and a port of lb's own; its replies come there and are translated
// where they arrive. What each side gets is built from what it ought to see, besides the model.
#include "shapes.hpp"

using namespace lb;
using namespace lb::test;
using lab::any_ip;
using lab::build;
using lab::Icmp;
using lab::quote;
using model::Reason;

namespace {

const std::string full_nat = R"("forwarding": {"mode": "full-nat"})";

struct Pool {
    std::vector<std::string> addresses = {"10.0.0.254", "10.0.0.253", "2001:db8:a::fe"};
    u16 first = 10000, last = 29999;
};

// A proxy with full NAT for each family on port 80, and one with NAT on port 81.
Judge judge_of(const Pool& pool = {}, const BenchOptions& options = {})
{
    ModelFacts facts;
    for (const u8 protocol : {u8{6}, u8{17}}) {
        facts.listeners.push_back({.proxy = 0, .protocol = protocol, .address = any_ip("192.0.2.1")});
        facts.listeners.push_back({.proxy = 1, .protocol = protocol, .address = any_ip("2001:db8::80")});
        facts.listeners.push_back(
            {.proxy = 2, .protocol = protocol, .port = 81, .address = any_ip("192.0.2.1")});
    }
    facts.proxies = {{.group = {{any_ip("10.0.0.1"), 8080}}, .full_nat = true},
                     {.group = {{any_ip("2001:db8:a::1"), 8080}}, .full_nat = true},
                     {.group = {{any_ip("10.0.0.1"), 8080}}}};
    std::string list;
    for (const auto& each : pool.addresses) {
        facts.full_nat_sources.insert(any_ip(each));
        list += (list.empty() ? "\"" : ", \"") + each + "\"";
    }
    if (pool.addresses.empty()) facts.full_nat_sources = {any_ip(options.source4), any_ip(options.source6)};
    facts.full_nat_first = pool.first;
    facts.full_nat_last = pool.last;
    const std::string addresses = list.empty() ? "" : "\"addresses\": [" + list + "], ";
    const std::string ports = std::to_string(pool.first) + "-" + std::to_string(pool.last);
    return Judge(config_text({{.name = "four", .more = full_nat},
                              {.name = "six",
                               .listen = R"("address": "2001:db8::80")",
                               .target = R"({"ip": "2001:db8:a::1", "port": 8080})",
                               .more = full_nat},
                              {.name = "nat", .port = 81}},
                             "\"full-nat\": {" + addresses + "\"ports\": \"" + ports + "\"}"),
                 facts, options);
}

struct Ports {
    u16 source = 0, destination = 0;
};

Ports ports_of(const Packet& packet)
{
    if (const auto* tcp = std::get_if<lab::Tcp>(&packet.l4)) return {tcp->sport, tcp->dport};
    const auto& udp = std::get<lab::Udp>(packet.l4);
    return {udp.sport, udp.dport};
}

void set_ports(Packet& packet, Ports ports)
{
    if (auto* tcp = std::get_if<lab::Tcp>(&packet.l4)) {
        tcp->sport = ports.source;
        tcp->dport = ports.destination;
    } else {
        auto& udp = std::get<lab::Udp>(packet.l4);
        udp.sport = ports.source;
        udp.dport = ports.destination;
    }
}

Packet turned(Packet packet)
{
    std::swap(packet.saddr, packet.daddr);
    const Ports ports = ports_of(packet);
    set_ports(packet, {ports.destination, ports.source});
    return packet;
}

// A connection of this shape through the judge: who lb is toward the target.
struct Connection {
    FrameShape shape = {};
    Address source = {};
    u16 port = 0;

    Connection(Judge& judge, const FrameShape& of, u16 client_port = 4000) : shape(of), client(client_port)
    {
        const auto seen = lab::parse(judge.in(build(request())));
        REQUIRE(seen);
        source = seen->saddr;
        port = ports_of(*seen).source;
    }
    u16 client = 0;
    Packet request(std::size_t payload = 16) const { return shape_request(shape, payload, client); }
    Packet request_behind(std::size_t payload = 16) const
    {
        Packet packet = request(payload);
        packet.saddr = source;
        packet.daddr = shape_target(shape);
        set_ports(packet, {port, 8080});
        return packet;
    }
    Packet reply(std::size_t payload = 16) const { return turned(request_behind(payload)); }
    Packet reply_seen(std::size_t payload = 16) const { return turned(request(payload)); }
};

Bytes error(const FrameShape& shape, const std::string& from, const Address& to, const Bytes& quoted)
{
    return build({.vlans = shape.tags,
                  .saddr = any_ip(from),
                  .daddr = to,
                  .l4 = Icmp{.type = static_cast<u8>(shape.six ? 2 : 3),
                             .code = static_cast<u8>(shape.six ? 0 : 4),
                             .rest = 1300},
                  .payload = quoted});
}

const Pool pools[] = {{}, {.addresses = {}}};
const Pool eight_ports{.addresses = {"10.0.0.254", "2001:db8:a::fe"}, .first = 20000, .last = 20007};

// The connection from this port of the client, from its SYN to its ACK; what the target sees of it.
Packet establish(const Bench& bench, u16 port)
{
    using lab::Tcp;
    const auto with = [](Packet packet, u8 flags) {
        std::get<Tcp>(packet.l4).flags = flags;
        return build(packet);
    };
    const Packet request = shape_request({}, 0, port);
    const auto behind = lab::parse(bench.in(with(request, Tcp::syn)).frame);
    REQUIRE(behind);
    CHECK(bench.in(with(turned(*behind), Tcp::syn | Tcp::ack_flag)).verdict == xdp_pass);
    CHECK(bench.in(with(request, Tcp::ack_flag)).verdict == xdp_pass);
    return *behind;
}

} // namespace

TEST_CASE("both directions of full NAT, whatever stands before TCP and UDP", "[full-nat]")
{
    for (const Pool& pool : pools) {
        Judge judge = judge_of(pool);
        u16 port = 1000;
        for (const auto& shape : every_shape()) {
            INFO(shape.name);
            const Connection connection(judge, shape, ++port);
            CHECK(judge.last() == Reason::forwarded);
            for (const std::size_t payload : {0UL, 1UL, 1300UL}) {
                CHECK((judge.in(build(connection.request(payload))) ==
                       build(connection.request_behind(payload))));
                CHECK((judge.in(build(connection.reply(payload))) == build(connection.reply_seen(payload))));
                CHECK(judge.last() == Reason::reply_translated);
                // On its way out it is nobody's.
                CHECK((judge.out(build(connection.reply_seen(payload))) ==
                       build(connection.reply_seen(payload))));
            }
        }
    }
}

TEST_CASE("errors of full NAT reach the side that sent what they quote, in lb's or the VIP's name",
          "[full-nat]")
{
    Judge judge = judge_of();
    for (const auto& shape : every_shape()) {
        if (!shape.options.empty() || !shape.extensions.empty()) continue;
        INFO(shape.name);
        const Connection connection(judge, shape);
        const Bytes seen = build(connection.reply_seen(40)), reply = build(connection.reply(40));
        const Bytes request = build(connection.request(40)), behind = build(connection.request_behind(40));
        const std::string client = shape.six ? "2001:db8:c::7" : "198.51.100.7";
        const std::string router = shape.six ? "2001:db8:ff::1" : "203.0.113.9";
        const std::string target = shape.six ? "2001:db8:a::1" : "10.0.0.1";
        const std::string vip = shape.six ? "2001:db8::80" : "192.0.2.1";
        const std::string source = lab::ip_text(connection.source);
        for (const std::size_t size : {lab::ip_header_size(reply) + 8, 2000UL}) {
            for (const auto& from : {client, router}) {
                CHECK((judge.in(error(shape, from, shape_vip(shape), quote(seen, size))) ==
                       error(shape, source, shape_target(shape), quote(reply, size))));
                CHECK(judge.last() == Reason::icmp_forwarded);
            }
            for (const auto& from : {target, router}) {
                CHECK((judge.in(error(shape, from, connection.source, quote(behind, size))) ==
                       error(shape, vip, shape_client(shape), quote(request, size))));
                CHECK(judge.last() == Reason::icmp_forwarded);
            }
        }
    }
}

TEST_CASE("errors beside full NAT keep a router's name", "[full-nat]")
{
    Judge judge = judge_of();
    Packet request = shape_request({}, 16);
    set_ports(request, {4000, 81});
    judge.in(build(request));
    Packet reply = turned(request);
    const Bytes quoted = quote(build(reply));
    reply.saddr = any_ip("10.0.0.1");
    set_ports(reply, {8080, 4000});
    CHECK((judge.in(error({}, "203.0.113.9", any_ip("192.0.2.1"), quoted)) ==
           error({}, "203.0.113.9", any_ip("10.0.0.1"), quote(build(reply)))));
}

TEST_CASE("fragments of full NAT go like their first one, in both directions", "[full-nat]")
{
    Judge judge = judge_of();
    u32 id = 0x100;
    for (const auto& shape : every_shape()) {
        if (shape.extensions.size() == 6) continue; // one more would be too many
        if (!shape.extensions.empty() && shape.extensions.front().type == 44) continue; // one is enough
        INFO(shape.name);
        const Connection connection(judge, shape);
        const std::size_t room = shape.extensions.empty() ? 64 : 400;
        const auto there = lab::split(connection.request(1000), room, ++id);
        const auto behind = lab::split(connection.request_behind(1000), room, id);
        const auto back = lab::split(connection.reply(1000), room, id);
        const auto seen = lab::split(connection.reply_seen(1000), room, id);
        for (std::size_t i = 0; i < there.size(); ++i) {
            CHECK((judge.in(there[i]) == behind[i]));
            CHECK(judge.last() == (i == 0 ? Reason::forwarded : Reason::fragment_forwarded));
        }
        for (std::size_t i = 0; i < back.size(); ++i) {
            CHECK((judge.in(back[i]) == seen[i]));
            CHECK(judge.last() == (i == 0 ? Reason::reply_translated : Reason::fragment_forwarded));
        }
    }
}

TEST_CASE("every connection to one target has a source of its own", "[full-nat]")
{
    Judge judge = judge_of({.first = 20000, .last = 21999});
    std::map<Address, int> sources;
    for (u16 i = 0; i < 1500; ++i) {
        Packet packet = shape_request({}, 0, static_cast<u16>(1000 + i % 100));
        packet.saddr = lab::ip("198.51.100.1") + i / 100;
        const auto seen = lab::parse(judge.in(build(packet)));
        REQUIRE(judge.last() == Reason::forwarded); // and the model asks for a source that is free
        ++sources[seen->saddr];
    }
    // Half of them each: 20 standard deviations of a fair coin are 194 from 750.
    CHECK(sources.size() == 2);
    for (const auto& [source, count] : sources) CHECK(std::abs(count - 750) < 388);
}

TEST_CASE("who knows the connection does not know the port that its target sees", "[full-nat]")
{
    constexpr int tries = 40;
    std::array<std::vector<u16>, 2> ports;
    for (auto& each : ports) {
        Judge judge = judge_of();
        for (u16 port = 1000; port < 1000 + tries; ++port)
            each.push_back(ports_of(*lab::parse(judge.in(build(shape_request({}, 0, port))))).source);
    }
    int alike = 0;
    for (std::size_t i = 0; i < tries; ++i)
        if (ports[0][i] == ports[1][i]) ++alike;
    CHECK(alike < 10); // of 20000 ports: less than once in 10^30
}

TEST_CASE("without free ports a connection is refused by its reason, and the others go on", "[full-nat]")
{
    constexpr u16 ports = 8;
    Judge judge = judge_of(eight_ports);
    const auto request = [](u16 port) { return build(shape_request({}, 0, port)); };
    std::vector<u16> made;
    u16 refused = 0;
    for (u16 port = 1000; port < 1400; ++port) {
        const Passage passage = judge.bench().in(request(port));
        if (passage.verdict == xdp_drop) {
            ++refused;
            CHECK(passage.frame == request(port));
        } else {
            made.push_back(port);
            establish(judge.bench(), port);
        }
    }
    CHECK(made.size() == ports);
    CHECK(judge.bench().exits().at(Reason::no_source_port) == refused);
    for (const u16 port : made) {
        const Passage there = judge.bench().in(request(port));
        CHECK(there.verdict == xdp_pass);
        const Passage back = judge.bench().in(build(turned(*lab::parse(there.frame))));
        CHECK(ports_of(*lab::parse(back.frame)).destination == port);
    }
    CHECK(judge.bench().exits()[Reason::reply_translated] == 2 * ports); // of the range's ends, too
    // The other family has ports of its own, and so has NAT.
    CHECK(judge.bench().in(build(shape_request({.six = true}))).verdict == xdp_pass);
    Packet nat = shape_request({});
    set_ports(nat, {4000, 81});
    CHECK(judge.bench().in(build(nat)).verdict == xdp_pass);
}

TEST_CASE("a flood does not use up full NAT's ports: half-open connections give theirs", "[full-nat][flood]")
{
    for (const u8 protocol : {u8{6}, u8{17}}) {
        Judge judge = judge_of(eight_ports);
        const Bench& bench = judge.bench();
        std::vector<Packet> live;
        for (const u16 port : {u16{1}, u16{2}, u16{3}}) live.push_back(establish(bench, port));
        u64 begun = 0;
        for (u16 port = 1000; port < 2000; ++port)
            if (bench.in(build(shape_request({.protocol = protocol}, 0, port))).verdict == xdp_pass) ++begun;
        // Of the four ports that are looked at, all are of the three established ones: 3^4 of 8^4.
        CHECK(begun >= 940);
        CHECK(bench.exits()[Reason::no_source_port] == 1000 - begun);
        for (u16 port = 1; port <= live.size(); ++port) {
            const Packet& behind = live[port - 1u];
            const auto again = lab::parse(bench.in(build(shape_request({}, 0, port))).frame);
            CHECK(ports_of(*again).source == ports_of(behind).source);
            const auto back = lab::parse(bench.in(build(turned(behind))).frame);
            CHECK(ports_of(*back).destination == port);
        }
        const auto rows = bench.flows();
        INFO(rows.size());
        CHECK(rows.size() == (protocol == 6 ? 2 * 8 : 2 * (3 + 8)));
    }
}

TEST_CASE("full NAT takes no packet whose hop is the last one, since nobody would be told", "[full-nat]")
{
    Judge judge = judge_of();
    std::vector<Connection> connections;
    for (const auto& shape : every_shape()) connections.emplace_back(judge, shape);
    const Bench& bench = judge.bench(); // what a dropped packet is to become, the model could not see
    u64 dropped = 0;
    const auto drops = [&](Packet packet, u8 hops) {
        packet.ttl = hops;
        const Passage passage = bench.in(build(packet));
        CHECK(passage.verdict == xdp_drop);
        CHECK(passage.frame == build(packet));
        CHECK(bench.exits()[Reason::last_hop] == ++dropped);
    };
    for (const auto& connection : connections) {
        INFO(connection.shape.name);
        for (const u8 hops : {u8{0}, u8{1}})
            drops(shape_request(connection.shape, 16, 77), hops); // the first
        for (const u8 hops : {u8{0}, u8{1}}) {
            drops(connection.request(), hops);
            drops(connection.reply(), hops);
        }
        Packet last = connection.request(), behind = connection.request_behind();
        last.ttl = behind.ttl = 2;
        CHECK((bench.in(build(last)).frame == build(behind)));
        // Of NAT's the kernel tells the client, who is the source.
        Packet nat = shape_request({});
        set_ports(nat, {4000, 81});
        nat.ttl = 1;
        CHECK(lab::parse(bench.in(build(nat)).frame)->daddr == any_ip("10.0.0.1"));
    }
}

TEST_CASE("a target that this host has no address toward gets nothing", "[full-nat]")
{
    const Judge judge = judge_of({.addresses = {}});
    const Bytes request = build(shape_request({}));
    must(judge.bench().map("nat_sources").update(u32{0}, model::SourceRow{}));
    const Passage passage = judge.bench().in(request);
    CHECK(passage.verdict == xdp_drop);
    CHECK(passage.frame == request);
    CHECK(judge.bench().exits() == std::map<Reason, u64>{{Reason::no_source_address, 1}});
    CHECK(judge.bench().flows().empty());
}

TEST_CASE("the host's own packets to ports of the range pass", "[full-nat]")
{
    Judge judge = judge_of();
    for (const u16 port : {u16{9999}, u16{10000}, u16{20000}, u16{29999}, u16{30000}})
        for (const u8 protocol : {u8{6}, u8{17}}) {
            Packet packet = shape_request({.protocol = protocol});
            packet.daddr = any_ip("10.0.0.254");
            set_ports(packet, {8080, port});
            CHECK((judge.in(build(packet)) == build(packet)));
            CHECK(judge.last() == Reason::no_listener);
        }
}

TEST_CASE("a SYN on a connection of full NAT that has ended opens another", "[full-nat]")
{
    using lab::Tcp;
    Judge judge = judge_of();
    const auto with = [](Packet packet, u8 flags) {
        std::get<Tcp>(packet.l4).flags = flags;
        return build(packet);
    };
    const Connection first(judge, {});
    judge.in(with(first.request(), Tcp::fin | Tcp::ack_flag));
    judge.in(with(first.request(), Tcp::syn)); // half closed: it goes on
    CHECK(judge.bench().counters(0).connections == 1);
    judge.in(with(first.reply(), Tcp::fin | Tcp::ack_flag));
    judge.in(with(first.request(), Tcp::syn));
    CHECK(judge.bench().counters(0).connections == 2);
    CHECK(judge.bench().flows().size() == 2);
}

TEST_CASE("replies of full NAT are counted once, for their target", "[full-nat]")
{
    Judge judge = judge_of();
    const Connection connection(judge, {});
    for (int i = 0; i < 5; ++i) judge.in(build(connection.reply(100)));
    const auto counters = judge.bench().counters(0);
    CHECK(counters.forward_packets == 1);
    CHECK(counters.reply_packets == 5);
    CHECK(counters.reply_bytes == 5 * (20 + 20 + 100));
    CHECK(judge.bench().exits() == std::map<Reason, u64>{{Reason::reply_translated, 5}});
}
