// The lab has to be right before it may judge: traffic flows without a balancer, with nftables in the
// balancer's place it is counted where it went, and where rules are missing it is counted as failed.
#include "lab/main.hpp"

#include <signal.h>

#include <catch2/catch.hpp>

#include "lab/client.hpp"
#include "lab/tap.hpp"
#include "lab/topology.hpp"

using namespace lb::lab;
using namespace std::chrono_literals;

namespace {

constexpr u64 megabyte = 1 << 20;
constexpr const char* vip_port = "203.0.113.80:80";

} // namespace

TEST_CASE("every backend is reached directly and sees the client's own address", "[lab]")
{
    Topology net;
    const auto servers = start_backends(net);
    for (const auto& [address, name] :
         {std::pair{"10.0.0.11", "b1"}, {"10.0.0.12", "b2"}, {"10.0.3.13", "b3"}}) {
        Connection connection(
            {.to = std::string(address) + ":8080", .netns = net.c1.fd(), .from = "192.0.2.10:5000"});
        const auto answer = connection.ask();
        INFO(connection.error());
        REQUIRE(answer.has_value());
        CHECK(answer->server == name);
        CHECK(answer->seen == "192.0.2.10:5000");
    }
    CHECK(servers[0]->connections() == 1);
}

TEST_CASE("every backend is reached by IPv6 at once, beside IPv4", "[lab]")
{
    Topology net;
    const auto servers = start_backends(net, 8080, Family::ipv6);
    const auto others = start_backends(net); // the same port of the other family
    for (const auto& [address, name] :
         {std::pair{"[2001:db8:a::11]", "b1"}, {"[2001:db8:a::12]", "b2"}, {"[2001:db8:b::13]", "b3"}}) {
        for (const auto& [from, netns] :
             {std::pair{"[2001:db8:1::10]:5000", net.c1.fd()}, {"[2001:db8:2::10]:5000", net.c2.fd()}}) {
            Connection connection({.to = std::string(address) + ":8080", .netns = netns, .from = from});
            const auto answer = connection.ask();
            INFO(connection.error());
            REQUIRE(answer.has_value());
            CHECK(answer->server == name);
            CHECK(answer->seen == from);
        }
        const Transfer down =
            download({.to = std::string(address) + ":8080", .netns = net.c2.fd()}, megabyte);
        INFO(down.error);
        CHECK(down.ok);
    }
    CHECK(others[0]->connections() == 0);
}

TEST_CASE("an IPv6 VIP is translated by nftables too", "[lab]")
{
    Topology net;
    const auto servers = start_backends(net, 8080, Family::ipv6);
    balance_by_nft(net);
    const std::string to = std::string("[") + vip6 + "]:80";
    const Tally tcp =
        run_short({.call = {.to = to, .netns = net.c1.fd()}, .count = 300, .cpus = {client_cpu}});
    INFO(tcp.text());
    CHECK(tcp.failed() == 0);
    CHECK(tcp.by_server.size() == 3);
    const Tally udp = run_questions(
        {.call = {.to = to, .netns = net.c2.fd()}, .sockets = 50, .per_socket = 2, .cpus = {-1}});
    INFO(udp.text());
    CHECK(udp.failed() == 0);
    CHECK(udp.answered() == 100);
}

TEST_CASE("a transfer over the narrow link is whole where too-big errors arrive, and stalls where not",
          "[lab]")
{
    for (const bool six : {false, true}) {
        const std::string address = six ? "[2001:db8:a::11]:8080" : "10.0.0.11:8080";
        const std::string client = six ? "2001:db8:1::10" : "192.0.2.10";
        INFO(address);
        for (const bool errors : {true, false}) {
            PathMtuTopology net;
            const Server server({.name = "b1", .listen = address, .netns = net.server.fd()});
            if (!errors)
                net.balancer.nft("table inet lab { chain in { type filter hook prerouting priority 0; "
                                 "icmp type destination-unreachable drop\n"
                                 "icmpv6 type packet-too-big drop\n}\n}");
            const Call call{.to = address, .netns = net.client.fd(), .timeout = 2s};
            const Transfer down = download(call, megabyte);
            INFO(down.error);
            CHECK(down.ok == errors);
            const std::string route = net.server.exec("ip route get " + client);
            INFO(route);
            CHECK(route.contains("mtu 1300") == errors);
            // Upward the narrow link's other router speaks to the client itself.
            CHECK(upload(call, megabyte).ok);
        }
    }
}

