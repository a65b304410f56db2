#include "kernel/neighbours.hpp"

#include "kernel/errors.hpp"
#include "kernel/netlink.hpp"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

namespace lb::kernel {

Result<void> use_neighbour(u32 ifindex, const IpAddress& address)
{
    auto socket = NetlinkSocket::open();
    if (!socket) return std::unexpected(socket.error());
    NetlinkMessage message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_ACK);
    message.body(ndmsg{.ndm_family = static_cast<u8>(address.is_v6() ? AF_INET6 : AF_INET),
                       .ndm_ifindex = static_cast<int>(ifindex),
                       .ndm_flags = NTF_USE});
    if (address.is_v6())
        message.attribute(NDA_DST, address.v6().data(), address.v6().size());
    else
        message.attribute(NDA_DST, address.v4().raw);
    if (auto asked = socket->request(message); !asked)
        return context(asked.error(), "asking for the neighbour " + address.text());
    return {};
}

} // namespace lb::kernel
