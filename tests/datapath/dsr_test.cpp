// Direct server return where XDP knows no way (nothing is forwarded in the namespace): tunnels' packets go to
// the kernel, and every byte of them is judged.
#include <random>

#include "lab/netns.hpp"
#include "shapes.hpp"

using namespace lb;
using namespace lb::test;
using lab::any_ip;
using lab::build;
using model::Reason;

namespace {

/// Without a way: the programs run here.
template <class F> void nowhere(const F& function)
{
    const lab::Namespace apart("dsr");
    apart.ip("link set lo up");
    apart.set_sysctl("ipv4/ip_forward", "0");
    apart.run(function);
}

struct Kind {
    std::string mode, target;
    ModelMode model = ModelMode::ipip;
};
const std::vector<Kind> tunnels = {{"dsr-ipip", "10.0.0.1", ModelMode::ipip},
                                   {"dsr-ipip", "2001:db8:a::1", ModelMode::ipip},
                                   {"dsr-gue", "10.0.0.1", ModelMode::gue},
                                   {"dsr-gue", "2001:db8:a::1", ModelMode::gue}};

std::string target_text(const std::string& ip, int port, int weight = 100)
{
    return R"({"ip": ")" + ip + R"(", "port": )" + std::to_string(port) + R"(, "weight": )" +
           std::to_string(weight) + "}";
}
std::string mode_text(const std::string& mode) { return R"("forwarding": {"mode": ")" + mode + "\"}"; }

ModelFacts facts_with_sources()
{
    ModelFacts facts;
    facts.source4 = any_ip("10.0.0.254");
    facts.source6 = any_ip("2001:db8:a::fe");
    return facts;
}

void listen(ModelFacts& facts, std::size_t proxy, u16 port)
{
    for (const u8 protocol : {u8{6}, u8{17}})
        for (const char* address : {"192.0.2.1", "2001:db8::80"})
            facts.listeners.push_back(
                {.proxy = proxy, .protocol = protocol, .port = port, .address = any_ip(address)});
}

constexpr const char* both_vips = R"("address": ["192.0.2.1", "2001:db8::80"])";

BenchOptions newest() { return {.kernel = *KernelFeatures::from_version("6.18")}; }
const std::vector<BenchOptions> kernels = {{}, newest()};

} // namespace

TEST_CASE("a packet of every shape is carried as it is, in each tunnel, and so is the next",
          "[datapath][dsr]")
{
    nowhere([] {
        for (const auto& kind : tunnels)
            for (const auto& kernel : kernels) {
                ModelFacts facts = facts_with_sources();
                facts.proxies = {{.group = {{any_ip(kind.target), 80}}, .mode = kind.model}};
                listen(facts, 0, 80);
                Judge judge(config_text({{.listen = both_vips,
                                          .target = target_text(kind.target, 80),
                                          .more = mode_text(kind.mode)}}),
                            facts, kernel);
                u16 port = 1000;
                for (const auto& shape : every_shape()) {
                    INFO(kind.mode << " by " << kind.target << ": " << shape.name);
                    ++port;
                    for (const std::size_t payload : {1u, 64u, 1001u})
                        judge.in(build(shape_request(shape, payload, port)));
                    CHECK(judge.last() == (shape.tags.empty() ? Reason::encapsulated : Reason::dsr_tagged));
                }
            }
    });
}

TEST_CASE("DSCP and ECN of the client's packet are the tunnel's, each of the 256", "[datapath][dsr]")
{
    nowhere([] {
        for (const auto& kind : tunnels) {
            ModelFacts facts = facts_with_sources();
            facts.proxies = {{.group = {{any_ip(kind.target), 80}}, .mode = kind.model}};
            listen(facts, 0, 80);
            Judge judge(config_text({{.listen = both_vips,
                                      .target = target_text(kind.target, 80),
                                      .more = mode_text(kind.mode)}}),
                        facts);
            for (const bool six : {false, true})
                for (unsigned tos = 0; tos < 256; ++tos) {
                    Packet packet = shape_request({.six = six});
                    packet.tos = static_cast<u8>(tos);
                    judge.in(build(packet));
                    CHECK(judge.last() == Reason::encapsulated);
                }
        }
    });
}

