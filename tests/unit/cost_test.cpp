// What a packet costs: the instructions and helper calls that the programs of configs/demo.json execute for
// it, counted by the interpreter. The numbers below are literals, so that every change of the generated code
// shows in a review. To accept new ones: run `cost_test table`, see that each paragraph's steps are what the
// change was meant to cost or save, and put the totals into `expected`.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "catch_run.hpp"
#include "datapath/generate.hpp"
#include "lab/packet.hpp"
#include "lb/asm/interpreter.hpp"
#include "lb/asm/profile.hpp"
#include "model/config_reader.hpp"
#include "model/maglev.hpp"

using namespace lb;
using lab::Bytes;
using lab::Packet;

namespace {

struct Expected {
    const char* packet = "";
    u64 steps = 0;
    const char* calls = ""; ///< helpers in order
};

const char* const new_connection = "map_lookup_elem map_lookup_elem map_lookup_elem map_lookup_elem "
                                   "map_lookup_elem map_lookup_elem map_lookup_elem jiffies64 " // the backlog
                                   "map_update_elem map_update_elem map_lookup_elem map_lookup_elem";
const char* const there = "map_lookup_elem jiffies64 map_lookup_elem";
const char* const back = "map_lookup_elem jiffies64 map_lookup_elem l4_csum_replace l4_csum_replace";

const Expected expected[] = {
    {"TCP in, first packet", 348, new_connection}, {"TCP in, established", 107, there},
    {"TCP out, established", 115, back},           {"UDP in, first packet", 348, new_connection},
    {"UDP in, established", 104, there},           {"UDP out, established", 112, back},
};

struct Cost {
    std::string packet = {};
    u64 steps = 0;
    std::string calls = {};
    std::vector<bpf::Profile::Row> rows = {};
};

const u32 client = lab::ip("198.51.100.7"), vip = lab::ip("192.0.2.1");

template <class T, class E> T must(std::expected<T, E> result)
{
    using bpf::to_string; // of a generator's error and of a fault
    if constexpr (std::is_same_v<E, Error>) {
        if (!result) throw std::runtime_error(result.error().message);
    } else {
        if (!result) throw std::runtime_error(to_string(result.error()));
    }
    return std::move(*result);
}

model::Plan demo_plan()
{
    std::ifstream file(LB_DEMO_CONFIG);
    std::ostringstream text;
    text << file.rdbuf();
    return must(model::make_plan(must(model::read_config(text.str(), "demo.json"))));
}

/// The balancer of configs/demo.json with its tables filled, in memory.
class Balancer {
public:
    Balancer() : plan_(demo_plan()), maps_(plan_)
    {
        std::map<std::string, u32> symbols;
        u32 ifindex = 2;
        for (const auto& name : plan_.egress_interfaces) symbols[datapath::ifindex_symbol(name)] = ifindex++;
        const KernelFeatures kernel = must(KernelFeatures::from_version("6.18"));
        ingress_ = must(machine_.load(must(datapath::make_ingress(plan_, maps_, kernel)), symbols));
        egress_ = must(machine_.load(must(datapath::make_egress(plan_, maps_, kernel)), symbols));
        fill();
    }

