// Who may connect, and how often, with clients that have sockets.
#include "setup.hpp"

using namespace lb::e2e;

namespace {

const std::string vip6_web = std::string("[") + vip6 + "]:80";

bool is_let_in(const Call& call) { return who(call, 1s).rfind("failed", 0) != 0; }

} // namespace

TEST_CASE("who is denied cannot connect, who is allowed can, and the other proxy asks nobody", "[e2e]")
{
    Balanced lab(config({proxy({.target = target("10.0.0.11"),
                                .more = R"("allow": ["192.0.2.0/24"], "deny": ["192.0.2.20"])"}),
                         proxy({.name = "open", .port = 81, .target = target("10.0.0.12")})}));
    lab.net.c1.ip("addr add 192.0.2.20/24 dev eth0");
    const std::string vip_open = "203.0.113.80:81";
    CHECK(who(lab.from_c1(vip_web, "192.0.2.10:0")) == "b1");
    CHECK_FALSE(is_let_in(lab.from_c1(vip_web, "192.0.2.20:0")));
    CHECK_FALSE(is_let_in(lab.from_c2(vip_web))); // in no list
    CHECK(who(lab.from_c1(vip_open, "192.0.2.20:0")) == "b2");
    CHECK(who(lab.from_c2(vip_open)) == "b2");
    const Tally in =
        run_questions({.call = lab.from_c1(vip_web, "192.0.2.10:0"), .sockets = 20, .per_socket = 2});
    CHECK(in.answered() == 40);
    const Tally out =
        run_questions({.call = lab.from_c2(vip_web), .sockets = 5, .per_socket = 1, .timeout = 300ms});
    CHECK(out.answered() == 0);
}

TEST_CASE("the same of IPv6", "[e2e]")
{
    Topology net;
    const auto servers = start_backends(net, 8080, Family::ipv6);
    Daemon lb(net.balancer,
              config({proxy({.listen = R"("address": "2001:db8:f::80")",
                             .target = R"({"ip": "2001:db8:a::11", "port": 8080})",
                             .more = R"("deny": ["2001:db8:2::/48"])"})}),
              instance_name());
    lb.start();
    CHECK(who({.to = vip6_web, .netns = net.c1.fd()}) == "b1");
    CHECK_FALSE(is_let_in({.to = vip6_web, .netns = net.c2.fd()}));
}

TEST_CASE("a source gets its burst of connections and then waits; another one, and its own old ones, do not",
          "[e2e]")
{
    // One a second, so that few come back while connections are made; a SYN that is refused is sent again by
    // the client a second later.
    Balanced lab(
        config({proxy({.target = target("10.0.0.11"),
                       .more = R"("rate-limits": {"per-source": {"requests-per-sec": 1, "burst": 30}})"})}));
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::unique_ptr<Connection>> made;
    for (int i = 0; i < 60; ++i) {
        Call call = lab.from_c1(vip_web);
        call.timeout = 100ms;
        auto connection = std::make_unique<Connection>(call);
        if (connection->ok()) made.push_back(std::move(connection));
    }
    const auto seconds =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - start).count();
    INFO(made.size() << " connections in " << seconds << " s");
    CHECK(made.size() >= 25); // 30, where the machine is not too busy to answer within 100 ms
    CHECK(made.size() <= 30 + static_cast<std::size_t>(seconds));
    for (auto& connection : made) CHECK(connection->ask().has_value());
    CHECK(who(lab.from_c2(vip_web)) == "b1");
    // With time it is let in again: who waits gets through by a SYN of his own retries.
    CHECK(who_until(lab.from_c1(vip_web), "b1", 20s) == "b1");
}

TEST_CASE("a source gets its burst of packets, whatever connections they are of", "[e2e]")
{
    Balanced lab(config(
        {proxy({.target = target("10.0.0.11"),
                .more = R"("rate-limits": {"per-source": {"packets-per-sec": 1, "packets-burst": 50}})"})}));
    const auto start = std::chrono::steady_clock::now();
    const Tally tally =
        run_questions({.call = lab.from_c1(vip_web), .sockets = 20, .per_socket = 5, .timeout = 200ms});
    const auto seconds =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - start).count();
    INFO(tally.text() << " in " << seconds << " s");
    CHECK(tally.answered() >= 45); // 50, where no answer takes longer than 200 ms
    CHECK(tally.answered() <= 50 + static_cast<u64>(seconds));
    const Tally other = run_questions({.call = lab.from_c2(vip_web), .sockets = 5, .per_socket = 5});
    CHECK(other.answered() == 25);
}