TEST_CASE("fragments and errors about answers go to the target of their connection", "[datapath][dsr]")
{
    nowhere([] {
        for (const auto& kind : tunnels)
            for (const bool six : {false, true}) {
                INFO(kind.mode << " by " << kind.target);
                ModelFacts facts = facts_with_sources();
                facts.proxies = {{.group = {{any_ip(kind.target), 80}}, .mode = kind.model}};
                listen(facts, 0, 80);
                Judge judge(config_text({{.listen = both_vips,
                                          .target = target_text(kind.target, 80),
                                          .more = mode_text(kind.mode)}}),
                            facts);
                const FrameShape shape{.six = six, .protocol = 17};
                for (const Bytes& piece : lab::split(shape_request(shape, 3000), 1000)) {
                    judge.in(piece);
                    CHECK(judge.last() == Reason::encapsulated);
                }
                // A router says that the target's answer was too large.
                Packet answer{.saddr = shape_vip(shape),
                              .daddr = shape_client(shape),
                              .l4 = lab::Udp{.sport = 80, .dport = 4000}};
                answer.payload = lab::pattern(100);
                Packet error{.saddr = any_ip(six ? "2001:db8:99::1" : "203.0.113.99"),
                             .daddr = shape_vip(shape)};
                error.l4 =
                    six ? lab::Icmp{.type = 2, .rest = 1300} : lab::Icmp{.type = 3, .code = 4, .rest = 1300};
                error.payload = lab::quote(build(answer));
                judge.in(build(error));
                CHECK(judge.last() == Reason::encapsulated);
            }
    });
}

TEST_CASE("a SYN begins a new connection after the client's FIN or RST, and no other does", "[datapath][dsr]")
{
    nowhere([] {
        const Bench bench(
            config_text({{.target = target_text("10.0.0.1", 80), .more = mode_text("dsr-ipip")}}));
        const auto send = [&](u8 flags) {
            bench.in(build({.saddr = any_ip("198.51.100.7"),
                            .daddr = any_ip("192.0.2.1"),
                            .l4 = lab::Tcp{.flags = flags}}));
        };
        using lab::Tcp;
        const auto connections = [&] { return bench.counters().connections; };
        send(Tcp::syn);
        CHECK(connections() == 1);
        send(Tcp::syn);
        send(Tcp::ack_flag);
        send(Tcp::syn);
        CHECK(connections() == 1);
        send(Tcp::fin | Tcp::ack_flag);
        send(Tcp::ack_flag);
        CHECK(connections() == 1);
        send(Tcp::syn);
        CHECK(connections() == 2);
        send(Tcp::rst);
        send(Tcp::syn);
        CHECK(connections() == 3);
        CHECK(bench.flows().size() == 1);
        CHECK(bench.flows().front().value.carried == 2);
    });
}

