// What a backend must know: its MSS, what is refused, and the commands for a kernel tunnel.
#include "model/backend.hpp"

#include <catch2/catch.hpp>

using namespace lb;
using namespace lb::model;

namespace {

Backend backend(Tunnel tunnel, const std::vector<std::string>& vips = {"192.0.2.1"},
                const std::vector<std::string>& senders = {})
{
    Backend made{.interfaces = {"eth0"}, .tunnel = tunnel};
    for (const auto& each : vips) made.vips.push_back(*IpAddress::parse(each));
    for (const auto& each : senders) made.senders.push_back(*Prefix::parse(each));
    return made;
}

} // namespace

TEST_CASE("the MSS is what MTU, tunnel and headers leave", "[backend]")
{
    struct Row {
        Tunnel tunnel;
        std::vector<std::string> senders;
        u32 mtu;
        u16 ipv4, ipv6;
    };
    for (const auto& [tunnel, senders, mtu, ipv4, ipv6] :
         {Row{Tunnel::ipip, {"10.0.0.1"}, 1500, 1440, 1420},
          Row{Tunnel::ipip, {"2001:db8::1"}, 1500, 1420, 1400},
          Row{Tunnel::ipip, {"10.0.0.1", "2001:db8::1"}, 1500, 1420, 1400},
          Row{Tunnel::ipip, {}, 1500, 1420, 1400}, Row{Tunnel::gue, {"10.0.0.0/8"}, 1500, 1432, 1412},
          Row{Tunnel::gue, {}, 1500, 1412, 1392}, Row{Tunnel::gue, {}, 9000, 8912, 8892},
          Row{Tunnel::ipip, {"10.0.0.1"}, 616, 556, 536},
          Row{Tunnel::ipip, {"10.0.0.1"}, 4000000, 65475, 65455}}) {
        const auto limits = mss_limits(backend(tunnel, {"192.0.2.1"}, senders), mtu);
        INFO(mtu << " " << (senders.empty() ? "anybody" : senders.front()));
        REQUIRE(limits);
        REQUIRE(*limits);
        CHECK((*limits)->ipv4 == ipv4);
        CHECK((*limits)->ipv6 == ipv6);
    }
}

TEST_CASE("an MSS that was given counts, and without a tunnel there is none", "[backend]")
{
    Backend given = backend(Tunnel::l2);
    CHECK_FALSE(mss_limits(given, 1500)->has_value());
    given.mss = 1300;
    CHECK((*mss_limits(given, 1500))->ipv4 == 1300);
    CHECK((*mss_limits(given, 100))->ipv6 == 1300);
}

TEST_CASE("an MTU that leaves no room is refused with the one that is needed", "[backend]")
{
    const auto limits = mss_limits(backend(Tunnel::ipip, {"192.0.2.1"}, {"10.0.0.1"}), 615);
    REQUIRE_FALSE(limits);
    CHECK(limits.error().kind == ErrorKind::host_not_ready);
    CHECK(limits.error().message ==
          "an MTU of 615 leaves no room for the tunnel: segments of 536 bytes need 616");
}

TEST_CASE("what cannot be is refused, and the words say what", "[backend]")
{
    const auto refusal = [](Backend wrong) {
        const auto fine = check_backend(wrong);
        return fine ? "fine" : fine.error().message;
    };
    CHECK(refusal(backend(Tunnel::ipip)) == "fine");
    Backend none = backend(Tunnel::ipip);
    none.interfaces.clear();
    CHECK(refusal(none) == "--interface is missing: where the balancer's packets arrive");
    Backend twice = backend(Tunnel::ipip);
    twice.interfaces = {"eth0", "eth0"};
    CHECK(refusal(twice) == "--interface eth0 is given twice");
    Backend lo = backend(Tunnel::ipip);
    lo.egress_interfaces = {"lo"};
    CHECK(refusal(lo) == "--egress-interface lo: expected an interface toward the balancer");
    CHECK(refusal(backend(Tunnel::ipip, {})) == "--vip is missing: the addresses that the balancer serves");
    CHECK(refusal(backend(Tunnel::ipip, {"192.0.2.1", "192.0.2.1"})) == "--vip 192.0.2.1 is given twice");
    for (const char* vip : {"127.0.0.1", "::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1"})
        CHECK(refusal(backend(Tunnel::ipip, {vip})) ==
              std::string("--vip ") + vip + ": expected the address of a service");
    CHECK(refusal(backend(Tunnel::ipip, {"192.0.2.1"}, {"10.0.0.1/8"})) ==
          "--from 10.0.0.1/8 has bits below its length: 10.0.0.0/8 is meant?");
    CHECK(refusal(backend(Tunnel::l2, {"192.0.2.1"}, {"10.0.0.0/8"})) ==
          "--from does not go with --mode l2: packets come there with the clients' addresses");
    std::vector<std::string> many;
    for (int i = 0; i < 65; ++i) many.push_back("10.0.0." + std::to_string(i));
    CHECK(refusal(backend(Tunnel::ipip, many)) == "--vip: at most 64 are possible");
    CHECK(refusal(backend(Tunnel::ipip, {"192.0.2.1"}, many)) == "--from: at most 64 are possible");
    Backend name = backend(Tunnel::ipip);
    name.instance = "../x";
    CHECK(refusal(name).starts_with("--instance \"../x\": "));
}

