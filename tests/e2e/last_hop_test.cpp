// Packets whose last hop is the balancer: what their sender is told.
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>

#include <cstring>
#include <ctime>

#include <linux/errqueue.h> // needs timespec

#include "setup.hpp"

using namespace lb::e2e;
using lb::model::Reason;

namespace {

// A connected UDP socket in c1 that gets ICMP errors with the packet they quote.
class Probe {
public:
    Probe(const Topology& net, const std::string& to) : to_(to)
    {
        six_ = to_.family() == AF_INET6;
        fd_ = make_socket(net.c1.fd(), to_.family(), SOCK_DGRAM);
        set(six_ ? IPV6_RECVERR : IP_RECVERR, 1);
        REQUIRE(::connect(fd_.get(), to_.data(), to_.size()) == 0);
    }
    /// What comes back of a question sent with so many hops: `answer`, `time exceeded` where the error is of
    /// the kind and quotes the question, `nothing` within a second.
    std::string ask(int hops) const
    {
        set(six_ ? IPV6_UNICAST_HOPS : IP_TTL, hops);
        const std::string question = "?" + std::to_string(hops) + '\n';
        REQUIRE(::send(fd_.get(), question.data(), question.size(), 0) ==
                static_cast<ssize_t>(question.size()));
        pollfd wait{.fd = fd_.get(), .events = POLLIN, .revents = 0};
        if (::poll(&wait, 1, 1000) == 0) return "nothing";
        if ((wait.revents & POLLERR) != 0) return error_about(question);
        char answer[100];
        return ::recv(fd_.get(), answer, sizeof answer, 0) > 0 ? "answer" : "no answer";
    }

private:
    void set(int option, int value) const
    {
        REQUIRE(::setsockopt(fd_.get(), six_ ? IPPROTO_IPV6 : IPPROTO_IP, option, &value, sizeof value) == 0);
    }
    std::string error_about(const std::string& question) const
    {
        char quoted[100], control[200];
        iovec where{.iov_base = quoted, .iov_len = sizeof quoted};
        msghdr message{};
        message.msg_iov = &where;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        const ssize_t size = ::recvmsg(fd_.get(), &message, MSG_ERRQUEUE);
        const cmsghdr* header = CMSG_FIRSTHDR(&message);
        if (size < 0 || header == nullptr) return "an error that cannot be read";
        if (std::string(quoted, static_cast<std::size_t>(size)) != question) return "about something else";
        sock_extended_err error{};
        std::memcpy(&error, CMSG_DATA(header), sizeof error);
        const int type = six_ ? ICMP6_TIME_EXCEEDED : ICMP_TIME_EXCEEDED;
        if (error.ee_type == type && error.ee_code == 0) return "time exceeded";
        return "type " + std::to_string(error.ee_type) + ", code " + std::to_string(error.ee_code);
    }
    SocketAddress to_;
    bool six_ = false;
    Fd fd_;
};

std::string proxy_of(const std::string& name, int port, bool six, const std::string& mode)
{
    return proxy({.name = name,
                  .interfaces = R"(["eth0", "eth1"])",
                  .port = port,
                  .listen = std::string(R"("protocol": "both", "address": ")") + (six ? vip6 : vip) + '"',
                  .target = target(six ? "2001:db8:a::11" : "10.0.0.11"),
                  .more = R"("forwarding": {"mode": ")" + mode + "\"}"});
}

} // namespace

TEST_CASE("a packet without a hop left: nat's sender is told, full NAT's is not", "[e2e][full-nat]")
{
    Topology net;
    const auto servers = start_backends(net), servers6 = start_backends(net, 8080, Family::ipv6);
    net.b1.exec("ethtool -K eth0 tx off");
    Daemon lb(net.balancer,
              config({proxy_of("nat", 80, false, "nat"), proxy_of("nat6", 80, true, "nat"),
                      proxy_of("full", 81, false, "full-nat"), proxy_of("full6", 81, true, "full-nat")}),
              instance_name());
    lb.start();
    u64 dropped = 0;
    for (const std::string& to : {std::string(vip), "[" + std::string(vip6) + "]"}) {
        INFO(to);
        const Probe nat(net, to + ":80"), full(net, to + ":81");
        for (int round = 0; round < 2; ++round) { // the first packet of a connection, and a later one
            CHECK(nat.ask(1) == "time exceeded");
            CHECK(nat.ask(2) == "answer");
            CHECK(full.ask(1) == "nothing");
            CHECK(counted(net.balancer, Reason::last_hop) == ++dropped);
            CHECK(full.ask(2) == "answer");
        }
    }
}
