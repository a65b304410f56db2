// The life of connections: replies, look-alikes, ends and new beginnings, a full table, two CPUs at once.
#include <sched.h>

#include <atomic>
#include <thread>

#include "judge.hpp"
#include "model/flow_state.hpp"

using namespace lb;
using namespace lb::test;
using lab::build;
using lab::ip;
using lab::Tcp;
using lab::Udp;
using model::Reason;

namespace {

const u32 client = ip("198.51.100.7"), target_ip = ip("10.0.0.1");

// VIPs 192.0.2.1 and .2, both with one target, of the same address and port.
ModelFacts shared_facts(std::size_t vips)
{
    ModelFacts facts;
    facts.proxies = {{{{target_ip, 8080}}}};
    for (std::size_t i = 0; i < vips; ++i)
        for (const u8 protocol : {u8{6}, u8{17}})
            facts.listeners.push_back(
                {.protocol = protocol, .address = ip("192.0.2.1") + static_cast<u32>(i)});
    return facts;
}

std::string shared_config(std::size_t vips, const std::string& settings = "")
{
    std::string list;
    for (std::size_t i = 0; i < vips; ++i)
        list += (i == 0 ? "" : ", ") + ("\"" + lab::ip_text(ip("192.0.2.1") + static_cast<u32>(i))) + "\"";
    return config_text({{.listen = "\"address\": [" + list + "]"}}, settings);
}

Packet request(u32 vip, u16 sport, u8 flags)
{
    return {.saddr = client, .daddr = vip, .l4 = Tcp{.sport = sport, .flags = flags}};
}
Packet answer(u16 dport, u8 flags)
{
    return {.saddr = target_ip, .daddr = client, .l4 = Tcp{.sport = 8080, .dport = dport, .flags = flags}};
}

u16 source_port(const Bytes& frame) { return static_cast<u16>(frame[34] << 8 | frame[35]); }

// Every forward entry has the reply entry that it names, and the other way round.
void check_pairs(const Bench& bench)
{
    for (const auto& [key, entry] : bench.flows()) {
        const bool forward = entry.direction == model::Direction::forward;
        const auto other_key = pair_key(key, entry);
        const auto other = bench.flow(other_key);
        INFO("entry of port " << key.sport.host() << " -> " << key.dport.host()
                              << (forward ? " forward" : " reply"));
        REQUIRE(other.has_value());
        CHECK(other->direction != entry.direction);
        CHECK(other->target == entry.target);
        CHECK(pair_key(other_key, *other) == key);
    }
}

} // namespace

TEST_CASE("connections that would look alike to their target get source ports of their own", "[datapath]")
{
    constexpr std::size_t vips = 17; // the client's own port, and sixteen more tries
    Judge judge(shared_config(vips), shared_facts(vips));
    std::set<u16> ports;
    for (u32 i = 0; i < vips; ++i) {
        const Bytes out = judge.in(build(request(ip("192.0.2.1") + i, 5000, Tcp::syn)));
        CHECK(judge.last() == Reason::forwarded);
        CHECK(ports.insert(source_port(out)).second);
    }
    CHECK(ports.contains(5000));
    // Each way back leads to the VIP that the client called, and each way there goes on as it began.
    for (const u16 port : ports) {
        judge.out(build(answer(port, Tcp::ack_flag)));
        CHECK(judge.last() == Reason::reply_forwarded);
    }
    for (u32 i = 0; i < vips; ++i) judge.in(build(request(ip("192.0.2.1") + i, 5000, Tcp::ack_flag)));
    check_pairs(judge.bench());
}

TEST_CASE("a reply is not translated forward, even where its port is a listener's", "[datapath]")
{
    ModelFacts facts = shared_facts(1);
    facts.listeners = {{.protocol = 6, .kind = ModelKind::any}, {.protocol = 17, .kind = ModelKind::any}};
    Judge judge(config_text({{.listen = R"("address": "any")"}}), facts);
    judge.in(build(request(ip("192.0.2.1"), 80, Tcp::syn)));
    judge.in(build(answer(80, Tcp::syn | Tcp::ack_flag)));
    CHECK(judge.last() == Reason::reply);
    judge.out(build(answer(80, Tcp::syn | Tcp::ack_flag)));
    CHECK(judge.last() == Reason::reply_forwarded);
}

TEST_CASE("a SYN on a tuple whose connection has ended begins a new one; on a live one it goes on",
          "[datapath]")
{
    const u32 vip = ip("192.0.2.1");
    struct Row {
        const char* name;
        u8 there, back;
        bool ends;
    };
    for (const auto& row : {Row{"nothing more", Tcp::ack_flag, Tcp::ack_flag, false},
                            Row{"FIN from the client", Tcp::fin | Tcp::ack_flag, Tcp::ack_flag, false},
                            Row{"FIN from the target", Tcp::ack_flag, Tcp::fin | Tcp::ack_flag, false},
                            Row{"FIN from both", Tcp::fin | Tcp::ack_flag, Tcp::fin | Tcp::ack_flag, true},
                            Row{"RST from the client", Tcp::rst, Tcp::ack_flag, true},
                            Row{"RST from the target", Tcp::ack_flag, Tcp::rst, true}}) {
        INFO(row.name);
        Judge judge(shared_config(1), shared_facts(1));
        judge.in(build(request(vip, 6000, Tcp::syn)));
        judge.out(build(answer(6000, Tcp::syn | Tcp::ack_flag)));
        judge.in(build(request(vip, 6000, row.there)));
        judge.out(build(answer(6000, row.back)));
        judge.in(build(request(vip, 6000, Tcp::syn)));
        CHECK(judge.last() == Reason::forwarded);
        CHECK(judge.bench().counters().connections == (row.ends ? 2 : 1));
        const auto flow = judge.bench().flow(key_of(build(request(vip, 6000, Tcp::syn))));
        REQUIRE(flow.has_value());
        CHECK(flow->packets == (row.ends ? 1 : 3));
        CHECK(flow->tcp_flags == (row.ends ? Tcp::syn : static_cast<u8>(Tcp::syn | row.there)));
        judge.out(build(answer(6000, Tcp::syn | Tcp::ack_flag)));
        CHECK(judge.last() == Reason::reply_forwarded);
        check_pairs(judge.bench());
    }
}

