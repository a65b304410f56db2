// What the collector takes out of a flow table, and what it leaves; the entries are written by hand.
#include <chrono>
#include <set>
#include <thread>

#include "bench.hpp"
#include "model/flow_state.hpp"
#include "runtime/collector.hpp"

using namespace lb;
using namespace lb::test;
using namespace std::chrono_literals;
using lab::Tcp;
using model::Direction;
using model::Flow4;
using model::FlowKey4;
using model::FlowState;

namespace {

constexpr u8 tcp = 6, udp = 17;

struct Connection {
    u16 port = 1; ///< the client's
    u8 protocol = tcp;
    u8 there = Tcp::syn | Tcp::ack_flag, back = Tcp::syn | Tcp::ack_flag; ///< TCP flags seen
    std::optional<int> forward_idle = 0, reply_idle = 0; ///< seconds since its last packet; empty: no entry
    u64 answers = 1;                                     ///< packets from the target
};

constexpr be32 client{0xc6336407}, vip{0xc0000201}, target{0x0a000001};

FlowKey4 forward_key_of(const Connection& c)
{
    return {.saddr = client, .daddr = vip, .sport = be16(c.port), .dport = be16(80), .protocol = c.protocol};
}
FlowKey4 reply_key_of(const Connection& c)
{
    return {
        .saddr = target, .daddr = client, .sport = be16(8080), .dport = be16(c.port), .protocol = c.protocol};
}

class Table {
public:
    explicit Table(u32 connections = 100)
    {
        model::Plan plan;
        plan.max_connections = connections;
        plan.listeners = {{.family = model::Family::ipv4}};
        flows_ = must(kernel::Map::create(datapath::Maps(plan).v4->flows));
        clock_ = must(runtime::JiffiesClock::create());
    }

    /// What jiffies64 was so long ago. Its high half is not 0 from the fifth minute of a machine's life on.
    u64 before(int seconds) const
    {
        const u32 low = must(clock_.now()) - static_cast<u32>(seconds) * clock_.per_second();
        return u64{1} << 32 | low;
    }
    void add(const Connection& c) const
    {
        const Flow4 there{.saddr = client,
                          .daddr = target,
                          .sport = be16(c.port),
                          .dport = be16(8080),
                          .last_seen = before(c.forward_idle.value_or(0)),
                          .tcp_flags = c.there};
        const Flow4 back{.saddr = vip,
                         .daddr = client,
                         .sport = be16(80),
                         .dport = be16(c.port),
                         .last_seen = before(c.reply_idle.value_or(0)),
                         .packets = c.answers,
                         .direction = Direction::reply,
                         .tcp_flags = c.back};
        if (c.forward_idle) must(flows_.update(forward_key_of(c), there));
        if (c.reply_idle) must(flows_.update(reply_key_of(c), back));
    }
    bool has(const FlowKey4& key) const { return must(flows_.lookup<FlowKey4, Flow4>(key)).has_value(); }
    bool has_forward(const Connection& c) const { return has(forward_key_of(c)); }
    bool has_reply(const Connection& c) const { return has(reply_key_of(c)); }
    /// Whether both are there; that only one is, is a failure.
    bool whole(const Connection& c) const
    {
        CHECK(has_forward(c) == has_reply(c));
        return has_forward(c);
    }
    runtime::Collected collect(const std::function<void(const runtime::Ended&)>& each = {},
                               const model::Timeouts& timeouts = {}) const
    {
        return must(runtime::collect(flows_, clock_, timeouts, each));
    }
    const kernel::Map& flows() const { return flows_; }
    const runtime::JiffiesClock& clock() const { return clock_; }

private:
    kernel::Map flows_ = {};
    runtime::JiffiesClock clock_ = {};
};

constexpr u8 open = Tcp::syn | Tcp::ack_flag, finished = open | Tcp::fin, broken = open | Tcp::rst;

struct StateRow {
    const char* name;
    u8 protocol, there, back;
    int limit; ///< seconds: the documented defaults
    FlowState state;
    u64 answers = 1;
};
constexpr StateRow state_rows[] = {
    {"a SYN alone", tcp, Tcp::syn, 0, 30, FlowState::half_open},
    {"a SYN and its answer", tcp, Tcp::syn, open, 30, FlowState::half_open},
    {"no flag at all", tcp, 0, 0, 30, FlowState::half_open},
    {"a handshake", tcp, open, open, 300, FlowState::established},
    {"taken up in its middle", tcp, Tcp::ack_flag, Tcp::ack_flag, 300, FlowState::established},
    {"FIN from the client", tcp, finished, open, 60, FlowState::closing},
    {"FIN from the target", tcp, open, finished, 60, FlowState::closing},
    {"FIN from both", tcp, finished, finished, 10, FlowState::closed},
    {"RST from the client", tcp, broken, open, 10, FlowState::closed},
    {"RST from the target", tcp, open, broken, 10, FlowState::closed},
    {"a refused SYN", tcp, Tcp::syn, Tcp::rst | Tcp::ack_flag, 10, FlowState::closed},
    {"UDP", udp, 0, 0, 60, FlowState::udp},
    {"UDP without an answer", udp, 0, 0, 30, FlowState::udp_one_way, 0},
};

// Seconds. What is young grows older while a busy machine takes its time; what is old only gets older.
constexpr int young_by = 6, old_by = 1;

} // namespace

