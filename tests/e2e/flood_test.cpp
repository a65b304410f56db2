// What a flood of new connections does to those that live, and to clients that behave.
#include <csignal>
#include <filesystem>

#include "flood.hpp"
#include "kernel/bpffs.hpp"
#include "model/layout.hpp"
#include "setup.hpp"

using namespace lb::e2e;

namespace {

constexpr lb::u32 live = 20'000, sources = 5'000'000, at_once = 50'000;
constexpr lb::u32 ring = 65536; // half of max-connections, rounded up to a power of two

std::string peer_program()
{
    return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "peer").string();
}

std::unique_ptr<Child> start_peer(Argv words, const Namespace& where, const std::string& ready)
{
    words.insert(words.begin(), peer_program());
    auto child = std::make_unique<Child>(words, where.fd());
    INFO(words[1] << ": " << child->log());
    REQUIRE(child->wait_for(ready, 60s));
    return child;
}

lb::model::BacklogRow backlog()
{
    const auto pins = lb::kernel::PinFolder::at(instance_name());
    const auto map = lb::kernel::Map::open_pinned(pins.path_of("backlog"));
    REQUIRE(map.has_value());
    const auto row = map->lookup<lb::u32, lb::model::BacklogRow>(0);
    REQUIRE((row && *row));
    return **row;
}

Packet syn_to_vip(const Topology& net)
{
    const auto mac = [](const Namespace& where) {
        Mac address{};
        const std::string text = where.exec("cat /sys/class/net/eth0/address");
        for (std::size_t i = 0; i < address.size(); ++i)
            address[i] = static_cast<lb::u8>(std::stoul(text.substr(3 * i, 2), nullptr, 16));
        return address;
    };
    return {.destination = mac(net.balancer),
            .source = mac(net.c1),
            .saddr = ip("10.128.0.0"),
            .daddr = ip(vip),
            .l4 = Tcp{.sport = 40000, .dport = 80}};
}

} // namespace

TEST_CASE("full NAT's ports outlast a flood: live connections stay, and new clients get in",
          "[e2e][flood][full-nat]")
{
    constexpr lb::u32 sources = 600'000, each = 10'000;
    Topology net;
    const auto b1 = start_peer({"serve", "b1", "10.0.0.11:8080"}, net.b1, "serving");
    net.b1.exec("ethtool -K eth0 tx off");
    Daemon daemon(
        net.balancer,
        config({proxy({.target = target("10.0.0.11"), .more = R"("forwarding": {"mode": "full-nat"})"})}),
        instance_name());
    daemon.start();
    net.balancer.ip("route add 10.128.0.0/9 via 192.0.2.10");
    const auto holder = start_peer({"hold", vip_web, "2000"}, net.c2, "holding");
    const Flood flood(net.c1, "eth0", syn_to_vip(net));
    Tally newcomers;
    const auto ask = [&] {
        newcomers.add(
            run_short({.call = {.to = vip_web, .netns = net.c2.fd()}, .count = 20, .cpus = {server_cpu}}));
    };
    std::atomic<bool> over = false;
    std::jthread sender([&] {
        pin_to_cpu(client_cpu);
        for (lb::u32 sent = 0; sent < sources; sent += each) flood.send(each);
        over = true;
    });
    do ask();
    while (!over);
    const auto refused = counted(net.balancer, lb::model::Reason::no_source_port);
    const auto seen = backlog();
    std::printf("flood: %llu begun, %llu taken out half-open, %llu without a port; new clients: %s\n",
                static_cast<unsigned long long>(seen.begun), static_cast<unsigned long long>(seen.evicted),
                static_cast<unsigned long long>(refused), newcomers.text().c_str());
    CHECK(seen.begun >= sources * 9 / 10);
    // Four ports are looked at. Some are of live connections, and of newcomers' that have just ended.
    CHECK(refused < sources / 50);
    CHECK(newcomers.failed() == 0);
    CHECK(newcomers.answered() >= 20);
    holder->signal(SIGUSR1);
    holder->wait_for("moved", 60s);
    CHECK(holder->log().find("lost 0 moved 0") != std::string::npos);
}

TEST_CASE("20,000 connections live through a flood of 5,000,000 SYNs, and new clients get in", "[e2e][flood]")
{
    Topology net;
    const auto b1 = start_peer({"serve", "b1", "10.0.0.11:8080"}, net.b1, "serving");
    const auto b2 = start_peer({"serve", "b2", "10.0.0.12:8080"}, net.b2, "serving");
    const auto b3 = start_peer({"serve", "b3", "10.0.3.13:8080"}, net.b3, "serving");
    Daemon daemon(net.balancer, config({proxy({})}, R"("max-connections": 100000)"), instance_name());
    daemon.start();
    net.balancer.ip("route add 10.128.0.0/9 via 192.0.2.10"); // whence the flood says it comes
    const std::string half = std::to_string(live / 2); // an address has 28,000 ports for its connections
    const auto c1 = start_peer({"hold", vip_web, half}, net.c1, "holding");
    const auto c2 = start_peer({"hold", vip_web, half}, net.c2, "holding");

    const Flood flood(net.c1, "eth0", syn_to_vip(net));
    std::atomic<bool> over = false;
    std::jthread sender([&] {
        pin_to_cpu(client_cpu);
        for (lb::u32 sent = 0; sent < sources; sent += at_once) flood.send(at_once);
        over = true;
    });
    Tally newcomers;
    const auto start = std::chrono::steady_clock::now();
    while (!over)
        newcomers.add(
            run_short({.call = {.to = vip_web, .netns = net.c2.fd()}, .count = 20, .cpus = {server_cpu}}));
    const std::chrono::duration<double> lasted = std::chrono::steady_clock::now() - start;
    const auto seen = backlog();
    std::printf("flood: %llu connections begun in %.1f s, %llu taken out half-open; new clients: %s\n",
                static_cast<unsigned long long>(seen.begun), lasted.count(),
                static_cast<unsigned long long>(seen.evicted), newcomers.text().c_str());

    CHECK(seen.begun >= sources + live);
    CHECK(seen.evicted >= sources - ring);
    CHECK(newcomers.failed() == 0);
    CHECK(newcomers.answered() >= 20);
    for (const auto& holder : {c1.get(), c2.get()}) {
        holder->signal(SIGUSR1);
        holder->wait_for("moved", 60s);
        CHECK(holder->log().find("lost 0 moved 0") != std::string::npos);
    }
}
