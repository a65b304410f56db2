// Replies by the fast path end to end: both directions, past the stack where XDP can send to the client, and
// through it where it cannot.
#include <filesystem>

#include "one_arm.hpp"
#include "setup.hpp"

using namespace lb::e2e;
using lb::model::Reason;

namespace {

const std::string fast = R"("forwarding": {"path": "fast"})";

std::string proxy4() { return proxy({.interfaces = R"(["eth0", "eth1"])", .more = fast}); }
std::string proxy6()
{
    return proxy({.name = "six",
                  .interfaces = R"(["eth0", "eth1"])",
                  .listen = std::string("\"address\": \"") + vip6 + '"',
                  .target = R"([{"ip": "2001:db8:a::11", "port": 8080, "weight": 50},
                                {"ip": "2001:db8:b::13", "port": 8080, "weight": 50}])",
                  .more = fast});
}

// A veth takes XDP frames where its other end has GRO on; what arrives from a wire has its checksums.
void set_up(Topology& net, bool can_send, bool from_wire = true)
{
    for (Namespace* client : {&net.c1, &net.c2})
        client->exec(std::string("ethtool -K eth0 gro ") + (can_send ? "on" : "off"));
    for (Namespace* target : {&net.b1, &net.b2, &net.b3})
        target->exec(std::string("ethtool -K eth0 tx ") + (from_wire ? "off" : "on"));
}

} // namespace

TEST_CASE("replies are sent on from where they arrive, or go by the stack where XDP cannot send",
          "[e2e][fast]")
{
    for (const bool can : {true, false}) {
        INFO((can ? "XDP can send" : "XDP cannot send"));
        Topology net;
        set_up(net, can);
        const auto servers = start_backends(net), servers6 = start_backends(net, 8080, Family::ipv6);
        Daemon lb(net.balancer, config({proxy4(), proxy6()}), instance_name());
        lb.start();
        for (const std::string& to : {std::string(vip_web), "[" + std::string(vip6) + "]:80"}) {
            INFO(to);
            const Call call{.to = to, .netns = net.c1.fd()};
            const Tally connections =
                run_short({.call = call, .count = 1000, .cpus = {client_cpu, server_cpu}});
            INFO(connections.text());
            CHECK(connections.answered() == 1000);
            const Tally answers = run_questions(
                {.call = call, .sockets = 500, .per_socket = 4, .cpus = {client_cpu, server_cpu}});
            INFO(answers.text());
            CHECK(answers.answered() == 2000);
            for (const Namespace* client : {&net.c1, &net.c2}) {
                CHECK(upload({.to = to, .netns = client->fd(), .timeout = 30s}, 20 * megabyte).error == "");
                CHECK(download({.to = to, .netns = client->fd(), .timeout = 30s}, 20 * megabyte).error == "");
            }
        }
        const auto by_lb = counted(net.balancer, Reason::reply_sent_on);
        const auto by_kernel = counted(net.balancer, Reason::reply_forwarded);
        INFO("sent by lb " << by_lb << ", by the kernel " << by_kernel);
        CHECK((by_lb > 10000) == can);
        CHECK((by_kernel > 10000) == !can);
    }
}

TEST_CASE("targets that leave their checksums to the device are served by the kernel's way", "[e2e][fast]")
{
    Topology net;
    set_up(net, true, false);
    const auto servers = start_backends(net), servers6 = start_backends(net, 8080, Family::ipv6);
    Daemon lb(net.balancer, config({proxy4(), proxy6()}), instance_name());
    lb.start();
    for (const std::string& to : {std::string(vip_web), "[" + std::string(vip6) + "]:80"}) {
        INFO(to);
        const Call call{.to = to, .netns = net.c1.fd(), .timeout = 30s};
        CHECK(run_short({.call = call, .count = 200}).answered() == 200);
        CHECK(run_questions({.call = call, .sockets = 100}).answered() == 1000);
        CHECK(upload(call, 10 * megabyte).error == "");
        CHECK(download(call, 10 * megabyte).error == "");
    }
    CHECK(counted(net.balancer, Reason::reply_forwarded) > 1000);
}

