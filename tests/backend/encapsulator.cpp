#include "encapsulator.hpp"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cstring>

namespace lb::test {

using namespace lab;

namespace {

constexpr int protocol_ipip = 4, protocol_ipv6 = 41;
constexpr int poll_ms = 20;

Fd open_tun(const std::string& name)
{
    Fd fd(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
    ifreq request{};
    std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    if (!fd.valid() || ::ioctl(fd.get(), TUNSETIFF, &request) != 0) throw LabError("no TUN device " + name);
    return fd;
}

Fd tunnel_socket(int family, int type, int protocol)
{
    Fd fd(::socket(family, type | SOCK_CLOEXEC, protocol));
    // Too large is an error then, and never a fragment.
    const int always = family == AF_INET ? IP_PMTUDISC_DO : IPV6_PMTUDISC_DO;
    const bool set =
        family == AF_INET
            ? ::setsockopt(fd.get(), IPPROTO_IP, IP_MTU_DISCOVER, &always, sizeof always) == 0
            : ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_MTU_DISCOVER, &always, sizeof always) == 0;
    if (!fd.valid() || !set) throw LabError("no socket for the tunnel");
    return fd;
}

} // namespace

Encapsulator::Encapsulator(const Namespace& where, const std::string& device, const std::string& backend,
                           u16 gue_port)
    : to_(backend.find(':') == std::string::npos ? backend + ":" + std::to_string(gue_port)
                                                 : "[" + backend + "]:" + std::to_string(gue_port))
{
    where.run([&] {
        tun_ = open_tun(device);
        const int family = to_.family();
        if (gue_port != 0) {
            by_ipip_ = tunnel_socket(family, SOCK_DGRAM, 0);
            by_ipv6_ = tunnel_socket(family, SOCK_DGRAM, 0);
        } else {
            by_ipip_ = tunnel_socket(family, SOCK_RAW, protocol_ipip);
            by_ipv6_ = tunnel_socket(family, SOCK_RAW, protocol_ipv6);
        }
    });
    thread_ = std::jthread([this](const std::stop_token& stop) { forward(stop); });
}

Encapsulator::~Encapsulator()
{
    thread_.request_stop();
    thread_.join();
}

void Encapsulator::forward(const std::stop_token& stop)
{
    std::array<u8, 65536> packet{};
    while (!stop.stop_requested()) {
        pollfd readable{.fd = tun_.get(), .events = POLLIN};
        if (::poll(&readable, 1, poll_ms) <= 0) continue;
        const ssize_t size = ::read(tun_.get(), packet.data(), packet.size());
        if (size <= 0) continue;
        const Fd& by = packet[0] >> 4 == 6 ? by_ipv6_ : by_ipip_;
        if (::sendto(by.get(), packet.data(), static_cast<std::size_t>(size), 0, to_.data(), to_.size()) >= 0)
            ++sent_;
        else if (errno == EMSGSIZE)
            ++too_large_;
    }
}

} // namespace lb::test
