// Another configuration by SIGHUP, while traffic flows: none of it is lost, none of it moves, and nothing of
// the earlier one is left behind.
#include <filesystem>

#include "health.hpp"

using namespace lb::e2e;

namespace {

// Connections one after the other until it ends.
class Steady {
public:
    explicit Steady(Call call)
        : call_(std::move(call)),
          thread_([this](const std::stop_token& stop) { run(stop); })
    {}
    Tally stop()
    {
        thread_.request_stop();
        thread_.join();
        return tally_;
    }

private:
    void run(const std::stop_token& stop)
    {
        while (!stop.stop_requested()) {
            tally_.add(run_short({.call = call_, .count = 20}));
            tally_.add(run_questions({.call = call_, .sockets = 5, .per_socket = 2}));
        }
    }
    Call call_;
    Tally tally_ = {};
    std::jthread thread_;
};

std::size_t descriptors(pid_t pid)
{
    const std::filesystem::directory_iterator fds("/proc/" + std::to_string(pid) + "/fd");
    return static_cast<std::size_t>(std::distance(begin(fds), end(fds)));
}

std::size_t lines_of(const std::string& text)
{
    return static_cast<std::size_t>(std::ranges::count(text, '\n'));
}

std::size_t lines_of_with(const std::string& log, const std::string& text)
{
    std::size_t count = 0;
    for (auto at = log.find(text); at != std::string::npos; at = log.find(text, at + 1)) ++count;
    return count;
}

// The packets of a reason that the last line of totals has.
u64 last_total(const std::string& log, const std::string& key)
{
    const auto at = log.rfind(key + "=");
    return at == std::string::npos ? 0 : std::stoull(log.substr(at + key.size() + 1));
}

} // namespace

TEST_CASE("a reload loses and moves no connection, however often, and leaves nothing behind", "[e2e][reload]")
{
    const std::string first = config({proxy({})});
    const std::string other_weights = R"([{"ip": "10.0.0.11", "port": 8080, "weight": 20},
        {"ip": "10.0.0.12", "port": 8080, "weight": 80}])";
    const std::string second = config({proxy({.name = "more", .port = 81, .target = target("10.0.3.13")}),
                                       proxy({.target = other_weights, .more = R"("algorithm": "random")"})});
    Topology net;
    const auto servers = start_backends(net);
    Daemon lb(net.balancer, first, instance_name());
    lb.start();
    const Call call{.to = vip_web, .netns = net.c1.fd()};
    BusyConnections busy(call, 40);
    Transfer down;
    std::jthread client([&] { down = download(call, 200 * megabyte); });
    Steady steady({.to = vip_web, .netns = net.c2.fd()});

    CHECK(lb.reload(second) == "reloaded: 2 proxies, 3 targets");
    CHECK(lb.reload(first) == "reloaded: 1 proxies, 3 targets");
    const auto maps = [&] { return lines_of(net.balancer.exec("bpftool map show")); };
    const std::size_t fds = descriptors(lb.pid()), maps_before = maps();
    for (int i = 0; i < 20; ++i) {
        REQUIRE(lb.reload(second).starts_with("reloaded: "));
        CHECK(who({.to = "203.0.113.80:81", .netns = net.c1.fd()}) == "b3");
        REQUIRE(lb.reload(first).starts_with("reloaded: "));
    }
    CHECK(
        who({.to = "203.0.113.80:81", .netns = net.c1.fd(), .timeout = 300ms}, 300ms).starts_with("failed"));
    CHECK(descriptors(lb.pid()) == fds);
    std::this_thread::sleep_for(200ms); // maps are freed a grace period after their last user
    CHECK(maps() == maps_before);

    const Tally tally = steady.stop();
    INFO(tally.text());
    CHECK(tally.failed() == 0);
    CHECK(tally.answered() > 100);
    client.join();
    INFO(down.error);
    CHECK(down.ok);
    const auto report = busy.stop();
    INFO(report.first_error);
    CHECK(report.broken == 0);
    CHECK(report.moved == 0);
}