TEST_CASE("a connection goes when it has been idle for longer than its state allows, and not before",
          "[collector]")
{
    for (const auto& row : state_rows) {
        INFO(row.name);
        const Table table;
        const Connection young{.port = 1,
                               .protocol = row.protocol,
                               .there = row.there,
                               .back = row.back,
                               .forward_idle = row.limit - young_by,
                               .reply_idle = row.limit - young_by,
                               .answers = row.answers};
        Connection old = young;
        old.port = 2;
        old.forward_idle = old.reply_idle = row.limit + old_by;
        table.add(young);
        table.add(old);
        std::vector<runtime::Ended> ended;
        const auto collected = table.collect([&](const auto& each) { ended.push_back(each); });
        CHECK(table.whole(young));
        CHECK_FALSE(table.whole(old));
        CHECK(collected.connections == 1);
        CHECK(collected.removed == 1);
        REQUIRE(ended.size() == 1);
        CHECK(ended[0].client.port == old.port);
        CHECK(ended[0].protocol == old.protocol);
        CHECK(ended[0].state == row.state);
    }
}

TEST_CASE("a packet in either direction keeps both entries", "[collector]")
{
    const Table table;
    const Connection download{.port = 1, .forward_idle = 1000, .reply_idle = 1};
    const Connection upload{.port = 2, .forward_idle = 1, .reply_idle = 1000};
    const Connection stream{.port = 3, .protocol = udp, .forward_idle = 1000, .reply_idle = 1};
    for (const auto& each : {download, upload, stream}) table.add(each);
    const auto collected = table.collect();
    for (const auto& each : {download, upload, stream}) CHECK(table.whole(each));
    CHECK(collected.connections == 3);
    CHECK(collected.removed == 0);
}

TEST_CASE("a forward entry without a reply entry is judged by itself", "[collector]")
{
    const Table table;
    const Connection old{.port = 1, .forward_idle = 300 + old_by, .reply_idle = {}};
    const Connection young{.port = 2, .forward_idle = 300 - young_by, .reply_idle = {}};
    table.add(old);
    table.add(young);
    u32 heard = 0;
    const auto collected = table.collect([&](const auto& each) {
        ++heard;
        CHECK(each.client.port == old.port);
        CHECK(each.reply_packets == 0);
    });
    CHECK(heard == 1);
    CHECK_FALSE(table.has_forward(old));
    CHECK(table.has_forward(young));
    CHECK(collected.removed == 1);
    CHECK(collected.connections == 1);
}

TEST_CASE("a reply entry whose forward entry is gone goes too, but not at once and not as a connection",
          "[collector]")
{
    const Table table;
    const Connection old{.port = 1, .forward_idle = {}, .reply_idle = 10 + old_by};
    const Connection young{
        .port = 2, .forward_idle = {}, .reply_idle = 10 - young_by}; // it may be in the making
    table.add(old);
    table.add(young);
    const auto collected = table.collect([](const auto&) { FAIL("no connection has ended"); });
    CHECK_FALSE(table.has_reply(old));
    CHECK(table.has_reply(young));
    CHECK(collected.removed == 0);
    CHECK(collected.connections == 0);
}

