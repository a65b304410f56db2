// The main job: connections and datagrams reach the targets by their weights, and come back.
#include <regex>

#include "setup.hpp"

using namespace lb::e2e;

TEST_CASE("ten thousand connections are shared 50/30/20 and none fails", "[e2e]")
{
    // Clients on CPU 0, servers on CPU 1: see Topology for why requests and replies then meet on different
    // CPUs.
    Balanced lab;
    const Tally tally =
        run_short({.call = lab.from_c1(vip_web), .count = 10000, .cpus = {client_cpu, client_cpu}});
    CHECK(tally.answered() == 10000);
    check_shares(tally, three_shares);
}

TEST_CASE("replies find their connection on another CPU than the one that requests arrive on", "[e2e]")
{
    Balanced lab(config({proxy({.target = target("10.0.0.11")})}));
    CHECK(run_short({.call = lab.from_c1(vip_web), .count = 1000, .cpus = {client_cpu}}).answered() == 1000);
    const std::string counters =
        lab.net.balancer.exec("bpftool -j map dump pinned " + pin_folder(instance_name()) + "/counters");
    // By CPU, in bpftool's order.
    const auto by_cpu = [&](const std::string& member) {
        std::vector<u64> values;
        const std::regex number('"' + member + "\":(\\d+)");
        for (auto at = std::sregex_iterator(counters.begin(), counters.end(), number);
             at != std::sregex_iterator(); ++at)
            values.push_back(std::stoul((*at)[1]));
        return values;
    };
    const auto forward = by_cpu("forward_packets"), reply = by_cpu("reply_packets");
    INFO(counters);
    REQUIRE(forward.size() >= 2);
    REQUIRE(reply.size() == forward.size());
    CHECK(forward[client_cpu] > 2000);
    CHECK(reply[server_cpu] > 2000);
}

TEST_CASE("connections made on both CPUs at once, from two clients, are shared alike", "[e2e]")
{
    Balanced lab;
    Tally tally;
    std::jthread other([&] {
        tally = run_short({.call = lab.from_c2(vip_web), .count = 2000, .cpus = {0, 1}});
    });
    Tally mine = run_short({.call = lab.from_c1(vip_web), .count = 2000, .cpus = {1, 0}});
    other.join();
    mine.add(tally);
    CHECK(mine.answered() == 4000);
    check_shares(mine, three_shares);
}

TEST_CASE("the target sees the client's own address and port", "[e2e]")
{
    Balanced lab;
    Connection connection(lab.from_c1(vip_web, "192.0.2.10:5001"));
    const auto answer = connection.ask();
    INFO(connection.error());
    REQUIRE(answer.has_value());
    CHECK(answer->seen == "192.0.2.10:5001");
}

TEST_CASE("a gigabyte arrives unchanged each way", "[e2e]")
{
    // The target behind bridge and router, so that every part of the topology carries it.
    Balanced lab(config({proxy({.target = target("10.0.3.13")})}));
    Call call = lab.from_c1(vip_web);
    call.timeout = 30s;
    const Transfer up = upload(call, 1024 * megabyte);
    INFO("up " << up.error << ", " << up.seconds << " s");
    CHECK(up.ok);
    const Transfer down = download(call, 1024 * megabyte);
    INFO("down " << down.error << ", " << down.seconds << " s");
    CHECK(down.ok);
}

TEST_CASE("datagrams are answered, each client port by one target", "[e2e]")
{
    Balanced lab;
    const Tally tally = run_questions(
        {.call = lab.from_c1(vip_web), .sockets = 4000, .per_socket = 3, .cpus = {client_cpu, client_cpu}});
    CHECK(tally.answered() == 12000);
    check_shares(tally, three_shares, 4000);
}

TEST_CASE("one client port may be used for connection after connection", "[e2e]")
{
    Balanced lab;
    for (int i = 0; i < 30; ++i) {
        Connection connection(lab.from_c1(vip_web, "192.0.2.10:5002"));
        const auto answer = connection.ask();
        INFO("connection " << i << ": " << connection.error());
        REQUIRE(answer.has_value());
        const linger reset{1, 0}; // close by RST, so that the port is free at once
        ::setsockopt(connection.fd(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    }
}

TEST_CASE("it works in each XDP mode", "[e2e]")
{
    const std::string mode = GENERATE(as<std::string>(), "native", "generic", "auto");
    Balanced lab(config({proxy({})}, "\"xdp-mode\": \"" + mode + '"'));
    const Tally tcp = run_short({.call = lab.from_c1(vip_web), .count = 300, .cpus = {client_cpu}});
    INFO(mode << ": " << tcp.text());
    CHECK(tcp.answered() == 300);
    CHECK(tcp.failed() == 0);
    const Transfer down = download(lab.from_c1(vip_web), 5 * megabyte);
    INFO(down.error);
    CHECK(down.ok);
}