TEST_CASE("a configuration that cannot be is refused with the reason, and the one before goes on",
          "[e2e][reload]")
{
    const std::string good = config({proxy({.target = target("10.0.0.11")})});
    Balanced lab(good);
    BusyConnections busy(lab.from_c1(vip_web), 10);
    const std::string settings = lab.net.balancer.exec("sysctl net.ipv4.conf net.ipv4.ip_forward");
    const auto refused = [&](const std::string& text, const std::string& why) {
        const std::string answer = lab.lb.reload(text);
        INFO(answer);
        CHECK(answer.starts_with("reload: nothing has changed, because: "));
        CHECK(answer.find(why) != std::string::npos);
        CHECK(who(lab.from_c1(vip_web)) == "b1");
    };
    refused("{", "an object without its end");
    refused(config({proxy({.target = target("10.0.0.11", 0)})}), "port: 0: expected an integer 1..65535");
    refused(config({proxy({})}, "", "another"), "a running instance keeps its name");
    refused(config({proxy({.interfaces = R"(["eth0", "nowhere"])"})}), "nowhere");
    // Half-way: settings are made, programs are loaded, and those for replies are in place.
    refused(config({proxy({.interfaces = R"(["br0", "eth0", "eth1"])",
                           .target = target("10.0.0.11"),
                           .more = R"("forwarding": {"mode": "full-nat"})"})},
                   R"("xdp-mode": "native")"),
            "native");
    CHECK(lab.net.balancer.exec("sysctl net.ipv4.conf net.ipv4.ip_forward") == settings);
    CHECK(lab.lb.reload(good) == "reloaded: 1 proxies, 1 targets");
    CHECK(busy.stop().broken == 0);
}

TEST_CASE("a target that is named no more keeps the connections that it has, and gets no other",
          "[e2e][reload]")
{
    const std::string both = R"([{"ip": "10.0.0.11", "port": 8080, "weight": 50},
        {"ip": "10.0.0.12", "port": 8080, "weight": 50}])";
    const std::string more =
        GENERATE(R"("forwarding": {"mode": "nat"})", R"("forwarding": {"mode": "full-nat"})",
                 R"("forwarding": {"path": "fast"})");
    Topology net;
    const auto servers = start_backends(net);
    for (const Namespace* each : {&net.b1, &net.b2}) each->exec("ethtool -K eth0 tx off");
    Daemon lb(net.balancer, config({proxy({.target = both, .more = more})}), instance_name());
    lb.start();
    BusyConnections busy({.to = vip_web, .netns = net.c1.fd()}, 30);
    REQUIRE(
        lb.reload(config({proxy({.target = target("10.0.0.11"), .more = more})})).starts_with("reloaded: "));
    const u64 asked = busy.asked();
    const Tally tally = run_short({.call = {.to = vip_web, .netns = net.c2.fd()}, .count = 200});
    CHECK(tally.by_server == std::map<std::string, u64>{{"b1", 200}});
    std::this_thread::sleep_for(300ms);
    CHECK(busy.asked() > asked + 30);
    const auto report = busy.stop();
    INFO(report.first_error);
    CHECK(report.broken == 0);
    CHECK(report.moved == 0);
}

TEST_CASE("what was counted stays counted over a reload", "[e2e][reload]")
{
    const std::string settings = R"("stats-enabled": true)";
    Balanced lab(config({proxy({})}, settings));
    CHECK(run_questions({.call = lab.from_c1(vip_web), .sockets = 50, .per_socket = 2}).answered() == 100);
    REQUIRE(
        lab.lb.reload(config({proxy({.target = target("10.0.0.11")})}, settings)).starts_with("reloaded"));
    CHECK(run_questions({.call = lab.from_c1(vip_web), .sockets = 10, .per_socket = 1}).answered() == 10);
    REQUIRE(wait_for_log(lab.lb, "exits: ", 12s));
    const std::string log = lab.lb.log();
    INFO(log);
    CHECK(last_total(log, "exits: forwarded") == 110);
    CHECK(last_total(log, "reply_forwarded") == 110);
    // Whoever asked for the stream of connections gets it afterwards, too.
    CHECK(log.find("connection new udp", log.find("reloaded: ")) != std::string::npos);
}