TEST_CASE("a reply entry goes when the forward entry that it names uses another one", "[collector]")
{
    // The same client and VIP, but translated with source port 33000.
    const Table table;
    const Connection stray{.port = 1, .forward_idle = {}, .reply_idle = 10 + old_by};
    table.add(stray);
    Connection live{.port = 1, .reply_idle = {}};
    const Flow4 forward{.saddr = client,
                        .daddr = target,
                        .sport = be16(33000),
                        .dport = be16(8080),
                        .last_seen = table.before(10 + old_by),
                        .tcp_flags = open};
    must(table.flows().update(forward_key_of(live), forward));
    Flow4 back{.saddr = vip,
               .daddr = client,
               .sport = be16(80),
               .dport = be16(1),
               .last_seen = table.before(10 + old_by),
               .direction = Direction::reply,
               .tcp_flags = open};
    const auto its_reply = pair_key(forward_key_of(live), forward);
    must(table.flows().update(its_reply, back));
    table.collect();
    CHECK_FALSE(table.has_reply(stray));
    CHECK(table.has_forward(live));
    CHECK(table.has(its_reply));
}

TEST_CASE("what speaks while the collector is at work stays", "[collector]")
{
    // The collector reads in batches: both connections are in the one it has when it takes out the first.
    for (const bool by_reply : {false, true}) {
        INFO("by a packet " << (by_reply ? "back" : "there"));
        const Table table;
        std::vector<Connection> both = {{.port = 1}, {.port = 2}};
        for (auto& each : both) {
            each.forward_idle = each.reply_idle = 300 + old_by;
            table.add(each);
        }
        std::set<u16> taken;
        table.collect([&](const runtime::Ended& ended) {
            taken.insert(ended.client.port);
            Connection other = both[ended.client.port == 1 ? 1 : 0];
            if (taken.contains(other.port)) return;
            (by_reply ? other.reply_idle : other.forward_idle) = 0;
            table.add(other);
        });
        CHECK(taken.size() == 1);
        for (const auto& each : both) CHECK(table.whole(each) == !taken.contains(each.port));
    }
}

TEST_CASE("a packet that comes after the collector has read the time is not old", "[collector]")
{
    const Table table;
    const Connection early{.port = 1, .forward_idle = -5, .reply_idle = -5};
    table.add(early);
    table.collect();
    CHECK(table.whole(early));
}

TEST_CASE("no state is kept for longer than connection-timeout-sec", "[collector]")
{
    for (const auto& row : state_rows) {
        INFO(row.name);
        const Table table;
        Connection old{.protocol = row.protocol, .there = row.there, .back = row.back};
        old.forward_idle = old.reply_idle = 5 + old_by;
        table.add(old);
        CHECK(table.collect({}, model::Timeouts::from({.connection_timeout = 5s})).removed == 1);
        CHECK_FALSE(table.whole(old));
    }
}

TEST_CASE("a pass over a large table takes out every idle connection and no other", "[collector]")
{
    constexpr u16 connections = 20000;
    const Table table(connections);
    const auto idle = [](u16 port) { return port % 3 == 0; };
    u32 wanted = 0;
    for (u16 port = 1; port <= connections; ++port) {
        const int seconds = idle(port) ? 300 + old_by : 100;
        table.add({.port = port, .forward_idle = seconds, .reply_idle = seconds});
        if (idle(port)) ++wanted;
    }
    std::set<u16> ended;
    const auto collected = table.collect([&](const auto& each) { ended.insert(each.client.port); });
    CHECK(collected.removed == wanted);
    CHECK(ended.size() == wanted);
    CHECK(collected.connections == connections - wanted);
    u32 wrong = 0;
    for (u16 port = 1; port <= connections; ++port) {
        const Connection each{.port = port};
        if (table.has_forward(each) == idle(port) || table.has_reply(each) == idle(port)) ++wrong;
    }
    CHECK(wrong == 0);
}

TEST_CASE("the clock counts as many jiffies a second as it says", "[collector]")
{
    const Table table;
    const auto began = std::chrono::steady_clock::now();
    const u32 first = must(table.clock().now());
    std::this_thread::sleep_for(400ms);
    const u32 jiffies = must(table.clock().now()) - first;
    const auto took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    const double wanted = took * table.clock().per_second();
    CHECK(jiffies > wanted * 0.8);
    CHECK(jiffies < wanted * 1.2 + 1);
}
