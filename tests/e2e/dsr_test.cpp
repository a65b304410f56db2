// Direct server return: the balancer on one arm, backends set up by `lb backend`, answers past the balancer.
//
//   client 192.0.2.10 ----- 192.0.2.1 core, br0 10.0.0.1 --+-- balancer eth0 10.0.0.254, eth1 10.0.9.1 -- b3
//          2001:db8:1::10   2001:db8:1::1   2001:db8:a::1  |            2001:db8:a::fe          10.0.9.13
//                                                          +-- b1 10.0.0.11, 2001:db8:a::11
//                                                          +-- b2 10.0.0.12, 2001:db8:a::12
//
// The core sends what is for the VIPs to the balancer. b1 and b2 have their default route by the core, and
// b3, for proxies that translate, by the balancer.
#include "lab/backend.hpp"
#include "model/reason.hpp"
#include "setup.hpp"

using namespace lb::e2e;
using lb::model::Reason;

namespace {

constexpr const char* far_vip = "203.0.113.80";
constexpr const char* far_vip6 = "2001:db8:f::80";

struct Arm {
    Namespace client{"client"}, core{"core"}, balancer{"lb"}, b1{"b1"}, b2{"b2"}, b3{"b3"};
    Arm()
    {
        connect({client, "eth0", "192.0.2.10/24", "2001:db8:1::10/64"},
                {core, "eth0", "192.0.2.1/24", "2001:db8:1::1/64"});
        core.ip("link add br0 type bridge mcast_snooping 0");
        core.ip("addr add 10.0.0.1/24 dev br0");
        core.add_ipv6("br0", "2001:db8:a::1/64");
        core.ip("link set br0 up");
        connect({balancer, "eth0", "10.0.0.254/24", "2001:db8:a::fe/64"}, {core, "lb"});
        connect({b1, "eth0", "10.0.0.11/24", "2001:db8:a::11/64"}, {core, "b1"});
        connect({b2, "eth0", "10.0.0.12/24", "2001:db8:a::12/64"}, {core, "b2"});
        for (const char* port : {"lb", "b1", "b2"}) core.ip(std::string("link set ") + port + " master br0");
        connect({balancer, "eth1", "10.0.9.1/24"}, {b3, "eth0", "10.0.9.13/24"});
        for (const Namespace* host : {&b1, &b2, &balancer}) {
            host->ip("route add default via 10.0.0.1");
            host->ip("-6 route add default via 2001:db8:a::1");
        }
        client.ip("route add default via 192.0.2.1");
        client.ip("-6 route add default via 2001:db8:1::1");
        b3.ip("route add default via 10.0.9.1");
        core.ip(std::string("route add ") + far_vip + " via 10.0.0.254");
        core.ip(std::string("-6 route add ") + far_vip6 + " via 2001:db8:a::fe");
        for (const Namespace* host : {&core, &balancer}) {
            host->set_sysctl("ipv4/ip_forward", "1");
            host->set_sysctl("ipv6/conf/all/forwarding", "1");
        }
        client.set_sysctl("ipv4/ip_local_port_range", "10000 65000");
    }
    /// Frames that XDP sends by the balancer's eth0 arrive only then.
    void let_xdp_send() const { core.exec("ethtool -K lb gro on"); }
    Call call(const std::string& to) const { return {.to = to, .netns = client.fd(), .timeout = 10s}; }
    lb::lab::u64 received_by_balancer() const
    {
        const std::string text = balancer.exec("ip -s -j link show dev eth0");
        const auto rx = text.find("\"rx\":{\"bytes\":");
        return std::stoull(text.substr(rx + 14));
    }
};

struct Mode {
    std::string name;    ///< of the file
    std::string backend; ///< of `lb backend`
    bool six = false;    ///< the targets' addresses
    bool fast = false;   ///< lb can send by itself
};

// Targets on the listener's port, 75 to 25.
std::string targets(const Mode& mode, int port)
{
    const std::string prefix = mode.six ? "2001:db8:a::" : "10.0.0.";
    const auto one = [&](int host, int weight) {
        return R"({"ip": ")" + prefix + std::to_string(host) + R"(", "port": )" + std::to_string(port) +
               R"(, "weight": )" + std::to_string(weight) + "}";
    };
    return "[" + one(11, 75) + ", " + one(12, 25) + "]";
}

std::string vips_of(const Mode& mode)
{
    const std::string four = std::string("\"") + far_vip + "\"", six = std::string("\"") + far_vip6 + "\"";
    if (mode.name != "dsr-l2") return "[" + four + ", " + six + "]";
    return mode.six ? six : four;
}

std::string dsr_proxy(const Mode& mode, int port = 80)
{
    return proxy({.name = mode.name,
                  .interfaces = R"(["eth0"])",
                  .port = port,
                  .listen = "\"address\": " + vips_of(mode),
                  .target = targets(mode, port),
                  .more = R"("forwarding": {"mode": ")" + mode.name + "\"}"});
}

