// Thousands of packets at random, in both directions, through one configuration after the other, against the
// model. A failure prints its seed; LB_TEST_SEED=N runs that one again.
#include <cstdlib>
#include <random>

#include "judge.hpp"

using namespace lb;
using namespace lb::test;
using lab::ip;
using lab::Tcp;
using lab::Udp;

namespace {

class Source {
public:
    explicit Source(u32 seed) : engine_(seed) {}
    u32 below(u32 end) { return std::uniform_int_distribution<u32>(0, end - 1)(engine_); }
    bool one_in(u32 n) { return below(n) == 0; }
    template <class T> const T& of(const std::vector<T>& values)
    {
        return values[below(static_cast<u32>(values.size()))];
    }

private:
    std::mt19937 engine_;
};

struct Scene {
    std::string config = {};
    ModelFacts facts = {};
    std::vector<u16> ports = {};
    std::vector<u32> targets = {};
};

// Members of a proxy that let some of its clients in.
std::string make_lists(Source& random, ModelProxy& proxy)
{
    std::string members;
    for (auto [key, list] : {std::pair{"allow", &proxy.allow}, {"deny", &proxy.deny}}) {
        std::string texts;
        for (const auto& [network, length] : {std::pair{"0.0.0.0", 0},
                                              {"198.51.0.0", 16},
                                              {"198.51.100.7", 32},
                                              {"198.51.100.8", 30},
                                              {"198.51.100.8", 31},
                                              {"203.0.113.0", 24}}) {
            if (!random.one_in(4)) continue;
            list->push_back({.network = ip(network), .length = static_cast<u8>(length)});
            texts +=
                (texts.empty() ? "\"" : ", \"") + std::string(network) + "/" + std::to_string(length) + "\"";
        }
        members += ", \"" + std::string(key) + "\": [" + texts + "]";
    }
    return members;
}

// Up to five proxies on ports of their own, of each address kind, with groups and routes.
Scene make_scene(Source& random)
{
    Scene scene;
    scene.facts.own_addresses = {ip("192.0.2.1"), ip("192.0.2.2")};
    std::vector<ProxyText> proxies;
    const u32 count = 1 + random.below(5);
    u32 next_target = ip("10.0.0.1");
    const auto group = [&](ModelGroup& members) {
        const u32 size = 1 + random.below(4);
        std::string list;
        for (u32 i = 0; i < size; ++i) {
            members.push_back({next_target, static_cast<u16>(8000 + i)});
            scene.targets.push_back(next_target);
            list += (i == 0 ? "" : ", ") + (R"({"ip": ")" + lab::ip_text(next_target)) + R"(", "port": )" +
                    std::to_string(8000 + i) + ", \"weight\": " + std::to_string(1 + random.below(9)) + "}";
            if (!random.one_in(4)) ++next_target; // some share an address
        }
        return "[" + list + "]";
    };
    for (u32 i = 0; i < count; ++i) {
        ProxyText text{.name = "p" + std::to_string(i)};
        text.port = static_cast<int>(random.of<u32>({80, 81, 443, 8000, 8001, 40000}));
        if (std::ranges::find(scene.ports, text.port) != scene.ports.end()) continue;
        scene.ports.push_back(static_cast<u16>(text.port));
        const u32 kind = random.below(3);
        text.listen = kind == 0   ? R"("address": ["192.0.2.1", "203.0.113.1"])"
                      : kind == 1 ? ""
                                  : R"("address": "any")";
        const bool tcp = !random.one_in(4), udp = !tcp || !random.one_in(4);
        text.listen += (text.listen.empty() ? "" : ", ") + std::string(R"("protocol": )") +
                       (tcp && udp ? "\"both\""
                        : tcp      ? "\"tcp\""
                                   : "\"udp\"");
        ModelProxy proxy;
        text.target = group(proxy.group);
        text.more = R"("weight-mode": "relative")";
        if (random.one_in(2)) {
            ModelRoute wide{.network = ip("198.51.0.0"), .length = 16},
                narrow{.network = ip("198.51.100.8"), .length = 30};
            text.more += R"(, "source-routes": [{"source": "198.51.0.0/16", "targets": )" +
                         group(wide.group) + R"(}, {"source": "198.51.100.8/30", "targets": )" +
                         group(narrow.group) + "}]";
            proxy.routes = {wide, narrow};
        }
        if (random.one_in(3)) text.more += make_lists(random, proxy);
        proxy.full_nat = random.one_in(3);
        if (proxy.full_nat) text.more += R"(, "forwarding": {"mode": "full-nat"})";
        const std::size_t index = scene.facts.proxies.size();
        scene.facts.proxies.push_back(proxy);
        for (const u8 protocol : {u8{6}, u8{17}}) {
            if (!(protocol == 6 ? tcp : udp)) continue;
            ModelListener listener{.proxy = index, .protocol = protocol, .port = static_cast<u16>(text.port)};
            listener.kind = kind == 0 ? ModelKind::given : kind == 1 ? ModelKind::own : ModelKind::any;
            for (const u32 address :
                 kind == 0 ? std::vector{ip("192.0.2.1"), ip("203.0.113.1")} : std::vector<u32>{0}) {
                listener.address = address;
                scene.facts.listeners.push_back(listener);
            }
        }
        proxies.push_back(text);
    }
    scene.facts.connections_max = 60;
    scene.facts.full_nat_sources = {lab::any_ip("10.0.9.1"), lab::any_ip("10.0.9.2")};
    scene.config = config_text(proxies, R"("max-connections": 60,
        "full-nat": {"addresses": ["10.0.9.1", "10.0.9.2"]})");
    return scene;
}

Bytes make_frame(Source& random, const Scene& scene, const std::vector<Bytes>& translated)
{
    Packet packet;
    // Half of the time what a target would answer to a packet that was translated before.
    if (!translated.empty() && random.one_in(2)) {
        const auto seen = lab::parse(random.of(translated));
        packet.saddr = seen->daddr;
        packet.daddr = seen->saddr;
        if (const auto* tcp = std::get_if<Tcp>(&seen->l4))
            packet.l4 =
                Tcp{.sport = tcp->dport, .dport = tcp->sport, .flags = static_cast<u8>(random.below(32))};
        else if (const auto* udp = std::get_if<Udp>(&seen->l4))
            packet.l4 = Udp{.sport = udp->dport, .dport = udp->sport, .checksum = !random.one_in(4)};
    } else {
        packet.saddr = ip("198.51.100.7") + random.below(4);
        packet.daddr =
            random.of<u32>({ip("192.0.2.1"), ip("192.0.2.2"), ip("203.0.113.1"), ip("203.0.113.2")});
        const u16 sport = static_cast<u16>(random.of<u32>({1000, 1001, 1002, 8000, 8001, 40000}));
        const u16 dport = random.one_in(8) ? u16{9} : random.of(scene.ports);
        if (random.one_in(2))
            packet.l4 = Udp{.sport = sport, .dport = dport, .checksum = !random.one_in(4)};
        else
            packet.l4 = Tcp{.sport = sport,
                            .dport = dport,
                            .flags = static_cast<u8>(random.one_in(3) ? random.below(64) : u32{Tcp::syn}),
                            .options = lab::pattern(4 * random.below(11))};
    }
    packet.payload = lab::pattern(random.one_in(10) ? 1400 : random.below(64));
    packet.tos = static_cast<u8>(random.below(256));
    if (random.one_in(20)) packet.fragment = static_cast<u16>(random.below(0x10000));
    if (random.one_in(30)) packet.options = {1, 1, 1, 0};
    if (random.one_in(30)) packet.vlans = {100};
    Bytes frame = lab::build(packet);
    if (random.one_in(20)) frame.resize(frame.size() + random.below(10), 0x5a);
    return frame;
}

void play(u32 seed)
{
    INFO("seed " << seed << ": LB_TEST_SEED=" << seed << " datapath_test '[random]'");
    Source random(seed);
    const Scene scene = make_scene(random);
    INFO(scene.config);
    Judge judge(scene.config, scene.facts);
    std::vector<Bytes> translated;
    for (int i = 0; i < 400; ++i) {
        const Bytes frame = make_frame(random, scene, translated);
        if (random.one_in(3)) {
            judge.out(frame);
            continue;
        }
        // On the way out the kernel's own packets are whole; on the way in they may be anything.
        const bool cut = random.one_in(20);
        const Bytes result = judge.in(
            cut ? Bytes(frame.begin(), frame.begin() + 14 + random.below(static_cast<u32>(frame.size() - 14)))
                : frame);
        if (judge.last() == model::Reason::forwarded) translated.push_back(result);
    }
}

} // namespace

TEST_CASE("packets at random do what the model says", "[datapath][random]")
{
    if (const char* seed = std::getenv("LB_TEST_SEED"))
        return play(static_cast<u32>(std::strtoul(seed, nullptr, 10)));
    const u32 first = std::random_device{}();
    for (u32 i = 0; i < 25; ++i) play(first + i);
}