TEST_CASE("the commands of a kernel tunnel, IPv4 by IPIP from known balancers", "[backend]")
{
    CHECK(tunnel_commands(backend(Tunnel::ipip, {"192.0.2.1"}, {"10.0.0.0/24"}), 1500) ==
          R"(# Before the VIPs, so that this host never answers ARP for them:
sysctl -w net.ipv4.conf.eth0.arp_ignore=1
sysctl -w net.ipv4.conf.eth0.arp_announce=2
ip addr add 192.0.2.1/32 dev lo
ip link add lbipip type ipip external
ip addr add 192.0.2.1/32 dev lbipip
sysctl -w net.ipv4.conf.lbipip.rp_filter=2
ip link set lbipip up
nft add table inet lb_backend
nft 'add chain inet lb_backend out { type filter hook output priority mangle; }'
nft add rule inet lb_backend out ip saddr 192.0.2.1 'tcp flags & syn == syn tcp option maxseg size > 1440 tcp option maxseg size set 1440'

# To take it off again:
# nft delete table inet lb_backend
# ip link del lbipip
# ip addr del 192.0.2.1/32 dev lo
)");
}

TEST_CASE("the commands of a kernel tunnel, both families by GUE from anybody", "[backend]")
{
    CHECK(tunnel_commands(backend(Tunnel::gue, {"192.0.2.1", "2001:db8::1"}), 1500) ==
          R"(# Before the VIPs, so that this host never answers ARP for them:
sysctl -w net.ipv4.conf.eth0.arp_ignore=1
sysctl -w net.ipv4.conf.eth0.arp_announce=2
ip addr add 192.0.2.1/32 dev lo
ip addr add 2001:db8::1/128 dev lo nodad
modprobe fou
ip fou add port 6080 gue
modprobe fou6
ip -6 fou add port 6080 gue
ip link add lbipip type ipip external
ip addr add 192.0.2.1/32 dev lbipip
sysctl -w net.ipv4.conf.lbipip.rp_filter=2
ip link set lbipip up
modprobe sit
sysctl -w net.ipv4.conf.sit0.rp_filter=2
ip link set sit0 up
ip link add lbip6 type ip6tnl external
ip addr add 192.0.2.1/32 dev lbip6
sysctl -w net.ipv4.conf.lbip6.rp_filter=2
ip link set lbip6 up
nft add table inet lb_backend
nft 'add chain inet lb_backend out { type filter hook output priority mangle; }'
nft add rule inet lb_backend out ip saddr 192.0.2.1 'tcp flags & syn == syn tcp option maxseg size > 1412 tcp option maxseg size set 1412'
nft add rule inet lb_backend out ip6 saddr 2001:db8::1 'tcp flags & syn == syn tcp option maxseg size > 1392 tcp option maxseg size set 1392'

# To take it off again:
# nft delete table inet lb_backend
# ip link del lbipip
# ip link set sit0 down
# ip link del lbip6
# ip fou del port 6080
# ip -6 fou del port 6080
# ip addr del 192.0.2.1/32 dev lo
# ip addr del 2001:db8::1/128 dev lo
)");
}

TEST_CASE("the commands without a tunnel", "[backend]")
{
    CHECK(tunnel_commands(backend(Tunnel::l2, {"192.0.2.1"}), 1500) ==
          R"(# Before the VIPs, so that this host never answers ARP for them:
sysctl -w net.ipv4.conf.eth0.arp_ignore=1
sysctl -w net.ipv4.conf.eth0.arp_announce=2
sysctl -w net.ipv4.conf.eth0.rp_filter=2
ip addr add 192.0.2.1/32 dev lo

# To take it off again:
# ip addr del 192.0.2.1/32 dev lo
)");
}