std::vector<std::string> clients_of(const Mode& mode)
{
    const std::string four = std::string(far_vip) + ":80", six = std::string("[") + far_vip6 + "]:80";
    if (mode.name != "dsr-l2") return {four, six};
    return {mode.six ? six : four};
}

/// Both backends with the VIPs, and a server on each of them for each family.
struct Backends {
    std::vector<std::unique_ptr<Backend>> backends = {};
    std::vector<std::unique_ptr<Server>> servers = {};
    Backends(const Arm& net, const std::string& mode, const Argv& more = {})
    {
        for (const auto& [name, host] : {std::pair{"b1", &net.b1}, std::pair{"b2", &net.b2}}) {
            Argv words{"--vip", far_vip, "--vip", far_vip6, "--mode", mode};
            words.insert(words.end(), more.begin(), more.end());
            backends.push_back(std::make_unique<Backend>(*host, instance_name(name), words));
            for (const std::string& address : {std::string(far_vip), "[" + std::string(far_vip6) + "]"})
                servers.push_back(std::make_unique<Server>(
                    ServerOptions{.name = name, .listen = address + ":80", .netns = host->fd()}));
        }
    }
};

void check_shares(const Tally& tally, lb::lab::u64 count)
{
    INFO(tally.text());
    CHECK(tally.answered() == count);
    CHECK(tally.percent("b1") == Approx(75).margin(5));
    CHECK(tally.percent("b2") == Approx(25).margin(5));
}

const std::vector<Mode> modes = {{"dsr-ipip", "ipip", false, false}, {"dsr-ipip", "ipip", true, false},
                                 {"dsr-gue", "gue", false, false},   {"dsr-gue", "gue", true, false},
                                 {"dsr-ipip", "ipip", false, true},  {"dsr-gue", "gue", true, true},
                                 {"dsr-l2", "l2", false, true},      {"dsr-l2", "l2", true, true}};

} // namespace

TEST_CASE("connections and datagrams are shared, and answered past the balancer", "[e2e][dsr]")
{
    for (const Mode& mode : modes) {
        INFO(mode.name << (mode.six ? " by IPv6" : " by IPv4") << (mode.fast ? ", sent by lb" : ""));
        const Arm net;
        if (mode.fast) net.let_xdp_send();
        const Backends backends(net, mode.backend);
        Daemon lb(net.balancer, config({dsr_proxy(mode)}), instance_name());
        lb.start();
        for (const std::string& to : clients_of(mode)) {
            INFO(to);
            check_shares(run_short({.call = net.call(to), .count = 1000}), 1000);
            check_shares(run_questions({.call = net.call(to), .sockets = 1000, .per_socket = 2}), 2000);
            const Transfer up = upload(net.call(to), 5 * megabyte);
            CHECK(up.error == "");
            const auto before = net.received_by_balancer();
            const Transfer down = download(net.call(to), 20 * megabyte);
            CHECK(down.error == "");
            CHECK(net.received_by_balancer() - before < 5 * megabyte);
        }
        const auto by_lb = counted(net.balancer, Reason::sent_on); // veth: see sends_tx
        const auto by_kernel = counted(net.balancer, Reason::encapsulated);
        INFO("sent by lb " << by_lb << ", by the kernel " << by_kernel);
        CHECK((by_lb > 0) == mode.fast);
        CHECK((by_kernel > 0) == !mode.fast);
    }
}

TEST_CASE("a proxy that translates stands beside those that don't", "[e2e][dsr]")
{
    const Arm net;
    net.let_xdp_send();
    const Backends backends(net, "ipip");
    const Server translated({.name = "b3", .listen = "10.0.9.13:8080", .netns = net.b3.fd()});
    Daemon lb(net.balancer,
              config({dsr_proxy(modes[0]), proxy({.name = "nat",
                                                  .interfaces = R"(["eth0"])",
                                                  .port = 8000,
                                                  .target = target("10.0.9.13")})}),
              instance_name());
    lb.start();
    check_shares(run_short({.call = net.call(clients_of(modes[0])[0]), .count = 500}), 500);
    const std::string to = std::string(far_vip) + ":8000";
    const Tally tally = run_short({.call = net.call(to), .count = 500});
    INFO(tally.text());
    CHECK(tally.answered() == 500);
    CHECK(download(net.call(to), 5 * megabyte).error == "");
    CHECK(upload(net.call(to), 5 * megabyte).error == "");
}

