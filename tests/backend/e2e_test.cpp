// A client, a tunnel that is not lb's, and `lb backend` in front of a real server, which answers directly.
//
//   client 198.51.100.7, 2001:db8:7::7 (lbtun) ... eth0 10.0.0.1 ------ eth0 10.0.0.2 backend, VIP on lo
#include "lab/main.hpp"

#include <catch2/catch.hpp>

#include "encapsulator.hpp"
#include "lab/backend.hpp"
#include "lab/client.hpp"
#include "lab/daemon.hpp"
#include "lab/server.hpp"

using namespace lb::lab;
using namespace lb::test;
using namespace std::chrono_literals;

namespace {

constexpr u64 megabyte = 1 << 20;

struct Network {
    Namespace client{"client"}, backend{"backend"};
    Network()
    {
        for (const Namespace* each : {&client, &backend})
            for (const char* which : {"all", "default"})
                each->set_sysctl(std::string("ipv6/conf/") + which + "/disable_ipv6", "0");
        connect({client, "eth0", "10.0.0.1/24"}, {backend, "eth0", "10.0.0.2/24"});
        client.ip("addr add 2001:db8:1::1/64 dev eth0 nodad");
        backend.ip("addr add 2001:db8:1::2/64 dev eth0 nodad");
        backend.ip("route add 198.51.100.7 via 10.0.0.1");
        backend.ip("route add 2001:db8:7::7 via 2001:db8:1::1");
        for (const Namespace* each : {&client, &backend}) each->ip("link set lo up");
    }
    /// What the client sends to a VIP goes into the tunnel's device.
    void route_into_tunnel() const
    {
        client.ip("link set lbtun up");
        client.ip("addr add 198.51.100.7/32 dev lbtun");
        client.ip("addr add 2001:db8:7::7/128 dev lbtun nodad");
        client.ip("route add 192.0.2.1 dev lbtun src 198.51.100.7");
        client.ip("route add 2001:db8::1 dev lbtun src 2001:db8:7::7");
    }
    Call call(const std::string& to) const { return {.to = to, .netns = client.fd(), .timeout = 10s}; }
};

const std::string instance = instance_name("backend");
const Argv vips{"--vip", "192.0.2.1", "--vip", "2001:db8::1"};

/// `lb backend` with the VIPs of these tests.
struct RunningBackend : Backend {
    RunningBackend(const Namespace& where, const Argv& more, const Argv& addresses = vips)
        : Backend(where, instance, words_of(addresses, more))
    {}

private:
    static Argv words_of(Argv words, const Argv& more)
    {
        words.insert(words.end(), more.begin(), more.end());
        return words;
    }
};

std::string who(const Call& call)
{
    Connection connection(call);
    const auto answer = connection.ask();
    return answer ? answer->server + " saw " + answer->seen.substr(0, answer->seen.rfind(':'))
                  : "failed: " + connection.error();
}

struct Tunnel {
    std::string name, mode, far_end;
    u16 gue_port;
};
const Tunnel tunnels[] = {{"ipip by IPv4", "ipip", "10.0.0.2", 0},
                          {"ipip by IPv6", "ipip", "2001:db8:1::2", 0},
                          {"gue by IPv4", "gue", "10.0.0.2", 6080},
                          {"gue by IPv6", "gue", "2001:db8:1::2", 6080}};

/// Settings and addresses that a backend changes, as text.
std::string state_of(const Namespace& host)
{
    std::string text;
    for (const char* key : {"arp_ignore", "arp_announce", "rp_filter"})
        text += host.sysctl(std::string("ipv4/conf/eth0/") + key) + " ";
    return text + host.exec("ip -o addr show dev lo") +
           (host.exec("ip link show dev eth0").find("xdp") != std::string::npos ? "xdp" : "") +
           (std::filesystem::exists(pin_folder(instance)) ? "pins" : "");
}

} // namespace

TEST_CASE("each tunnel reaches the server, which answers the client directly", "[e2e]")
{
    for (const auto& tunnel : tunnels) {
        INFO(tunnel.name);
        const Network net;
        const RunningBackend backend(
            net.backend, {"--mode", tunnel.mode, "--from", "10.0.0.0/24", "--from", "2001:db8:1::/64"});
        const Encapsulator balancer(net.client, "lbtun", tunnel.far_end, tunnel.gue_port);
        net.route_into_tunnel();
        const Server four({.name = "four", .listen = "192.0.2.1:80", .netns = net.backend.fd()});
        const Server six({.name = "six", .listen = "[2001:db8::1]:80", .netns = net.backend.fd()});
        CHECK(who(net.call("192.0.2.1:80")) == "four saw 198.51.100.7");
        CHECK(who(net.call("[2001:db8::1]:80")) == "six saw [2001:db8:7::7]");
        for (const char* to : {"192.0.2.1:80", "[2001:db8::1]:80"}) {
            const Transfer up = upload(net.call(to), 3 * megabyte),
                           down = download(net.call(to), 3 * megabyte);
            INFO(to << ": " << up.error << down.error);
            CHECK(up.ok);
            CHECK(down.ok);
        }
        CHECK(balancer.sent() > 2 * 3 * megabyte / 1460);
        // The MSS that clients are offered leaves room for the outer header: no segment was too large.
        CHECK(balancer.too_large() == 0);
    }
}