TEST_CASE("bulk transfers arrive whole in both directions", "[lab]")
{
    Topology net;
    const auto servers = start_backends(net);
    const Call call{.to = "10.0.3.13:8080", .netns = net.c1.fd()};
    const Transfer up = upload(call, 20 * megabyte + 1);
    INFO(up.error);
    CHECK(up.ok);
    const Transfer down = download(call, 20 * megabyte + 1);
    INFO(down.error);
    CHECK(down.ok);
}

TEST_CASE("one byte changed on the way is seen by the hash of a transfer", "[lab]")
{
    Namespace host("host");
    const SocketAddress address("127.0.0.1:9000");
    const Fd listener = make_socket(host.fd(), AF_INET, SOCK_STREAM);
    REQUIRE(::bind(listener.get(), address.data(), address.size()) == 0);
    REQUIRE(::listen(listener.get(), 1) == 0);
    // A server whose hash is that of the right bytes, while one byte that it sends is another.
    std::jthread liar([&] {
        const Fd fd(::accept(listener.get(), nullptr, nullptr));
        std::string line;
        read_line(fd.get(), line);
        const BulkSource source;
        const auto right = source.peek(1000);
        Bytes wrong(right.begin(), right.end());
        wrong[700] ^= 1;
        Sha256 hash;
        hash.add(right);
        send_all(fd.get(), wrong);
        send_all(fd.get(), text(hash.finish() + '\n'));
    });
    const Transfer down = download({.to = "127.0.0.1:9000", .netns = host.fd()}, 1000);
    CHECK_FALSE(down.ok);
    CHECK(down.error == "the hash differs");
}

TEST_CASE("connections and datagrams through a translator are counted by the server that answered", "[lab]")
{
    Topology net;
    const auto servers = start_backends(net);
    balance_by_nft(net);
    const Tally tcp = run_short(
        {.call = {.to = vip_port, .netns = net.c1.fd()}, .count = 3000, .cpus = {client_cpu, client_cpu}});
    INFO(tcp.text());
    CHECK(tcp.failed() == 0);
    CHECK(tcp.answered() == 3000);
    CHECK(tcp.percent("b1") == Approx(50).margin(4));
    CHECK(tcp.percent("b2") == Approx(30).margin(4));
    CHECK(tcp.percent("b3") == Approx(20).margin(4));
    CHECK(servers[2]->connections() == tcp.by_server.at("b3"));

    const Tally udp = run_questions({.call = {.to = vip_port, .netns = net.c2.fd()},
                                     .sockets = 300,
                                     .per_socket = 3,
                                     .cpus = {client_cpu}});
    INFO(udp.text());
    CHECK(udp.failed() == 0);
    CHECK(udp.answered() == 900);
    CHECK(udp.by_server.size() == 3);
}

TEST_CASE("without rules every try is counted as failed, with its reason", "[lab]")
{
    Topology net;
    const auto servers = start_backends(net);
    net.balancer.ip("route add blackhole 203.0.113.0/24");
    const Tally tcp = run_short(
        {.call = {.to = vip_port, .netns = net.c1.fd(), .timeout = 300ms}, .count = 2, .cpus = {-1}});
    CHECK(tcp.answered() == 0);
    CHECK(tcp.failures == std::map<std::string, u64>{{"connect: Connection timed out", 2}});
    const Tally refused =
        run_short({.call = {.to = "10.0.0.11:81", .netns = net.c1.fd()}, .count = 3, .cpus = {-1}});
    CHECK(refused.failures == std::map<std::string, u64>{{"connect: Connection refused", 3}});
    const Tally udp = run_questions(
        {.call = {.to = vip_port, .netns = net.c1.fd()}, .sockets = 2, .per_socket = 2, .timeout = 100ms});
    CHECK(udp.failures == std::map<std::string, u64>{{"no answer", 4}});
}