TEST_CASE("with a full table connections go without an entry where the pick is repeatable, and only there",
          "[datapath][dsr]")
{
    using Row = std::pair<std::string, bool>;
    const auto [algorithm, repeats] =
        GENERATE(Row{"maglev", true}, Row{"source-hash", true}, Row{"random", false},
                 Row{"round-robin", false}, Row{"least-connections", false});
    INFO(algorithm);
    nowhere([&algorithm = algorithm, &repeats = repeats] {
        ModelFacts facts = facts_with_sources();
        const ModelGroup group = {{any_ip("10.0.0.1"), 80}, {any_ip("10.0.0.2"), 80}};
        facts.proxies = {{.group = group, .mode = ModelMode::ipip, .repeats = repeats}};
        facts.listeners = {{.protocol = 17, .address = any_ip("192.0.2.1")}};
        facts.connections_max = 10;
        Judge judge(config_text({{.listen = R"("address": "192.0.2.1", "protocol": "udp")",
                                  .target = "[" + target_text("10.0.0.1", 80, 50) + ", " +
                                            target_text("10.0.0.2", 80, 50) + "]",
                                  .more = mode_text("dsr-ipip") + R"(, "algorithm": ")" + algorithm + "\""}},
                                R"("max-connections": 10)"),
                    facts);
        constexpr u16 room = 2 * (10 + 8); // an entry each; 8 are for those that have only begun
        std::map<u16, Bytes> first;
        for (const bool again : {false, true})
            for (u16 port = 1; port <= room + 10; ++port) {
                INFO("port " << port << (again ? " again" : ""));
                for (int datagram = 0; datagram < 2; ++datagram) { // the second one makes it stay
                    const Bytes out = judge.in(build({.saddr = any_ip("198.51.100.7"),
                                                      .daddr = any_ip("192.0.2.1"),
                                                      .l4 = lab::Udp{.sport = port}}));
                    const bool goes = port <= room || repeats;
                    CHECK(judge.last() == (goes ? Reason::encapsulated : Reason::table_full));
                    if (goes) CHECK((first.try_emplace(port, out).first->second == out));
                }
            }
        model::TargetCounters sum;
        for (const auto& target : judge.bench().plan().targets) sum += judge.bench().counters(target.id);
        CHECK(sum.unrecorded == (repeats ? 4 * 10 : 0));
        CHECK(sum.connections == room);
    });
}

TEST_CASE("who gives way among carried connections: whoever has sent one packet, or never an ACK",
          "[datapath][dsr][flood]")
{
    using lab::Tcp;
    struct Case {
        std::vector<u8> flags;
        bool goes;
    };
    const Case cases[] = {
        {{Tcp::syn}, true},
        {{Tcp::syn, Tcp::syn}, true},
        {{Tcp::ack_flag}, true}, // anybody may send that in anybody's name
        {{Tcp::syn, Tcp::ack_flag}, false},
        {{Tcp::ack_flag, Tcp::ack_flag}, false},
        {{Tcp::syn, Tcp::ack_flag, Tcp::rst}, true},
    };
    nowhere([&] {
        for (const auto& [flags, goes] : cases) {
            const Bench bench(
                config_text({{.target = target_text("10.0.0.1", 80), .more = mode_text("dsr-ipip")}},
                            R"("max-connections": 8)"));
            const auto send = [&](u16 port, u8 flag) {
                bench.in(build({.saddr = any_ip("198.51.100.7"),
                                .daddr = any_ip("192.0.2.1"),
                                .l4 = Tcp{.sport = port, .flags = flag}}));
            };
            for (const u8 flag : flags) send(1, flag);
            for (u16 other = 2; other <= 5; ++other) send(other, Tcp::syn); // the ring has four places
            INFO(flags.size() << " packets, the last with " << int(flags.back()));
            CHECK(must(bench.map("backlog").lookup<u32, model::BacklogRow>(u32{0}))->evicted == goes);
        }
    });
}