TEST_CASE("a reply entry that was left over does not end the connection that finds it", "[datapath]")
{
    const Bench bench(shared_config(1));
    const Bytes syn = build(request(ip("192.0.2.1"), 6001, Tcp::syn));
    bench.in(syn);
    bench.out(build(answer(6001, Tcp::rst)));
    const auto forward = bench.flow(key_of(syn));
    REQUIRE(forward.has_value());
    CHECK(must(bench.map("flows4").remove(key_of(syn))));
    CHECK(bench.in(syn).verdict == xdp_pass);
    const auto reply = bench.flow(pair_key(key_of(syn), *forward));
    REQUIRE(reply.has_value());
    CHECK(reply->tcp_flags == 0);
    CHECK(reply->packets == 0);
    check_pairs(bench);
}

TEST_CASE("an entry tells when it began and was last seen, packets, bytes and flags", "[datapath]")
{
    Judge judge(shared_config(1), shared_facts(1));
    const Bytes first = build(request(ip("192.0.2.1"), 6002, Tcp::syn));
    judge.in(first);
    const auto made = judge.bench().flow(key_of(first));
    REQUIRE(made.has_value());
    CHECK(made->created != 0);
    CHECK(static_cast<u32>(made->last_seen) == made->created);
    std::this_thread::sleep_for(std::chrono::milliseconds(30)); // some ticks
    Packet second = request(ip("192.0.2.1"), 6002, Tcp::ack_flag | Tcp::psh);
    second.payload = lab::pattern(100);
    judge.in(build(second));
    judge.out(build(answer(6002, Tcp::syn | Tcp::ack_flag)));
    const auto forward = judge.bench().flow(key_of(first));
    REQUIRE(forward.has_value());
    CHECK(forward->created == made->created);
    CHECK(forward->last_seen > made->last_seen);
    CHECK(forward->packets == 2);
    CHECK(forward->bytes == 40 + 140);
    CHECK(forward->tcp_flags == (Tcp::syn | Tcp::ack_flag | Tcp::psh));
    const auto reply = judge.bench().flow(pair_key(key_of(first), *forward));
    REQUIRE(reply.has_value());
    CHECK(reply->packets == 1);
    CHECK(reply->bytes == 40);
    CHECK(reply->tcp_flags == (Tcp::syn | Tcp::ack_flag));
    CHECK(static_cast<u32>(reply->last_seen) >= forward->created);
}

TEST_CASE("a full table refuses new connections, whole, and keeps those that live", "[datapath]")
{
    ModelFacts facts = shared_facts(1);
    facts.connections_max = 10;
    Judge judge(shared_config(1, R"("max-connections": 10)"), facts);
    constexpr u16 room = 10 + 8; // and those that may be half-open
    for (u16 port = 1; port <= room + 3; ++port) {
        judge.in(build(request(ip("192.0.2.1"), port, Tcp::syn)));
        CHECK(judge.last() == (port <= room ? Reason::forwarded : Reason::table_full));
        judge.out(build(answer(port, Tcp::syn | Tcp::ack_flag)));
        if (port <= room) judge.in(build(request(ip("192.0.2.1"), port, Tcp::ack_flag)));
    }
    CHECK(judge.bench().flows().size() == 2 * room);
    check_pairs(judge.bench());
    for (u16 port = 1; port <= room; ++port) {
        judge.in(build(request(ip("192.0.2.1"), port, Tcp::ack_flag)));
        CHECK(judge.last() == Reason::forwarded);
    }
}

TEST_CASE("the first packets of one connection on two CPUs at once make one connection", "[datapath]")
{
    constexpr u16 tuples = 20000;
    constexpr std::size_t vips = 2; // every second tuple looks like the one before it
    const Bench bench(shared_config(vips, R"("max-connections": 100000)"));
    std::vector<Bytes> frames;
    for (u16 i = 0; i < tuples; ++i)
        frames.push_back(build({.saddr = client,
                                .daddr = ip("192.0.2.1") + i % 2u,
                                .l4 = Udp{.sport = static_cast<u16>(1000 + i / 2)}}));
    std::array<std::vector<Bytes>, 2> seen;
    std::array<std::atomic<u32>, 2> arrived{};
    std::atomic<bool> failed = false;
    const auto work = [&](u32 cpu) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        ::sched_setaffinity(0, sizeof set, &set);
        for (u32 i = 0; i < tuples && !failed; ++i) {
            arrived[cpu].store(i + 1);
            while (arrived[1 - cpu].load() <= i && !failed) {
            } // both start at once
            const auto run = bench.ingress().run(frames[i]);
            if (!run || run->retval != xdp_pass) failed = true;
            if (run) seen[cpu].push_back(run->out);
        }
    };
    {
        std::jthread other([&] { work(1); });
        work(0);
    }
    REQUIRE_FALSE(failed);
    CHECK(seen[0] == seen[1]); // the same translation, whoever came first
    CHECK(bench.flows().size() == 2 * tuples);
    check_pairs(bench);
}