TEST_CASE("full NAT by the fast path passes the stack in neither direction", "[e2e][fast][full-nat]")
{
    Topology net;
    set_up(net, true);
    const auto servers = start_backends(net);
    Daemon lb(net.balancer,
              config({proxy({.interfaces = R"(["eth0"])",
                             .target = target("10.0.0.11"),
                             .more = R"("forwarding": {"mode": "full-nat", "path": "fast"})"})}),
              instance_name());
    lb.start();
    const Call call{.to = vip_web, .netns = net.c1.fd(), .timeout = 30s};
    CHECK(run_short({.call = call, .count = 500}).answered() == 500);
    CHECK(upload(call, 10 * megabyte).error == "");
    CHECK(download(call, 10 * megabyte).error == "");
    const auto by_lb = counted(net.balancer, Reason::reply_sent_on);
    const auto by_kernel = counted(net.balancer, Reason::reply_translated);
    INFO("sent by lb " << by_lb << ", by the kernel " << by_kernel);
    CHECK(by_lb > 1000);
    CHECK(by_kernel < by_lb / 10);
}

TEST_CASE("replies of the fast path outlive kill -9 and a new start, and nothing stays at the end",
          "[e2e][fast]")
{
    Topology net;
    set_up(net, true);
    const auto servers = start_backends(net);
    const std::string before = net.balancer.exec("bpftool net show");
    Daemon lb(net.balancer, config({proxy4()}), instance_name());
    lb.start();
    BusyConnections busy({.to = vip_web, .netns = net.c1.fd()}, 20);
    std::this_thread::sleep_for(300ms);
    lb.kill();
    std::this_thread::sleep_for(300ms);
    CHECK(net.balancer.exec("bpftool net show").find("br0") != std::string::npos);
    lb.start();
    std::this_thread::sleep_for(300ms);
    const auto report = busy.stop();
    INFO(report.first_error);
    CHECK(report.asked > 100);
    CHECK(report.broken == 0);
    CHECK(report.moved == 0);
    lb.stop();
    CHECK(net.balancer.exec("bpftool net show") == before);
}

TEST_CASE("somebody else's program on the targets' side stays, and replies go by the stack", "[e2e][fast]")
{
    Topology net;
    set_up(net, true);
    const auto servers = start_backends(net);
    Daemon other(net.balancer,
                 config({proxy({.interfaces = R"(["br0"])", .target = target("10.0.0.11")})}, "", "other"),
                 "other");
    other.start();
    Daemon lb(net.balancer, config({proxy4()}), instance_name());
    lb.start();
    CHECK(run_short({.call = {.to = vip_web, .netns = net.c1.fd()}, .count = 100}).answered() == 100);
    CHECK(counted(net.balancer, Reason::reply_sent_on) == 0);
    CHECK(counted(net.balancer, Reason::reply_forwarded) > 100);
}

TEST_CASE("a client behind a bridge is answered by the stack", "[e2e][fast]")
{
    Topology net;
    set_up(net, true);
    const auto servers = start_backends(net);
    net.balancer.ip("link add br1 type bridge mcast_snooping 0");
    net.balancer.ip("link set br1 up");
    net.balancer.ip("addr flush dev eth0");
    net.balancer.ip("link set eth0 master br1");
    net.balancer.ip("addr add 192.0.2.1/24 dev br1");
    Daemon lb(net.balancer, config({proxy({.interfaces = R"(["br1"])", .more = fast})}), instance_name());
    lb.start();
    const Call call{.to = vip_web, .netns = net.c1.fd(), .timeout = 30s};
    CHECK(run_short({.call = call, .count = 300}).answered() == 300);
    CHECK(run_questions({.call = call, .sockets = 100}).answered() == 1000);
    CHECK(upload(call, 10 * megabyte).error == "");
    CHECK(download(call, 10 * megabyte).error == "");
    CHECK(counted(net.balancer, Reason::reply_sent_on) == 0);
    CHECK(counted(net.balancer, Reason::reply_sent_back) == 0);
    CHECK(counted(net.balancer, Reason::reply_forwarded) > 1000);
}

TEST_CASE("where the way to a target changes, connections of the fast path go along", "[e2e][fast]")
{
    Topology net;
    set_up(net, true);
    const auto servers = start_backends(net);
    // Another wire to b3's network, which the balancer has no route by yet.
    connect({net.balancer, "eth2", "10.77.0.1/24"}, {net.router, "eth2", "10.77.0.2/24"});
    net.router.exec("ethtool -K eth2 gro on");
    Daemon lb(net.balancer,
              config({proxy({.interfaces = R"(["eth0"])", .target = target("10.0.3.13"), .more = fast})}),
              instance_name());
    lb.start();
    BusyConnections busy({.to = vip_web, .netns = net.c1.fd()}, 20);
    std::this_thread::sleep_for(500ms);
    const auto inside = [&](const char* interface) {
        return net.balancer.exec("bpftool net show").find(interface) != std::string::npos;
    };
    CHECK(inside("br0"));
    CHECK_FALSE(inside("eth2"));
    net.balancer.ip("route replace 10.0.3.0/24 via 10.77.0.2");
    net.router.ip("route replace 192.0.2.0/24 via 10.77.0.1");
    net.balancer.ip("addr add 10.99.0.1/32 dev lo"); // of this lb hears at once
    std::this_thread::sleep_for(500ms);
    CHECK(inside("eth2"));
    const auto before = counted(net.balancer, Reason::reply_sent_on);
    std::this_thread::sleep_for(500ms);
    const auto report = busy.stop();
    INFO(report.first_error);
    CHECK(report.asked > 100);
    CHECK(report.broken == 0);
    CHECK(report.moved == 0);
    CHECK(counted(net.balancer, Reason::reply_sent_on) > before + 20);
}

