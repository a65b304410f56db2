// Algorithms and session persistence with real connections.
#include <regex>

#include "setup.hpp"

using namespace lb::e2e;

namespace {

ProxyText by(const std::string& algorithm, const std::string& more = "")
{
    return {.more = "\"algorithm\": \"" + algorithm + "\"" + more};
}

// The number that a map's dump has for each key.
std::vector<long> numbers_of(const Balanced& lab, const std::string& map)
{
    const std::string dump =
        lab.net.balancer.exec("bpftool -j map dump pinned " + pin_folder(instance_name()) + "/" + map);
    std::vector<long> numbers;
    const std::regex number("\"formatted\":\\{\"key\":\\d+,\"value\":(-?\\d+)");
    for (auto at = std::sregex_iterator(dump.begin(), dump.end(), number); at != std::sregex_iterator(); ++at)
        numbers.push_back(std::stol((*at)[1]));
    INFO(dump);
    CHECK(numbers.size() == 3);
    return numbers;
}

} // namespace

TEST_CASE("round-robin shares real connections out exactly", "[e2e]")
{
    Balanced lab(config({proxy(by("round-robin"))}));
    const Tally tally =
        run_short({.call = lab.from_c1(vip_web), .count = 1000, .cpus = {client_cpu, server_cpu}});
    INFO(tally.text());
    CHECK(tally.failed() == 0);
    CHECK(tally.by_server == std::map<std::string, u64>{{"b1", 500}, {"b2", 300}, {"b3", 200}});
}

TEST_CASE("a client stays with its server over connections, datagrams, and a kill -9", "[e2e]")
{
    Balanced lab(config({proxy(by("random", R"(, "session-persistence": true)"))}));
    const auto only_server = [&](const Call& call) {
        Tally tally = run_short({.call = call, .count = 100, .cpus = {client_cpu, server_cpu}});
        tally.add(run_questions({.call = call, .sockets = 50, .per_socket = 2}));
        INFO(tally.text());
        CHECK(tally.failed() == 0);
        CHECK(tally.answered() == 200);
        REQUIRE(tally.by_server.size() == 1);
        return tally.by_server.begin()->first;
    };
    const std::string first = only_server(lab.from_c1(vip_web)), second = only_server(lab.from_c2(vip_web));
    lab.lb.kill();
    CHECK(only_server(lab.from_c1(vip_web)) == first);
    lab.lb.start();
    CHECK(only_server(lab.from_c1(vip_web)) == first);
    CHECK(only_server(lab.from_c2(vip_web)) == second);
}

TEST_CASE("least-connections goes by connections that last, and counts come back to 0", "[e2e]")
{
    Balanced lab(config({proxy(by("least-connections"))}, R"("connection-timeout-sec": 5)"));
    Tally tally;
    {
        std::vector<std::unique_ptr<Connection>> open;
        for (int i = 0; i < 200; ++i) {
            open.push_back(std::make_unique<Connection>(lab.from_c1(vip_web)));
            const auto answer = open.back()->ask();
            INFO(open.back()->error());
            REQUIRE(answer.has_value());
            ++tally.by_server[answer->server];
        }
        INFO(tally.text());
        // By chance alone it would be 14 to either side, in two thirds of all runs.
        CHECK(tally.percent("b1") == Approx(50).margin(5));
        CHECK(tally.percent("b2") == Approx(30).margin(5));
        CHECK(tally.percent("b3") == Approx(20).margin(5));
        const auto live = numbers_of(lab, "live");
        CHECK(live == std::vector<long>{static_cast<long>(tally.by_server["b1"]),
                                        static_cast<long>(tally.by_server["b2"]),
                                        static_cast<long>(tally.by_server["b3"])});
    }
    const auto end = std::chrono::steady_clock::now() + 30s;
    std::vector<long> live;
    do {
        std::this_thread::sleep_for(100ms);
        live = numbers_of(lab, "live");
    } while (live != std::vector<long>{0, 0, 0} && std::chrono::steady_clock::now() < end);
    CHECK(live == std::vector<long>{0, 0, 0});
}
