#include "kernel/routes.hpp"

#include "kernel/errors.hpp"
#include "kernel/netlink.hpp"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <span>

namespace lb::kernel {
namespace {

std::span<const u8> attributes_of(std::span<const u8> payload)
{
    return payload.subspan(std::min(sizeof(rtmsg), payload.size()));
}

// The next hops of a multipath route.
void add_next_hops(std::span<const u8> bytes, std::vector<u32>& found)
{
    while (bytes.size() >= sizeof(rtnexthop)) {
        const auto hop = read_as<rtnexthop>(bytes);
        found.push_back(static_cast<u32>(hop.rtnh_ifindex));
        const std::size_t length = RTNH_ALIGN(hop.rtnh_len);
        if (length < sizeof(rtnexthop) || length > bytes.size()) return;
        bytes = bytes.subspan(length);
    }
}

std::optional<IpAddress> address_in(std::span<const u8> value)
{
    if (value.size() == sizeof(be32)) return IpAddress::from(read_as<be32>(value));
    if (value.size() == sizeof(wire::Address6)) return IpAddress::from(read_as<wire::Address6>(value));
    return std::nullopt;
}

} // namespace

Result<std::optional<Route>> route_to(const IpAddress& address)
{
    auto socket = NetlinkSocket::open();
    if (!socket) return std::unexpected(socket.error());
    NetlinkMessage message(RTM_GETROUTE, NLM_F_ACK);
    rtmsg header{};
    header.rtm_family = address.is_v4() ? AF_INET : AF_INET6;
    header.rtm_dst_len = address.bits();
    message.body(header);
    if (address.is_v4())
        message.attribute(RTA_DST, address.v4().raw);
    else
        message.attribute(RTA_DST, address.v6().data(), address.v6().size());
    Route route;
    const auto asked = socket->request(message, [&](u16 type, std::span<const u8> payload) {
        if (type != RTM_NEWROUTE) return;
        route.local = read_as<rtmsg>(payload).rtm_type == RTN_LOCAL;
        for_each_attribute(attributes_of(payload), [&](u16 attribute, std::span<const u8> value) {
            if (attribute == RTA_OIF) route.ifindex = read_as<u32>(value);
            if (attribute == RTA_PREFSRC) route.source = address_in(value);
            if (attribute == RTA_GATEWAY) route.gateway = address_in(value);
        });
    });
    if (asked) return route;
    const int error = asked.error().sys_errno;
    if (error == ENETUNREACH || error == EHOSTUNREACH || error == EACCES || error == EINVAL)
        return std::optional<Route>{}; // unroutable, and routes of the types unreachable, prohibit, blackhole
    return context(asked.error(), "asking for the route to " + address.text());
}

Result<std::vector<u32>> default_route_interfaces()
{
    auto socket = NetlinkSocket::open();
    if (!socket) return std::unexpected(socket.error());
    NetlinkMessage message(RTM_GETROUTE, NLM_F_DUMP);
    rtmsg header{};
    header.rtm_family = AF_INET;
    message.body(header);
    std::vector<u32> found;
    const auto listed = socket->dump(
        message, [&] { found.clear(); },
        [&](u16 type, std::span<const u8> payload) {
            const auto route = read_as<rtmsg>(payload);
            if (type != RTM_NEWROUTE || route.rtm_dst_len != 0 || route.rtm_table != RT_TABLE_MAIN) return;
            for_each_attribute(attributes_of(payload), [&](u16 attribute, std::span<const u8> value) {
                if (attribute == RTA_OIF) found.push_back(read_as<u32>(value));
                if (attribute == RTA_MULTIPATH) add_next_hops(value, found);
            });
        });
    if (!listed) return context(listed.error(), "listing routes");
    return found;
}

} // namespace lb::kernel
