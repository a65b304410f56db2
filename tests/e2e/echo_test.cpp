// Ping to a VIP that the host has: the host answers, with lb's program on the interface.
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>

#include "setup.hpp"

using namespace lb::e2e;

namespace {

// Whether an echo request with these bytes is answered by the same bytes.
bool answers(const Namespace& from, const std::string& to, const Bytes& data)
{
    return from.run([&] {
        SocketAddress address(to);
        const bool six = address.family() == AF_INET6;
        from.set_sysctl("ipv4/ping_group_range", "0 0"); // who may use these sockets; of IPv6, too
        const Fd fd(::socket(address.family(), SOCK_DGRAM, six ? int{IPPROTO_ICMPV6} : int{IPPROTO_ICMP}));
        REQUIRE(fd.valid());
        Bytes request = {six ? lb::u8{ICMP6_ECHO_REQUEST} : lb::u8{ICMP_ECHO}, 0, 0, 0, 0, 0, 0, 1};
        request.insert(request.end(), data.begin(), data.end());
        REQUIRE(::sendto(fd.get(), request.data(), request.size(), 0, address.data(), address.size()) ==
                static_cast<ssize_t>(request.size()));
        pollfd wait{.fd = fd.get(), .events = POLLIN, .revents = 0};
        if (::poll(&wait, 1, 2000) != 1) return false;
        Bytes reply(request.size() + 1);
        const ssize_t size = ::recv(fd.get(), reply.data(), reply.size(), 0);
        return size == static_cast<ssize_t>(request.size()) &&
               reply[0] == (six ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY) &&
               std::equal(data.begin(), data.end(), reply.begin() + 8);
    });
}

} // namespace

TEST_CASE("echo requests to a VIP that the host has are answered by the host", "[e2e]")
{
    Topology net;
    const auto servers = start_backends(net), servers6 = start_backends(net, 8080, Family::ipv6);
    net.balancer.ip(std::string("addr add ") + vip + "/32 dev lo");
    net.balancer.ip(std::string("addr add ") + vip6 + "/128 dev lo");
    Daemon lb(net.balancer,
              config({proxy({}), proxy({.name = "six",
                                        .listen = std::string(R"("address": ")") + vip6 + '"',
                                        .target = target("2001:db8:a::11")})}),
              instance_name());
    lb.start();
    for (const std::string& to : {std::string(vip), "[" + std::string(vip6) + "]"}) {
        INFO(to);
        CHECK(who({.to = to + ":80", .netns = net.c1.fd()}).starts_with("b"));
        for (const std::size_t size : {0u, 56u, 1400u, 4000u}) // the last one in fragments
            CHECK(answers(net.c1, to + ":0", pattern(size)));
    }
}
