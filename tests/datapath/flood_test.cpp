// More new connections than the table has room for: the oldest that are half-open give way, and no other.
#include "bench.hpp"
#include "judge.hpp"

using namespace lb;
using namespace lb::test;
using lab::build;
using lab::Tcp;
using lab::Udp;
using model::Reason;

namespace {

constexpr u8 syn = Tcp::syn, ack = Tcp::ack_flag, rst = Tcp::rst;

struct Side {
    const char* name;
    std::string listen, target;
    lab::Address vip, target_ip, clients;
};

const Side ipv4{"IPv4",
                R"("address": "192.0.2.1")",
                R"({"ip": "10.0.0.1", "port": 8080})",
                lab::ip("192.0.2.1"),
                lab::ip("10.0.0.1"),
                lab::ip("198.51.0.0")};
const Side ipv6{"IPv6",
                R"("address": "2001:db8::80")",
                R"({"ip": "2001:db8:a::1", "port": 8080})",
                lab::ip6("2001:db8::80"),
                lab::ip6("2001:db8:a::1"),
                lab::ip6("2001:db8:c::")};

lab::Address client(const Side& side, u32 number)
{
    lab::Address address = side.clients;
    const std::size_t size = address.version == 4 ? 4 : 16;
    address.octets[size - 2] = static_cast<u8>(number >> 8);
    address.octets[size - 1] = static_cast<u8>(number);
    return address;
}

ModelFacts facts_of(const Side& side, std::size_t connections)
{
    ModelFacts facts{.connections_max = connections};
    for (const u8 protocol : {u8{6}, u8{17}})
        facts.listeners.push_back({.protocol = protocol, .address = side.vip});
    facts.proxies = {{.group = {{side.target_ip, 8080}}}};
    return facts;
}

/// One side's packets, each held against the model.
struct Traffic {
    Traffic(const Side& which, std::size_t connections)
        : side(which),
          judge(config_text({{.listen = which.listen, .target = which.target}},
                            "\"max-connections\": " + std::to_string(connections)),
                facts_of(which, connections))
    {}
    void send(u32 from, u8 flags)
    {
        judge.in(build(
            {.saddr = client(side, from), .daddr = side.vip, .l4 = Tcp{.sport = 1024, .flags = flags}}));
    }
    void send_udp(u32 from)
    {
        judge.in(build({.saddr = client(side, from), .daddr = side.vip, .l4 = Udp{.sport = 1024}}));
    }
    void answer(u32 to, u8 flags)
    {
        judge.out(build({.saddr = side.target_ip,
                         .daddr = client(side, to),
                         .l4 = Tcp{.sport = 8080, .dport = 1024, .flags = flags}}));
    }
    void answer_udp(u32 to)
    {
        judge.out(build(
            {.saddr = side.target_ip, .daddr = client(side, to), .l4 = Udp{.sport = 8080, .dport = 1024}}));
    }
    void establish(u32 from)
    {
        send(from, syn);
        answer(from, syn | ack);
        send(from, ack);
    }
    u64 evicted() const
    {
        const u32 row = side.vip.version == 4 ? 0 : 1;
        return must(judge.bench().map("backlog").lookup<u32, model::BacklogRow>(row))->evicted;
    }

    Side side;
    Judge judge;
};

} // namespace

TEST_CASE("a flood of SYNs takes no established connection, and a new one has time for its handshake",
          "[flood]")
{
    for (const Side& side : {ipv4, ipv6}) {
        INFO(side.name);
        Traffic traffic(side, 100); // and 64 that are half-open
        u32 next = 0;
        for (; next < 90; ++next) traffic.establish(next);
        for (u32 round = 0; round < 100; ++round) {
            const u32 good = next++;
            traffic.send(good, syn);
            CHECK(traffic.judge.last() == Reason::forwarded);
            for (u32 i = 0; i < 30; ++i) traffic.send(next++, syn);
            traffic.answer(good, syn | ack);
            CHECK(traffic.judge.last() == Reason::reply_forwarded);
            for (u32 i = 0; i < 30; ++i) traffic.send(next++, syn);
            traffic.send(good, ack);
            traffic.answer(good, ack);
            CHECK(traffic.judge.last() == Reason::reply_forwarded);
            traffic.send(good, rst); // and makes room
        }
        for (u32 old = 0; old < 90; ++old) {
            traffic.send(old, ack);
            CHECK(traffic.judge.last() == Reason::forwarded);
            traffic.answer(old, ack);
            CHECK(traffic.judge.last() == Reason::reply_forwarded);
        }
        CHECK(traffic.judge.bench().exits().count(Reason::table_full) == 0);
        CHECK(traffic.evicted() == 100 * 61 - 64);
    }
}

TEST_CASE("who gives way when its place in the ring comes up", "[flood]")
{
    struct Case {
        const char* name;
        bool goes;
        void (*say)(Traffic& traffic, u32 who);
    };
    const Case cases[] = {
        {"a SYN alone", true, [](Traffic& t, u32 who) { t.send(who, syn); }},
        {"a SYN that was answered", true,
         [](Traffic& t, u32 who) {
             t.send(who, syn);
             t.answer(who, syn | ack);
         }},
        {"an ACK out of nowhere", true, [](Traffic& t, u32 who) { t.send(who, ack); }},
        {"a SYN that the target refused", true,
         [](Traffic& t, u32 who) {
             t.send(who, syn);
             t.answer(who, rst | ack);
         }},
        {"a connection that the client has reset", true,
         [](Traffic& t, u32 who) {
             t.establish(who);
             t.send(who, rst);
         }},
        {"an established connection", false, [](Traffic& t, u32 who) { t.establish(who); }},
        {"one that was taken up in its middle, and answered", false,
         [](Traffic& t, u32 who) {
             t.send(who, ack);
             t.answer(who, ack);
         }},
        {"a datagram", true, [](Traffic& t, u32 who) { t.send_udp(who); }},
        {"a datagram that was answered", false,
         [](Traffic& t, u32 who) {
             t.send_udp(who);
             t.answer_udp(who);
         }},
    };
    for (const Side& side : {ipv4, ipv6})
        for (const auto& each : cases) {
            INFO(side.name << ": " << each.name);
            Traffic traffic(side, 8); // and 4 that are half-open
            each.say(traffic, 1);
            for (u32 other = 2; other < 5; ++other) traffic.send(other, syn);
            CHECK(traffic.judge.bench().map("backlog").info().max_entries == 2);
            CHECK(traffic.evicted() == 0);
            traffic.send(5, syn);
            CHECK(traffic.evicted() == (each.goes ? 1 : 0));
        }
}
