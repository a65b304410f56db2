// Direct server return, on the network of one_arm.hpp: backends set up by `lb backend`, answers past the
// balancer.
#include "lab/backend.hpp"
#include "model/reason.hpp"
#include "one_arm.hpp"

using namespace lb::e2e;
using lb::model::Reason;

namespace {

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

const std::map<std::string, double> shares = {{"b1", 75}, {"b2", 25}};
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
            check_shares(run_short({.call = net.call(to), .count = 1000}), shares);
            check_shares(run_questions({.call = net.call(to), .sockets = 1000, .per_socket = 2}), shares,
                         1000);
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
    check_shares(run_short({.call = net.call(clients_of(modes[0])[0]), .count = 500}), shares);
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
