// Targets on the balancer itself. Their replies come from the local stack: with partial checksums, and, where
// the device can segment, larger than any MTU.
#include "setup.hpp"

using namespace lb::e2e;

TEST_CASE("a target on 127.0.0.1 answers through the VIP and through an own address", "[e2e]")
{
    const std::string listen = GENERATE(as<std::string>(), "", R"("address": "203.0.113.80")");
    Balanced lab(config({proxy({.listen = listen, .target = target("127.0.0.1", 9000)})}));
    const Server here({.name = "here", .listen = "127.0.0.1:9000", .netns = lab.net.balancer.fd()});
    const std::string to = listen.empty() ? own_web : vip_web;
    const Tally tcp = run_short({.call = lab.from_c1(to), .count = 200, .cpus = {client_cpu}});
    INFO(tcp.text());
    CHECK(tcp.by_server == std::map<std::string, u64>{{"here", 200}});
    CHECK(tcp.failed() == 0);
    const Tally udp = run_questions({.call = lab.from_c1(to), .sockets = 50, .per_socket = 2});
    INFO(udp.text());
    CHECK(udp.by_server == std::map<std::string, u64>{{"here", 100}});
}

TEST_CASE("a target on an address of the host answers", "[e2e]")
{
    Balanced lab(config({proxy({.target = target("10.0.0.1", 9000)})}));
    const Server here({.name = "here", .listen = "10.0.0.1:9000", .netns = lab.net.balancer.fd()});
    CHECK(who(lab.from_c1(vip_web)) == "here");
    const Transfer up = upload(lab.from_c1(vip_web), 5 * megabyte);
    INFO(up.error);
    CHECK(up.ok);
}

TEST_CASE("127.0.0.1 is not open to the wire beside the listener", "[e2e]")
{
    // A local target needs route_localnet; without a guard every local service would be reachable by
    // neighbours.
    Balanced lab(config({proxy({.target = target("127.0.0.1", 9000)})}));
    const Server secret({.name = "secret", .listen = "127.0.0.1:9001", .netns = lab.net.balancer.fd()});
    lab.net.c1.exec("ip route add 127.0.0.1/32 via 192.0.2.1 dev eth0 table 77");
    lab.net.c1.exec("ip rule add pref 0 to 127.0.0.1 lookup 77");
    lab.net.c1.exec("ip rule del pref 0 lookup local");
    lab.net.c1.exec("ip rule add pref 1 lookup local");
    lab.net.c1.set_sysctl("ipv4/conf/eth0/route_localnet", "1");
    CHECK(who(lab.from_c1("127.0.0.1:9001", "192.0.2.10:0"), 700ms) ==
          "failed: connect: Connection timed out");
}

TEST_CASE("large segments from a local target are translated and arrive whole", "[e2e]")
{
    const std::string address = GENERATE(as<std::string>(), "127.0.0.1", "10.0.0.1");
    Balanced lab(config({proxy({.target = target(address, 9000)})}));
    lab.net.balancer.exec("ethtool -K eth0 tx on tso on gso on");
    lab.net.c1.exec("ethtool -K eth0 tx off");
    lab.net.c1.nft(R"(
        table ip lab {
            counter large { }
            chain in {
                type filter hook input priority 0;
                meta length > 3000 counter name large
            }
        })");
    const Server here({.name = "here", .listen = address + ":9000", .netns = lab.net.balancer.fd()});
    const Transfer down = download(lab.from_c1(vip_web), 20 * megabyte);
    INFO(down.error);
    CHECK(down.ok);
    // Otherwise the test shows nothing: the device was handed packets larger than its MTU.
    CHECK(lab.net.c1.exec("nft list counter ip lab large").find("packets 0 ") == std::string::npos);
}
