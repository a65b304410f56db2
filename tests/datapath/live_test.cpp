// The live connections of each target: counted by the programs, corrected by the collector; and what
// least-connections makes of them.
#include "runtime/collector.hpp"
#include "runtime/live_counts.hpp"
#include "shares.hpp"
#include "two_cpus.hpp"

using namespace lb;
using namespace lb::test;
using lab::build;
using lab::Tcp;

namespace {

const std::vector<u32> equal{1, 1};

i64 live(const Bench& bench, u32 target) { return *must(bench.map("live").lookup<u32, i64>(target)); }
void set_live(const Bench& bench, u32 target, i64 number) { must(bench.map("live").update(target, number)); }

Packet there(bool six, u8 flags, u32 client = 0)
{
    Packet packet = datagram_of(client, six);
    packet.l4 = Tcp{.sport = 5000, .dport = 80, .flags = flags};
    return packet;
}
Packet back(bool six, u8 flags, u32 target = 0, u32 client = 0)
{
    Packet packet = there(six, flags, client);
    packet.daddr = packet.saddr;
    packet.saddr = target_address(target, six);
    packet.l4 = Tcp{.sport = 8080, .dport = 5000, .flags = flags};
    return packet;
}

// What begins or ends within two jiffies is not told apart.
void wait(const runtime::JiffiesClock& clock)
{
    const u32 now = must(clock.now());
    while (must(clock.now()) - now < 3) continue;
}

// A pass over the flow table as the balancer makes it. `meanwhile` happens when it has begun,
// `before_correction` when it has seen all.
runtime::Collected collect(
    const Bench& bench, const std::function<void()>& meanwhile = [] {},
    const std::function<void()>& before_correction = [] {})
{
    const auto clock = must(runtime::JiffiesClock::create());
    auto counts = must(runtime::LiveCounts::open(bench.map("live")));
    wait(clock);
    counts.begin(must(clock.now()));
    wait(clock);
    meanwhile();
    const auto collected = must(runtime::collect(bench.map("flows4"), clock, model::Timeouts{}, {}, &counts));
    before_correction();
    counts.correct();
    return collected;
}

// Both entries of every connection were last seen before the system's first jiffy, or nearly so.
void age_all(const Bench& bench)
{
    for (auto [key, entry] : bench.flows()) {
        entry.last_seen -= 1u << 28;
        must(bench.map("flows4").update(key, entry));
    }
}

} // namespace

TEST_CASE("a TCP connection is counted from its SYN to both FINs, or a RST from either", "[live]")
{
    struct Step {
        bool reply;
        u8 flags;
        i64 live; ///< afterwards
    };
    constexpr u8 syn = Tcp::syn, ack = Tcp::ack_flag, fin = Tcp::fin | ack, rst = Tcp::rst;
    const std::vector<Step> rows[] = {
        {{false, syn, 1},
         {true, syn | ack, 1},
         {false, ack, 1},
         {false, fin, 1},
         {true, fin, 0},
         {false, ack, 0}},
        {{false, syn, 1},
         {true, syn | ack, 1},
         {true, fin, 1},
         {true, fin, 1},
         {false, fin, 0},
         {true, fin, 0}},
        {{false, syn, 1}, {true, syn | ack, 1}, {false, rst, 0}, {true, rst, 0}, {true, fin, 0}},
        {{false, syn, 1}, {true, rst | ack, 0}, {false, fin, 0}, {false, rst, 0}},
        {{false, syn, 1},
         {false, syn, 1},
         {true, rst, 0},
         {false, syn, 1},
         {true, syn | ack, 1},
         {true, rst, 0}},
        {{false, ack, 1}, {true, ack, 1}, {false, fin, 1}, {false, rst, 0}},
    };
    for (const bool six : {false, true})
        for (const auto& steps : rows) {
            const std::vector<u32> one{1};
            const Bench bench(config_text({proxy_by("least-connections", one, six)}));
            for (const Step& step : steps) {
                if (step.reply)
                    bench.out(build(back(six, step.flags)));
                else
                    bench.in(build(there(six, step.flags)));
                INFO((six ? "IPv6" : "IPv4")
                     << ", row " << &steps - rows << ", step " << &step - steps.data());
                CHECK(live(bench, 0) == step.live);
            }
        }
}

TEST_CASE("counts come back to 0, whichever CPUs packets come on", "[live]")
{
    const Bench bench(config_text({proxy_by("least-connections", equal)}));
    constexpr u32 rounds = 4000;
    const auto client = [](u32 cpu, u32 round) { return (cpu * rounds + round) * 16; };
    std::array<std::vector<u32>, 2> targets{std::vector<u32>(rounds), std::vector<u32>(rounds)};
    REQUIRE(on_two_cpus(rounds, [&](u32 cpu, u32 round) {
        const auto run = bench.ingress().run(build(there(false, Tcp::syn, client(cpu, round))));
        if (run) targets[cpu][round] = target_of(run->out);
        return run && run->retval == xdp_pass;
    }));
    CHECK(live(bench, 0) + live(bench, 1) == 2 * rounds);
    // Both sides of a connection end at the same moment, by a RST each.
    REQUIRE(on_two_cpus(2 * rounds, [&](u32 cpu, u32 round) {
        const u32 of = round / rounds, number = client(of, round % rounds);
        const auto run =
            cpu == 0 ? bench.ingress().run(build(there(false, Tcp::rst, number)))
                     : bench.egress().run(build(back(false, Tcp::rst, targets[of][round % rounds], number)));
        return run.has_value();
    }));
    CHECK(live(bench, 0) == 0);
    CHECK(live(bench, 1) == 0);
}