TEST_CASE("a proxy that translates sends by itself toward targets where it can", "[e2e][fast]")
{
    for (const bool can : {true, false}) {
        INFO(can);
        const Arm net;
        if (can) net.b3.exec("ethtool -K eth0 gro on");
        const Server server({.name = "b3", .listen = "10.0.9.13:8080", .netns = net.b3.fd()});
        Daemon lb(net.balancer,
                  config({proxy({.name = "nat",
                                 .interfaces = R"(["eth0"])",
                                 .target = target("10.0.9.13"),
                                 .more = R"("forwarding": {"path": "fast"})"})}),
                  instance_name());
        lb.start();
        const std::string to = std::string(far_vip) + ":80";
        const Tally tally = run_short({.call = net.call(to), .count = 500});
        INFO(tally.text());
        CHECK(tally.answered() == 500);
        CHECK(run_questions({.call = net.call(to), .sockets = 200}).answered() == 2000);
        CHECK(download(net.call(to), 20 * megabyte).error == "");
        CHECK(upload(net.call(to), 20 * megabyte).error == "");
        const auto by_lb = counted(net.balancer, Reason::sent_on);
        const auto by_kernel = counted(net.balancer, Reason::forwarded);
        INFO("sent by lb " << by_lb << ", by the kernel " << by_kernel);
        CHECK((by_lb > 10000) == can);
        CHECK((by_kernel > 10000) == !can);
    }
}

TEST_CASE("a client whose segments don't fit is told, and sends shorter ones", "[e2e][dsr][too-big]")
{
    for (const bool fast : {false, true})
        for (const Mode& mode : modes) {
            if (mode.name == "dsr-l2" || mode.fast) continue;
            INFO(mode.name << (mode.six ? " by IPv6" : " by IPv4") << (fast ? ", sent by lb" : ""));
            const Arm net;
            if (fast) net.let_xdp_send();
            // The backends offer what would fit without a tunnel.
            const Backends backends(net, mode.backend, {"--mss", "1460"});
            Daemon lb(net.balancer, config({dsr_proxy(mode)}), instance_name());
            lb.start();
            for (const std::string& to : clients_of(mode)) {
                INFO(to);
                const Transfer up = upload(net.call(to), 5 * megabyte);
                CHECK(up.error == "");
                CHECK(up.seconds < 5); // stalled, it would take for ever
            }
            CHECK(counted(net.balancer, fast ? Reason::too_big_sent : Reason::too_big) > 0);
        }
}

TEST_CASE("connections go on over kill -9 and the next start, and the host is as it was at the end",
          "[e2e][dsr]")
{
    for (const Mode& mode : {modes[0], modes[3], modes[6]}) {
        INFO(mode.name);
        const Arm net;
        if (mode.fast) net.let_xdp_send();
        const auto state = [&] {
            return net.balancer.sysctl("ipv4/conf/eth0/accept_local") +
                   net.balancer.sysctl("ipv4/conf/eth0/rp_filter") + net.balancer.sysctl("ipv4/ip_forward");
        };
        net.balancer.set_sysctl("ipv4/conf/eth0/rp_filter", "1");
        const std::string before = state();
        const Backends backends(net, mode.backend);
        Daemon lb(net.balancer, config({dsr_proxy(mode)}), instance_name());
        lb.start();
        BusyConnections busy(net.call(clients_of(mode)[0]), 50);
        const auto go_on = [&](const char* while_what) {
            INFO(while_what);
            const auto asked = busy.asked();
            const auto end = std::chrono::steady_clock::now() + 10s;
            while (busy.asked() < asked + 500 && std::chrono::steady_clock::now() < end)
                std::this_thread::sleep_for(20ms);
            CHECK(busy.asked() >= asked + 500);
        };
        go_on("running");
        lb.kill();
        go_on("killed");
        CHECK(who(net.call(clients_of(mode)[0])).starts_with("b"));
        lb.start();
        go_on("started again");
        const auto report = busy.stop();
        INFO(report.first_error);
        CHECK(report.broken == 0);
        CHECK(report.moved == 0);
        CHECK(lb.stop() == 0);
        CHECK(state() == before);
    }
}
