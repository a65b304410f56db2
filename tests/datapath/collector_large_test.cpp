// One pass of the collector over a million entries, of each family: exactly what is to go goes, both entries
// of it, also while connections that were idle when they were read speak again.
#include <chrono>
#include <cstdio>
#include <cstring>

#include "bench.hpp"
#include "model/flow_state.hpp"
#include "runtime/collector.hpp"

using namespace lb;
using namespace lb::test;
using model::Direction;
using model::Flow;
using model::FlowKey;
using wire::Address6;

namespace {

constexpr u32 connections = 500'000;
constexpr u16 client_ports = 50'000;

be32 address(be32, u32 number) { return be32(0x0a000000 + number); }
Address6 address(Address6, u32 number) { return {.high = be64(0x20010db8'00000000), .low = be64(number)}; }

// What the flags and packets of a connection say of it, and for how long it may be idle then (the documented
// defaults).
struct Kind {
    u8 protocol, there, back;
    u64 answers;
    int limit;
};
constexpr u8 syn = lab::Tcp::syn, ack = lab::Tcp::ack_flag, fin = lab::Tcp::fin, rst = lab::Tcp::rst;
constexpr Kind kinds[] = {{6, syn, 0, 0, 30},
                          {6, syn | ack, syn | ack, 9, 300},
                          {6, syn | ack | fin, syn | ack, 9, 60},
                          {6, syn | ack | fin, syn | ack | fin, 9, 10},
                          {6, syn | ack, syn | ack | rst, 9, 10},
                          {17, 0, 0, 9, 60},
                          {17, 0, 0, 0, 30}};

template <class A> struct Connection {
    FlowKey<A> there, back;
    Flow<A> forward, reply;
};

class Ages {
public:
    explicit Ages(const runtime::JiffiesClock& clock)
        : now_(must(clock.now())),
          per_second_(clock.per_second())
    {}
    /// jiffies64 so many seconds ago.
    u64 before(int seconds) const { return u64{1} << 32 | (now_ - static_cast<u32>(seconds) * per_second_); }

private:
    u32 now_, per_second_;
};

bool is_old(u32 number) { return number % 3 == 0; }

// Each by its number, from which everything follows.
template <class A> Connection<A> connection(u32 number, const Ages& ages)
{
    const Kind& kind = kinds[number % std::size(kinds)];
    const A client = address(A{}, 1'000'000 + number / client_ports), vip = address(A{}, 1),
            target = address(A{}, 2 + number % 5);
    const be16 port(static_cast<u16>(1024 + number % client_ports));
    // What is young has a minute left, on a busy machine as well, or was just seen.
    const int idle =
        is_old(number) ? kind.limit + 1 + static_cast<int>(number % 1000) : std::max(kind.limit - 60, -60);
    const u64 seen = ages.before(idle), long_ago = ages.before(is_old(number) ? idle + 7 : 2000);
    const bool replies_last = number % 2 == 0; // one of the two has been silent for long
    Connection<A> made;
    made.there = {.saddr = client, .daddr = vip, .sport = port, .dport = be16(80), .protocol = kind.protocol};
    made.forward = {.saddr = client,
                    .daddr = target,
                    .sport = port,
                    .dport = be16(8080),
                    .last_seen = replies_last ? long_ago : seen,
                    .packets = 7,
                    .bytes = number,
                    .tcp_flags = kind.there};
    made.back = pair_key(made.there, made.forward);
    made.reply = {.saddr = vip,
                  .daddr = client,
                  .sport = be16(80),
                  .dport = port,
                  .last_seen = replies_last ? seen : long_ago,
                  .packets = kind.answers,
                  .bytes = number,
                  .direction = Direction::reply,
                  .tcp_flags = kind.back};
    return made;
}

template <class A> kernel::Map fill(const Ages& ages)
{
    model::Plan plan;
    plan.max_connections = connections;
    constexpr auto family = std::is_same_v<A, be32> ? model::Family::ipv4 : model::Family::ipv6;
    plan.listeners = {{.family = family}};
    const datapath::Maps maps(plan);
    kernel::Map flows;
    if constexpr (std::is_same_v<A, be32>)
        flows = must(kernel::Map::create(maps.v4->flows));
    else
        flows = must(kernel::Map::create(maps.v6->flows));
    std::vector<FlowKey<A>> keys;
    std::vector<Flow<A>> values;
    for (u32 number = 0; number < connections; ++number) {
        const auto made = connection<A>(number, ages);
        for (const auto& key : {made.there, made.back}) keys.push_back(key);
        for (const auto& value : {made.forward, made.reply}) values.push_back(value);
        if (keys.size() < 8192 && number + 1 < connections) continue;
        must(kernel::update_batch<FlowKey<A>, Flow<A>>(flows, keys, values));
        keys.clear();
        values.clear();
    }
    return flows;
}

template <class A> u32 number_of(const FlowKey<A>& key, const Flow<A>& value)
{
    const bool forward = value.direction == Direction::forward;
    const A client = forward ? key.saddr : value.daddr;
    const be16 port = forward ? key.sport : value.dport;
    u32 host = 0;
    if constexpr (std::is_same_v<A, be32>)
        host = client.host() - 0x0a000000;
    else
        host = static_cast<u32>(client.low.host());
    return (host - 1'000'000) * client_ports + port.host() - 1024;
}

template <class A> void collect_million(const char* family)
{
    const auto clock = must(runtime::JiffiesClock::create());
    const Ages ages(clock);
    const kernel::Map flows = fill<A>(ages);
    REQUIRE(must(kernel::count_entries(flows)) == 2 * connections);

    // Each that goes wakes its neighbour, whose number is in hand and whose entry may just have been read.
    std::vector<bool> gone(connections), woken(connections);
    const u64 now = ages.before(0);
    const auto began = std::chrono::steady_clock::now();
    const auto collected = must(runtime::collect<A>(flows, clock, {}, [&](const runtime::Ended& ended) {
        const u32 number = static_cast<u32>(ended.forward_bytes);
        gone[number] = true;
        const u32 other = (number + 3) % connections;
        if (gone[other] || !is_old(other) || number % 2 != 0) return;
        auto made = connection<A>(other, ages);
        made.forward.last_seen = now;
        must(flows.update(made.there, made.forward));
        woken[other] = true;
    }));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;

    u32 wanted_gone = 0, kept = 0, wrong = 0, seen = 0;
    for (u32 number = 0; number < connections; ++number) {
        if (gone[number] != (is_old(number) && !woken[number])) ++wrong;
        if (is_old(number) && !woken[number]) ++wanted_gone;
        if (woken[number]) ++kept;
    }
    CHECK(wrong == 0);
    CHECK(kept > 1000); // else this shows nothing of them
    CHECK(collected.removed == wanted_gone);
    CHECK(collected.connections == connections - wanted_gone);

    u32 changed = 0;
    for (const auto& [key, value] : must(kernel::read_all<FlowKey<A>, Flow<A>>(flows))) {
        ++seen;
        const u32 number = number_of(key, value);
        const bool forward = value.direction == Direction::forward;
        auto wanted = connection<A>(number, ages);
        if (woken[number]) wanted.forward.last_seen = now;
        const auto& flow = forward ? wanted.forward : wanted.reply;
        if (gone[number] || key != (forward ? wanted.there : wanted.back) ||
            std::memcmp(&flow, &value, sizeof flow) != 0)
            ++changed;
    }
    CHECK(seen == 2 * (connections - wanted_gone));
    CHECK(changed == 0);
    std::printf("%s: %u entries read, %u connections taken out, %u kept because they spoke: %.2f s\n", family,
                2 * connections, wanted_gone, kept, took.count());
}

} // namespace

TEST_CASE("a pass over a million entries takes out what is idle, both ways, and leaves what speaks meanwhile",
          "[collector][large]")
{
    collect_million<be32>("IPv4");
    collect_million<Address6>("IPv6");
}