TEST_CASE("a target that has more to do for its weight is taken only where both draws are of it", "[live]")
{
    struct Row {
        std::vector<u32> weights;
        i64 first, second;       ///< live connections
        std::vector<u32> shares; ///< of new ones
    };
    const Row rows[] = {
        {{1, 1}, 0, 0, {1, 1}},     {{1, 1}, 100, 0, {1, 3}}, // 1/2 * 1/2
        {{1, 1}, 1, 2, {3, 1}},     {{3, 1}, 30, 10, {3, 1}}, // the same for its weight: as they are drawn
        {{3, 1}, 31, 10, {9, 7}},                             // 3/4 * 3/4
        {{3, 1}, 29, 10, {15, 1}},                            // all but 1/4 * 1/4
        {{3, 1}, 1000, -1, {9, 7}},                           // a count below 0 is wrong, and less than any
        {{3, 1}, -1, 0, {15, 1}},
    };
    for (const Row& row : rows) {
        const Bench bench(config_text({proxy_by("least-connections", row.weights)}));
        std::vector<u32> counts(2);
        for (u32 client = 0; client < 4000; ++client) {
            set_live(bench, 0, row.first);
            set_live(bench, 1, row.second);
            ++counts.at(target_of(bench.in(build(datagram_of(client))).frame));
        }
        INFO(row.first << " of " << row.weights[0] << ", " << row.second << " of " << row.weights[1] << ": "
                       << counts[0] << " " << counts[1]);
        CHECK(chi_square(counts, row.shares) < chi_square_bound(2));
    }
}

TEST_CASE("a target whose connections last gets fewer new ones until the others have as many", "[live]")
{
    const Bench bench(config_text({proxy_by("least-connections", equal)}));
    set_live(bench, 0, 300); // those of an earlier run, say
    const auto counts = counts_of(bench, 2, 700);
    CHECK(live(bench, 0) + live(bench, 1) == 1000);
    INFO(counts[0] << " " << counts[1]);
    CHECK(std::abs(live(bench, 0) - live(bench, 1)) <= 20); // random would leave them 300 apart
}

TEST_CASE("a connection that the collector takes out is one less", "[live]")
{
    const Bench bench(config_text({proxy_by("least-connections", equal)}));
    counts_of(bench, 2, 100);
    bench.in(build(there(false, Tcp::syn, 1600)));
    bench.in(build(there(false, Tcp::rst, 1600))); // ended: not to be counted twice
    CHECK(live(bench, 0) + live(bench, 1) == 100);
    age_all(bench);
    const auto none = [&] { CHECK((live(bench, 0) == 0 && live(bench, 1) == 0)); };
    CHECK(collect(
              bench, [] {}, none)
              .removed == 101);
    none(); // nothing was left to correct
}

TEST_CASE("a count that is wrong is right after a pass of the collector, whatever happens meanwhile",
          "[live]")
{
    const Bench bench(config_text({proxy_by("least-connections", equal)}));
    counts_of(bench, 2, 500);
    for (u32 client = 0; client < 40; ++client) bench.in(build(there(false, Tcp::syn, 16000 + client * 16)));
    for (u32 client = 0; client < 10; ++client) bench.in(build(there(false, Tcp::rst, 16000 + client * 16)));
    const i64 first = live(bench, 0), second = live(bench, 1);
    CHECK(first + second == 530);
    collect(bench);
    CHECK(live(bench, 0) == first);
    CHECK(live(bench, 1) == second);
    set_live(bench, 0, first + 1000);
    set_live(bench, 1, second - 2000);
    CHECK(collect(bench).connections == 540);
    CHECK(live(bench, 0) == first);
    CHECK(live(bench, 1) == second);
    // Ten begin and twenty end while the pass is on.
    set_live(bench, 0, first + 7);
    set_live(bench, 1, second - 3);
    std::array<i64, 2> change{};
    const auto end = [&](u32 client) {
        --change.at(target_of(bench.in(build(there(false, Tcp::rst, 16000 + client * 16))).frame));
    };
    collect(bench, [&] {
        for (u32 client = 10; client < 30; ++client) end(client);
        for (u32 client = 600; client < 610; ++client)
            ++change.at(target_of(bench.in(build(datagram_of(client))).frame));
    });
    CHECK(live(bench, 0) == first + change[0]);
    CHECK(live(bench, 1) == second + change[1]);
}