TEST_CASE("a target's health is known after a reload, and its changes go on", "[e2e][reload][health]")
{
    Topology net;
    const auto servers = start_backends(net);
    auto well = health_server(net.b1, "10.0.0.11"), ill = health_server(net.b2, "10.0.0.12");
    const std::string targets = R"([{"ip": "10.0.0.11", "port": 8080, "weight": 50},
        {"ip": "10.0.0.12", "port": 8080, "weight": 50}])";
    const std::string text = config({proxy({.target = targets})}, checks);
    Daemon lb(net.balancer, text, instance_name());
    lb.start();
    ill.reset();
    REQUIRE(wait_for_log(lb, "target 10.0.0.12:8080 of web is unhealthy"));
    const Call call{.to = vip_web, .netns = net.c1.fd()};
    Steady steady(call);
    for (int i = 0; i < 5; ++i) REQUIRE(lb.reload(text).starts_with("reloaded: "));
    const Tally tally = steady.stop();
    INFO(tally.text());
    CHECK(tally.by_server.count("b2") == 0);
    CHECK(tally.failed() == 0);
    ill = health_server(net.b2, "10.0.0.12");
    CHECK(wait_for_log(lb, "target 10.0.0.12:8080 of web is healthy: connected", 10s));
    check_shares(run_short({.call = call, .count = 500}), {{"b1", 50}, {"b2", 50}});
}

TEST_CASE("with --watch a changed file is loaded by itself, however it changes, and the last version wins",
          "[e2e][reload]")
{
    namespace fs = std::filesystem;
    const auto to = [](const std::string& ip) { return config({proxy({.target = target(ip)})}); };
    Topology net;
    const auto servers = start_backends(net);
    Daemon lb(net.balancer, to("10.0.0.11"), instance_name());
    lb.add_flag("--watch");
    lb.start();
    const Call call{.to = vip_web, .netns = net.c1.fd()};
    Steady steady({.to = vip_web, .netns = net.c2.fd()});
    REQUIRE(who(call) == "b1");
    const fs::path file = lb.config_file();
    // Written in place, and over again before it is looked at.
    write_file(file.filename(), "{");
    write_file(file.filename(), to("10.0.0.12"));
    CHECK(who_until(call, "b2") == "b2");
    // Renamed over it, as editors do.
    fs::rename(write_file("renamed.json", to("10.0.0.11")), file);
    CHECK(who_until(call, "b1") == "b1");
    // A symbolic link that is swapped, as in a ConfigMap.
    const auto first = write_file("first.json", to("10.0.0.12")),
               second = write_file("second.json", to("10.0.0.11"));
    fs::remove(file);
    fs::create_symlink(first, file);
    CHECK(who_until(call, "b2") == "b2");
    fs::create_symlink(second, file.parent_path() / "swap");
    fs::rename(file.parent_path() / "swap", file);
    CHECK(who_until(call, "b1") == "b1");
    // One that cannot be is refused once, and the next one taken.
    const auto refusals = [&] { return lines_of_with(lb.log(), "reload: nothing has changed"); };
    fs::remove(file);
    write_file(file.filename(), "{");
    REQUIRE(wait_for_log(lb, "reload: nothing has changed"));
    std::this_thread::sleep_for(1500ms);
    CHECK(refusals() == 1);
    write_file(file.filename(), to("10.0.0.12"));
    CHECK(who_until(call, "b2") == "b2");
    CHECK(steady.stop().failed() == 0);
}
