#include "lab/tap.hpp"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace lb::lab {
namespace {

// struct virtio_net_hdr of <linux/virtio_net.h>, which C++ cannot include (a member is called `class`).
struct VirtioHeader {
    u8 flags = 0;
    u8 gso_type = 0;
    u16 hdr_len = 0;
    u16 gso_size = 0;
    u16 csum_start = 0;
    u16 csum_offset = 0;
};
constexpr u8 needs_csum = 1; // VIRTIO_NET_HDR_F_NEEDS_CSUM
constexpr u8 gso_none = 0;   // VIRTIO_NET_HDR_GSO_NONE
constexpr std::size_t header_size = sizeof(VirtioHeader);
static_assert(header_size == 10);

void demand(int result, const char* what)
{
    if (result < 0) throw LabError(std::string(what) + ": " + std::strerror(errno));
}

Mac mac_of(const Namespace& where, const std::string& name)
{
    ifreq request{};
    std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
    const Fd fd = make_socket(where.fd(), AF_INET, SOCK_DGRAM);
    demand(::ioctl(fd.get(), SIOCGIFHWADDR, &request), "SIOCGIFHWADDR");
    Mac mac{};
    std::memcpy(mac.data(), request.ifr_hwaddr.sa_data, mac.size());
    return mac;
}

} // namespace

Tap::Tap(const Namespace& where, const std::string& name, bool segmentation)
{
    fd_ = where.run([&] {
        Fd fd(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
        demand(fd.get(), "/dev/net/tun");
        ifreq request{};
        std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
        request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
        demand(::ioctl(fd.get(), TUNSETIFF, &request), "TUNSETIFF");
        return fd;
    });
    const unsigned long offloads = segmentation ? TUN_F_CSUM | TUN_F_TSO4 : TUN_F_CSUM;
    demand(::ioctl(fd_.get(), TUNSETOFFLOAD, offloads), "TUNSETOFFLOAD");
    mac_ = mac_of(where, name);
    where.ip("link set " + name + " up");
}

void Tap::send(const Bytes& frame) const
{
    Bytes out(header_size);
    out.insert(out.end(), frame.begin(), frame.end());
    demand(static_cast<int>(::write(fd_.get(), out.data(), out.size())), "writing to the TAP");
}

std::optional<TapFrame> Tap::receive(Milliseconds limit) const
{
    const auto end = std::chrono::steady_clock::now() + limit;
    Bytes buffer(header_size + 70000);
    for (;;) {
        const auto left =
            std::chrono::duration_cast<Milliseconds>(end - std::chrono::steady_clock::now()).count();
        pollfd wait{fd_.get(), POLLIN, 0};
        if (left <= 0 || ::poll(&wait, 1, static_cast<int>(left)) != 1) return std::nullopt;
        const ssize_t got = ::read(fd_.get(), buffer.data(), buffer.size());
        if (got < static_cast<ssize_t>(header_size)) continue;
        VirtioHeader header;
        std::memcpy(&header, buffer.data(), header_size);
        TapFrame frame{.bytes = {buffer.begin() + header_size, buffer.begin() + got}};
        if (!parse(frame.bytes)) continue;
        frame.needs_checksum = (header.flags & needs_csum) != 0;
        if (frame.needs_checksum) frame.checksum = {header.csum_start, header.csum_offset};
        if (header.gso_type != gso_none) frame.segment_size = header.gso_size;
        return frame;
    }
}

} // namespace lb::lab