TEST_CASE("busy connections notice when they break", "[lab]")
{
    Topology net;
    const auto servers = start_backends(net);
    balance_by_nft(net);
    BusyConnections busy({.to = vip_port, .netns = net.c1.fd(), .timeout = 700ms}, 5);
    std::this_thread::sleep_for(200ms);
    const auto good = busy.asked();
    CHECK(good > 50);
    net.balancer.ip("link set eth0 down");
    std::this_thread::sleep_for(1000ms);
    const auto report = busy.stop();
    CHECK(report.asked >= good);
    CHECK(report.broken >= 1);
    CHECK(report.moved == 0);
}

TEST_CASE("clients' packets and replies arrive on different CPUs", "[lab]")
{
    if (cpu_count() < 2) FAIL("the tests need two CPUs");
    Topology net;
    const auto servers = start_backends(net);
    net.balancer.nft(R"(
        table ip lab {
            counter requests0 { }
            counter requests1 { }
            counter replies0 { }
            counter replies1 { }
            chain in {
                type filter hook prerouting priority 0;
                tcp dport 8080 meta cpu 0 counter name requests0
                tcp dport 8080 meta cpu 1 counter name requests1
                tcp sport 8080 meta cpu 0 counter name replies0
                tcp sport 8080 meta cpu 1 counter name replies1
            }
        })");
    const Tally tally = run_short(
        {.call = {.to = "10.0.0.11:8080", .netns = net.c1.fd()}, .count = 500, .cpus = {client_cpu}});
    CHECK(tally.failed() == 0);
    const auto packets = [&](const std::string& name) {
        const std::string text = net.balancer.exec("nft list counter ip lab " + name);
        return std::stoull(text.substr(text.find("packets ") + 8));
    };
    INFO(packets("requests0") << ' ' << packets("requests1") << ' ' << packets("replies0") << ' '
                              << packets("replies1"));
    // Acknowledgements leave from where the other side's packet came in; data leaves from where its sender
    // runs.
    CHECK(packets("requests0") > 1000);
    CHECK(packets("replies1") > 500);
}

TEST_CASE("a TAP hands over the host's own packets with the checksum left to do", "[lab]")
{
    Namespace host("host");
    Tap tap(host, "tap0");
    host.ip("addr add 192.0.2.1/24 dev tap0");
    host.ip("neigh add 192.0.2.10 lladdr 02:00:00:00:00:02 dev tap0 nud permanent");
    const Server server({.name = "here", .listen = "192.0.2.1:80", .netns = host.fd()});
    tap.send(build({.destination = tap.mac(),
                    .saddr = ip("192.0.2.10"),
                    .daddr = ip("192.0.2.1"),
                    .l4 = Udp{.sport = 7777, .dport = 80},
                    .payload = text("hello")}));
    auto reply = tap.receive();
    REQUIRE(reply.has_value());
    const auto packet = parse(reply->bytes);
    CHECK(packet->payload == text("here 192.0.2.10:7777 hello"));
    CHECK(packet->daddr == ip("192.0.2.10"));
    REQUIRE(reply->needs_checksum);
    CHECK(checksum_fault(reply->bytes) == "UDP");
    CHECK(complete_partial(reply->bytes, reply->checksum));
    CHECK(checksums_ok(reply->bytes));
}

TEST_CASE("a command that does not end is killed and told", "[lab]")
{
    CHECK_THROWS_AS(run({"sleep", "20"}, -1, 100ms), LabError);
    CHECK(run({"sh", "-c", "exit 5"}).status == 5);
    CHECK(run({"no-such-program-here"}).status == 127);
    Child child({"sleep", "20"});
    child.signal(SIGKILL);
    CHECK(child.wait(5s) == 137);
}

TEST_CASE("namespaces are gone when their object is", "[lab]")
{
    std::string path;
    {
        Namespace gone("gone");
        path = "/run/netns/" + gone.name();
        CHECK(std::filesystem::exists(path));
    }
    CHECK_FALSE(std::filesystem::exists(path));
}