TEST_CASE("replies go back by the interface that they came in by", "[e2e][fast]")
{
    Arm net;
    net.b1.ip("route replace default via 10.0.0.254");
    net.b1.exec("ethtool -K eth0 tx off");
    net.client.exec("ethtool -K eth0 tx off");
    const Server server({.name = "b1", .listen = "10.0.0.11:8080", .netns = net.b1.fd()});
    Daemon lb(net.balancer,
              config({proxy({.interfaces = R"(["eth0"])", .target = target("10.0.0.11"), .more = fast})},
                     R"("xdp-mode": "generic")"),
              instance_name());
    lb.start();
    const Call call = net.call(std::string(far_vip) + ":80");
    CHECK(run_short({.call = call, .count = 300}).answered() == 300);
    CHECK(run_questions({.call = call, .sockets = 50}).answered() == 500);
    CHECK(download(call, 5 * megabyte).error == "");
    CHECK(counted(net.balancer, Reason::reply_sent_back) > 1000);
    CHECK(counted(net.balancer, Reason::reply_sent_on) == 0);
}

TEST_CASE("an interface toward targets that becomes free gets the program for replies", "[e2e][fast]")
{
    Topology net;
    set_up(net, true);
    const auto servers = start_backends(net);
    Daemon other(net.balancer,
                 config({proxy({.interfaces = R"(["br0"])", .target = target("10.0.0.11")})}, "", "other"),
                 "other");
    other.start();
    Daemon lb(net.balancer, config({proxy4()}), instance_name());
    lb.start();
    BusyConnections busy({.to = vip_web, .netns = net.c1.fd()}, 20);
    std::this_thread::sleep_for(300ms);
    CHECK(counted(net.balancer, Reason::reply_sent_on) == 0);
    other.stop();
    net.balancer.ip("addr add 10.99.0.1/32 dev lo"); // of this lb hears at once
    const auto until = std::chrono::steady_clock::now() + 10s;
    while (counted(net.balancer, Reason::reply_sent_on) < 100 && std::chrono::steady_clock::now() < until)
        std::this_thread::sleep_for(50ms);
    CHECK(counted(net.balancer, Reason::reply_sent_on) >= 100);
    const auto report = busy.stop();
    INFO(report.first_error);
    CHECK(report.broken == 0);
    CHECK(report.moved == 0);
}

TEST_CASE("full NAT does not start where its replies would meet another's program, and leaves no trace",
          "[e2e][full-nat]")
{
    Topology net;
    Daemon other(net.balancer,
                 config({proxy({.interfaces = R"(["br0"])", .target = target("10.0.0.11")})}, "", "other"),
                 "other");
    other.start();
    const auto settings = [&] {
        std::string all;
        for (const char* each : {"conf/eth0/accept_local", "conf/eth0/rp_filter", "conf/br0/accept_local",
                                 "conf/br0/rp_filter", "ip_local_port_range", "ip_forward"})
            all += net.balancer.sysctl(std::string("ipv4/") + each) + ' ';
        return all;
    };
    const std::string programs = net.balancer.exec("bpftool net show"), before = settings();
    Daemon lb(net.balancer,
              config({proxy({.interfaces = R"(["eth0"])",
                             .target = target("10.0.0.11"),
                             .more = R"("forwarding": {"mode": "full-nat"})"})}),
              instance_name());
    const Output run = lb.run_again();
    INFO(run.text);
    CHECK(run.status != 0);
    CHECK(run.text.find("br0") != std::string::npos);
    CHECK(net.balancer.exec("bpftool net show") == programs);
    CHECK(settings() == before);
    CHECK_FALSE(std::filesystem::exists("/sys/fs/bpf/lb/" + instance_name()));
}