    Bytes in(const Packet& packet, const char* name)
    {
        const bpf::XdpInput input{.frame = lab::build(packet), .context = {.ingress_ifindex = 2}};
        return run(ingress_, input, name);
    }
    Bytes out(const Packet& packet, const char* name)
    {
        return run(egress_, bpf::SkbInput{.frame = lab::build(packet)}, name);
    }
    const Cost& last() const { return last_; }

private:
    Bytes run(const bpf::LoadedProgram& program, bpf::Input input, const char* name)
    {
        bpf::Profile profile(program.program());
        bpf::Outcome outcome = must(
            machine_.run(program, std::move(input), {.jiffies = 4'300'000'000}, {.trace = profile.trace()}));
        last_ = {.packet = name, .steps = outcome.steps, .rows = profile.by_note()};
        for (const auto helper : outcome.calls) {
            if (!last_.calls.empty()) last_.calls += ' ';
            last_.calls += bpf::helper_name(helper).substr(4); // without "bpf_"
        }
        return outcome.frame;
    }

    // As the daemon fills them.
    void fill()
    {
        for (const auto& target : plan_.targets) put("targets", target.id, model::target_row(target));
        u32 first = 0;
        for (const auto& group : plan_.groups) {
            std::vector<std::string> keys;
            for (const auto& member : group.members)
                for (const auto& target : plan_.targets)
                    if (target.id == member.target) keys.push_back(target.endpoint.text());
            const auto slots = model::make_slots(group.members, keys, group.slots);
            for (u32 i = 0; i < slots.size(); ++i) put("slots", first + i, slots[i]);
            put("groups", group.id, model::GroupRow::of(first, static_cast<u32>(slots.size())));
            first += 2 * group.slots;
        }
    }
    template <class V> void put(const char* map, u32 key, const V& value)
    {
        if (machine_.map(map).update(key, value) != 0) throw std::runtime_error(map);
    }

    model::Plan plan_;
    datapath::Maps maps_;
    bpf::Machine machine_;
    bpf::LoadedProgram ingress_ = {}, egress_ = {};
    Cost last_ = {};
};

/// What the target answers to a translated packet.
Packet answer_to(const Bytes& translated, u8 tcp_flags)
{
    const auto seen = lab::parse(translated);
    Packet answer{.saddr = seen->daddr, .daddr = seen->saddr};
    if (const auto* tcp = std::get_if<lab::Tcp>(&seen->l4))
        answer.l4 = lab::Tcp{.sport = tcp->dport, .dport = tcp->sport, .flags = tcp_flags};
    else if (const auto* udp = std::get_if<lab::Udp>(&seen->l4))
        answer.l4 = lab::Udp{.sport = udp->dport, .dport = udp->sport};
    answer.payload = lab::pattern(100);
    return answer;
}

void check_translated(const Bytes& frame, u32 saddr, u32 daddr)
{
    const auto packet = lab::parse(frame);
    if (!packet || packet->saddr != saddr || packet->daddr != daddr || !lab::checksums_ok(frame))
        throw std::runtime_error("not translated as it should be: " + lab::describe(frame));
}

/// A connection's first packet, and then those of a connection that has been used for a while: the flags of
/// both directions have all been seen.
template <class Request>
void measure(const char* const (&names)[3], const Request& request, std::vector<Cost>& costs)
{
    Balancer balancer;
    const Bytes first = balancer.in(request(lab::Tcp::syn), names[0]);
    costs.push_back(balancer.last());
    const u32 target = lab::parse(first)->daddr.v4();
    check_translated(first, client, target);
    balancer.out(answer_to(first, lab::Tcp::syn | lab::Tcp::ack_flag), "the answer");
    for (int round = 0; round < 2; ++round) {
        const u8 flags = lab::Tcp::ack_flag | lab::Tcp::psh;
        const Bytes translated = balancer.in(request(flags), names[1]);
        check_translated(translated, client, target);
        if (round == 1) costs.push_back(balancer.last());
        check_translated(balancer.out(answer_to(translated, flags), names[2]), vip, client);
        if (round == 1) costs.push_back(balancer.last());
    }
}

std::vector<Cost> measured()
{
    std::vector<Cost> costs;
    const Packet to_vip{.saddr = client, .daddr = vip, .payload = lab::pattern(100)};
    const auto tcp = [&](u8 flags) {
        Packet packet = to_vip;
        packet.l4 = lab::Tcp{.flags = flags};
        return packet;
    };
    const auto udp = [&](u8) {
        Packet packet = to_vip;
        packet.l4 = lab::Udp{};
        return packet;
    };
    measure({"TCP in, first packet", "TCP in, established", "TCP out, established"}, tcp, costs);
    measure({"UDP in, first packet", "UDP in, established", "UDP out, established"}, udp, costs);
    return costs;
}

std::string table_of(const Cost& cost)
{
    std::string text =
        cost.packet + ": " + std::to_string(cost.steps) + " instructions, calls: " + cost.calls + "\n";
    for (const auto& row : cost.rows) {
        char line[200];
        std::snprintf(line, sizeof line, "  %4llu  %-55s", static_cast<unsigned long long>(row.steps),
                      row.note.empty() ? "(prologue)" : row.note.c_str());
        text += line;
        for (const u32 helper : row.calls) text += " " + std::string(bpf::helper_name(helper).substr(4));
        text += "\n";
    }
    return text;
}

} // namespace

TEST_CASE("packets cost as many instructions and helper calls as they are known to", "[cost]")
{
    const auto costs = measured();
    REQUIRE(costs.size() == std::size(expected));
    for (std::size_t i = 0; i < costs.size(); ++i) {
        if (costs[i].steps != expected[i].steps) std::printf("%s\n", table_of(costs[i]).c_str());
        INFO(expected[i].packet << "; `cost_test table` shows all");
        CHECK(costs[i].packet == expected[i].packet);
        CHECK(costs[i].steps == expected[i].steps);
        CHECK(costs[i].calls == expected[i].calls);
    }
}

TEST_CASE("each instruction is accounted to one paragraph", "[cost]")
{
    for (const Cost& cost : measured()) {
        INFO(table_of(cost));
        u64 steps = 0;
        std::size_t calls = 0;
        for (const auto& row : cost.rows) {
            steps += row.steps;
            calls += row.calls.size();
        }
        CHECK(steps == cost.steps);
        CHECK(calls == static_cast<std::size_t>(std::ranges::count(cost.calls, ' ')) + 1);
    }
}

int main(int argc, char** argv)
{
    if (argc != 2 || std::string_view(argv[1]) != "table") return lb::test::run_tests(argc, argv);
    for (const Cost& cost : measured()) std::printf("%s\n", table_of(cost).c_str());
}