namespace {

// Proxies of every mode beside one another; packets at random to all of them, and answers of those that are
// translated.
void play_mixed(u32 seed, const BenchOptions& kernel)
{
    INFO("seed " << seed << ": LB_TEST_SEED=" << seed << " datapath_test '[mixed]'");
    std::mt19937 engine(seed);
    const auto below = [&](u32 end) { return std::uniform_int_distribution<u32>(0, end - 1)(engine); };
    ModelFacts facts = facts_with_sources();
    std::vector<ProxyText> proxies = {{.name = "nat4", .port = 80},
                                      {.name = "nat6",
                                       .listen = R"("address": "2001:db8::80")",
                                       .port = 80,
                                       .target = target_text("2001:db8:a::9", 8080)},
                                      {.name = "l2",
                                       .listen = R"("address": "192.0.2.1")",
                                       .port = 81,
                                       .target = target_text("10.0.0.5", 81),
                                       .more = mode_text("dsr-l2")}};
    facts.proxies = {{.group = {{any_ip("10.0.0.1"), 8080}}},
                     {.group = {{any_ip("2001:db8:a::9"), 8080}}},
                     {.group = {{any_ip("10.0.0.5"), 81}}, .mode = ModelMode::l2}};
    for (const u8 protocol : {u8{6}, u8{17}}) {
        facts.listeners.push_back(
            {.proxy = 0, .protocol = protocol, .port = 80, .address = any_ip("192.0.2.1")});
        facts.listeners.push_back(
            {.proxy = 1, .protocol = protocol, .port = 80, .address = any_ip("2001:db8::80")});
        facts.listeners.push_back(
            {.proxy = 2, .protocol = protocol, .port = 81, .address = any_ip("192.0.2.1")});
    }
    u16 port = 82;
    for (const std::string mode : {"dsr-ipip", "dsr-gue"}) {
        proxies.push_back({.name = mode,
                           .listen = both_vips,
                           .port = port,
                           .target = R"([{"ip": "10.0.0.1", "port": )" + std::to_string(port) +
                                     R"(, "weight": 50}, {"ip": "2001:db8:a::1", "port": )" +
                                     std::to_string(port) + R"(, "weight": 50}])",
                           .more = mode_text(mode)});
        facts.proxies.push_back({.group = {{any_ip("10.0.0.1"), port}, {any_ip("2001:db8:a::1"), port}},
                                 .mode = mode == "dsr-gue" ? ModelMode::gue : ModelMode::ipip});
        listen(facts, facts.proxies.size() - 1, port);
        ++port;
    }
    Judge judge(config_text(proxies, R"("max-connections": 1000)"), facts, kernel);
    const auto shapes = every_shape();
    std::vector<Bytes> translated;
    for (int i = 0; i < 500; ++i) {
        if (!translated.empty() && below(3) == 0) {
            const auto seen = *lab::parse(translated[below(static_cast<u32>(translated.size()))]);
            Packet answer{.saddr = seen.daddr, .daddr = seen.saddr};
            if (const auto* udp = std::get_if<lab::Udp>(&seen.l4))
                answer.l4 = lab::Udp{.sport = udp->dport, .dport = udp->sport};
            else if (const auto* tcp = std::get_if<lab::Tcp>(&seen.l4))
                answer.l4 =
                    lab::Tcp{.sport = tcp->dport, .dport = tcp->sport, .flags = static_cast<u8>(below(32))};
            judge.out(build(answer));
            continue;
        }
        Packet packet = shape_request(shapes[below(static_cast<u32>(shapes.size()))], below(200),
                                      static_cast<u16>(1000 + below(12)));
        packet.tos = static_cast<u8>(below(256));
        const u16 to = static_cast<u16>(80 + below(5));
        if (auto* tcp = std::get_if<lab::Tcp>(&packet.l4)) {
            tcp->dport = to;
            tcp->flags = static_cast<u8>(below(2) == 0 ? below(64) : u32{lab::Tcp::syn});
        } else
            std::get<lab::Udp>(packet.l4).dport = to;
        Bytes frame = build(packet);
        if (below(10) == 0) frame.resize(frame.size() + below(40), 0x5a);
        const Bytes out = judge.in(frame);
        if (judge.last() == Reason::forwarded) translated.push_back(out);
    }
}

} // namespace

TEST_CASE("proxies of every mode stand beside one another in one program", "[datapath][dsr][mixed][kernels]")
{
    nowhere([] {
        if (const char* seed = std::getenv("LB_TEST_SEED"))
            return play_mixed(static_cast<u32>(std::strtoul(seed, nullptr, 10)), {});
        const u32 first = std::random_device{}();
        for (u32 i = 0; i < 10; ++i) play_mixed(first + i, kernels[i % 2]);
    });
}
