// What -s shows: connections as they come and go, and totals.
#include <regex>

#include "setup.hpp"

using namespace lb::e2e;

namespace {

std::size_t count_lines(const std::string& log, const std::string& pattern)
{
    const std::regex regex(pattern);
    return static_cast<std::size_t>(std::distance(std::sregex_iterator(log.begin(), log.end(), regex), {}));
}

std::size_t count_until(Daemon& lb, const std::string& pattern, std::size_t wanted, Milliseconds limit)
{
    const auto end = std::chrono::steady_clock::now() + limit;
    for (;;) {
        const std::size_t count = count_lines(lb.log(), pattern);
        if (count >= wanted || std::chrono::steady_clock::now() > end) return count;
        std::this_thread::sleep_for(50ms);
    }
}

} // namespace

namespace {

// `of`: the connections' addresses as the log has them, as a regular expression.
void check_told(Daemon& lb, const Call& call, const std::string& of)
{
    const Tally tcp = run_short({.call = call, .count = 7});
    const Tally udp = run_questions({.call = call, .sockets = 5, .per_socket = 3});
    REQUIRE(tcp.answered() + udp.answered() == 7 + 15);
    CHECK(count_until(lb, "connection new tcp" + of + "\n", 7, 2s) == 7);
    CHECK(count_until(lb, "connection new udp" + of + "\n", 5, 2s) == 5);
    CHECK(count_until(lb, "connection closed tcp" + of + " state=closed duration-ms=", 7, 5s) == 7);
    const std::string datagrams =
        " state=udp duration-ms=\\d+ forward-packets=3 forward-bytes=\\d+ reply-packets=3 ";
    CHECK(count_until(lb, "connection closed udp" + of + datagrams, 5, 5s) == 5);
    INFO(lb.log());
    CHECK(count_lines(lb.log(), "connection (new|closed)") == 24);
}

} // namespace

TEST_CASE("each connection is told of when it begins and when it has ended", "[e2e]")
{
    Balanced lab(config({proxy({.target = target("10.0.0.11")})},
                        R"("stats-enabled": true, "connection-timeout-sec": 1)"));
    check_told(lab.lb, lab.from_c1(vip_web),
               R"( 192\.0\.2\.10:\d+ -> 203\.0\.113\.80:80 proxy=web target=10\.0\.0\.11:8080)");
}

TEST_CASE("the same of IPv6 connections, which go when they are idle, too", "[e2e][ipv6]")
{
    Topology net;
    const auto servers = start_backends(net, 8080, Family::ipv6);
    Daemon lb(net.balancer,
              config({proxy({.listen = std::string("\"address\": \"") + vip6 + '"',
                             .target = target("2001:db8:a::11")})},
                     R"("stats-enabled": true, "connection-timeout-sec": 1)"),
              instance_name());
    lb.start();
    check_told(
        lb, {.to = "[" + std::string(vip6) + "]:80", .netns = net.c1.fd()},
        R"( \[2001:db8:1::10\]:\d+ -> \[2001:db8:f::80\]:80 proxy=web target=\[2001:db8:a::11\]:8080)");
}

TEST_CASE("totals and exits by reason are logged every ten seconds, and lines about connections are bounded",
          "[e2e]")
{
    Balanced lab(
        config({proxy({}), proxy({.name = "closed", .port = 81, .more = R"("deny": ["0.0.0.0/0"])"})},
               R"("stats-enabled": true)"));
    run_questions({.call = lab.from_c1("203.0.113.80:81"), .sockets = 5, .per_socket = 1, .timeout = 100ms});
    const Tally udp =
        run_questions({.call = lab.from_c1(vip_web), .sockets = 4000, .per_socket = 1, .cpus = {client_cpu}});
    REQUIRE(udp.answered() == 4000);
    CHECK(who(lab.from_c1("192.0.2.1:99")) == "failed: connect: Connection refused");
    // A port may be used by several of the sockets, one after the other: then it is one connection.
    REQUIRE(count_until(lab.lb, "totals: connections=\\d+ live=\\d+ forward-packets=4000 ", 1, 12s) == 1);
    const std::string log = lab.lb.log();
    std::smatch found;
    REQUIRE(std::regex_search(
        log, found, std::regex("totals: connections=(\\d+) .*events-lost=(\\d+) events-not-shown=(\\d+)")));
    const auto shown = count_lines(log, "connection new udp");
    INFO(shown << " shown, " << found[0]);
    CHECK(shown + std::stoul(found[2]) + std::stoul(found[3]) == std::stoul(found[1]));
    CHECK(shown >= 500);
    CHECK(count_lines(log, "exits: forwarded=4000 .*no_listener=1 .*denied=5 .*reply_forwarded=4000") == 1);
    CHECK(count_lines(log, "refused: proxy=closed denied=5\n") == 1);
    CHECK(count_lines(log, "refused: ") == 1);
}

TEST_CASE("without stats-enabled nothing is told of single connections", "[e2e]")
{
    Balanced lab(config({proxy({})}));
    CHECK(run_short({.call = lab.from_c1(vip_web), .count = 5}).answered() == 5);
    std::this_thread::sleep_for(200ms);
    CHECK(count_lines(lab.lb.log(), "connection new") == 0);
    CHECK_FALSE(std::filesystem::exists(pin_folder(instance_name()) + "/events"));
}