TEST_CASE("without a lower MSS the tunnel's packets would not fit", "[e2e]")
{
    const Network net;
    const RunningBackend backend(net.backend, {"--mss", "1460"});
    const Encapsulator balancer(net.client, "lbtun", "10.0.0.2", 0);
    net.route_into_tunnel();
    const Server server({.name = "four", .listen = "192.0.2.1:80", .netns = net.backend.fd()});
    Call call = net.call("192.0.2.1:80");
    call.timeout = 1s;
    CHECK_FALSE(upload(call, megabyte).ok);
    CHECK(balancer.too_large() > 0);
}

TEST_CASE("tunnels from others than --from names reach nobody", "[e2e]")
{
    const Network net;
    const RunningBackend backend(net.backend, {"--from", "10.0.0.77"});
    const Encapsulator balancer(net.client, "lbtun", "10.0.0.2", 0);
    net.route_into_tunnel();
    const Server server({.name = "four", .listen = "192.0.2.1:80", .netns = net.backend.fd()});
    Call call = net.call("192.0.2.1:80");
    call.timeout = 700ms;
    CHECK(who(call) == "failed: connect: Connection timed out");
    CHECK(balancer.sent() > 0);
}

TEST_CASE("nobody learns by ARP that a VIP is here, in any mode, and by its MAC address it is reached",
          "[e2e]")
{
    for (const std::string mode : {"l2", "ipip"}) {
        INFO(mode);
        const Network net;
        const RunningBackend backend(net.backend, {"--mode", mode});
        const Server server({.name = "four", .listen = "192.0.2.1:80", .netns = net.backend.fd()});
        net.client.ip("route add 192.0.2.1 dev eth0");
        Call call = net.call("192.0.2.1:80");
        call.timeout = 700ms;
        CHECK(who(call).starts_with("failed: "));
        CHECK(net.client.exec("ip neigh show 192.0.2.1").find("lladdr") == std::string::npos);
        const std::string link = net.backend.exec("ip -o link show dev eth0");
        const std::string mac = link.substr(link.find("link/ether ") + 11, 17);
        net.client.ip("neigh replace 192.0.2.1 lladdr " + mac + " dev eth0");
        CHECK(who(net.call("192.0.2.1:80")) == "four saw 10.0.0.1");
    }
}

TEST_CASE("at its end everything is as it was, what others had included", "[e2e]")
{
    for (const std::string mode : {"ipip", "gue", "l2"}) {
        INFO(mode);
        const Network net;
        net.backend.set_sysctl("ipv4/conf/all/rp_filter", "1");
        net.backend.ip("addr add 192.0.2.1/32 dev lo"); // a VIP that somebody else put there
        const std::string before = state_of(net.backend);
        RunningBackend backend(net.backend, {"--mode", mode});
        const std::string during = state_of(net.backend);
        CHECK(during.starts_with("1 2 2 "));
        CHECK(during.find("2001:db8::1/128") != std::string::npos);
        CHECK((during.find("xdp") != std::string::npos) == (mode != "l2"));
        CHECK(backend.end(mode == "gue" ? SIGINT : SIGTERM) == 0);
        INFO(backend.log());
        CHECK(state_of(net.backend) == before);
    }
}

TEST_CASE("after kill -9 it still works, is taken over by the next run, and --detach puts all back", "[e2e]")
{
    const Network net;
    net.backend.set_sysctl("ipv4/conf/all/rp_filter", "1");
    const std::string before = state_of(net.backend);
    const Encapsulator balancer(net.client, "lbtun", "10.0.0.2", 0);
    net.route_into_tunnel();
    RunningBackend killed(net.backend, {});
    const Server server({.name = "four", .listen = "192.0.2.1:80", .netns = net.backend.fd()});
    killed.end(SIGKILL);
    CHECK(who(net.call("192.0.2.1:80")) == "four saw 198.51.100.7");
    RunningBackend next(net.backend, {});
    CHECK(who(net.call("192.0.2.1:80")) == "four saw 198.51.100.7");
    next.end(SIGKILL);
    CHECK(state_of(net.backend) != before);
    const bool by_backend = GENERATE(true, false);
    const Argv words = by_backend ? Argv{lb_program(), "backend", "--detach", "--instance", instance}
                                  : Argv{lb_program(), "detach", "--instance", instance};
    CHECK(run(words, net.backend.fd()).status == 0);
    CHECK(state_of(net.backend) == before);
}

TEST_CASE("a VIP of another interface, an MTU too small and a missing interface leave nothing behind",
          "[e2e]")
{
    const Network net;
    const auto refused = [&](const Argv& more, int status, const std::string& words) {
        const std::string before = state_of(net.backend);
        Argv argv{lb_program(), "backend", "--instance", instance};
        argv.insert(argv.end(), more.begin(), more.end());
        const Output output = run(argv, net.backend.fd());
        INFO(output.text);
        CHECK(output.status == status);
        CHECK(output.text.find(words) != std::string::npos);
        CHECK(state_of(net.backend) == before);
    };
    refused({"-i", "eth0", "--vip", "10.0.0.2"}, 5, "--vip 10.0.0.2 is an address of another interface");
    refused({"-i", "eth7", "--vip", "192.0.2.1"}, 5,
            "there is no interface 'eth7' here; there are: lo, eth0");
    net.backend.ip("link set eth0 mtu 600");
    refused({"-i", "eth0", "--vip", "192.0.2.1"}, 5, "an MTU of 600 leaves no room for the tunnel");
}
