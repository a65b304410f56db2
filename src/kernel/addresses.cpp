#include "kernel/addresses.hpp"

#include "kernel/errors.hpp"
#include "kernel/netlink.hpp"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>

namespace lb::kernel {

namespace {

Result<bool> change(u16 type, u16 flags, u32 ifindex, const IpAddress& address, int nothing_to_do)
{
    auto socket = NetlinkSocket::open();
    if (!socket) return std::unexpected(socket.error());
    NetlinkMessage message(type, static_cast<u16>(flags | NLM_F_ACK));
    message.body(ifaddrmsg{.ifa_family = static_cast<u8>(address.is_v6() ? AF_INET6 : AF_INET),
                           .ifa_prefixlen = address.bits(),
                           .ifa_flags = IFA_F_NODAD,
                           .ifa_scope = RT_SCOPE_UNIVERSE,
                           .ifa_index = ifindex});
    const be32 v4 = address.v4();
    const void* bytes = address.is_v6() ? static_cast<const void*>(address.v6().data()) : &v4;
    const std::size_t size = address.is_v6() ? address.v6().size() : sizeof(v4);
    message.attribute(IFA_LOCAL, bytes, size);
    message.attribute(IFA_ADDRESS, bytes, size);
    const auto done = socket->request(message);
    if (done) return true;
    if (done.error().sys_errno == nothing_to_do) return false;
    return std::unexpected(done.error());
}

} // namespace

Result<bool> add_address(u32 ifindex, const IpAddress& address)
{
    auto added = change(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, ifindex, address, EEXIST);
    if (!added) return context(added.error(), "adding the address " + address.text());
    return added;
}

Result<bool> remove_address(u32 ifindex, const IpAddress& address)
{
    auto removed = change(RTM_DELADDR, 0, ifindex, address, EADDRNOTAVAIL);
    if (!removed) return context(removed.error(), "removing the address " + address.text());
    return removed;
}

} // namespace lb::kernel
