#include "kernel/interfaces.hpp"

#include "kernel/errors.hpp"
#include "kernel/netlink.hpp"

#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace lb::kernel {

namespace {

template <class T> std::span<const u8> behind(std::span<const u8> payload)
{
    constexpr std::size_t size = (sizeof(T) + 3) / 4 * 4;
    return payload.subspan(std::min(size, payload.size()));
}

IpAddress address_of(u8 family, std::span<const u8> bytes)
{
    if (family == AF_INET) return IpAddress(be32::from_raw(read_as<u32>(bytes)));
    return IpAddress(read_as<std::array<u8, 16>>(bytes));
}

Result<Interface> get_interface(const std::string& name, u32 index)
{
    const std::string what =
        name.empty() ? "interface index " + std::to_string(index) : "interface '" + name + "'";
    auto socket = NetlinkSocket::open();
    if (!socket) return std::unexpected(socket.error());
    NetlinkMessage message(RTM_GETLINK, NLM_F_ACK);
    message.body(ifinfomsg{.ifi_index = static_cast<int>(index)});
    if (!name.empty()) message.attribute(IFLA_IFNAME, name);
    Interface found;
    auto asked = socket->request(message, [&](u16 type, std::span<const u8> payload) {
        if (type == RTM_NEWLINK) found = parse_interface(payload);
    });
    if (!asked) return sys_fail("looking for " + what, asked.error().sys_errno);
    found.driver = driver_of(found.name);
    return found;
}

/// One of ethtool's questions, whose answer is written over it.
bool ask_ethtool(const std::string& name, void* question)
{
    Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket || name.size() >= IFNAMSIZ) return false;
    ifreq request{};
    std::memcpy(request.ifr_name, name.c_str(), name.size() + 1);
    request.ifr_data = static_cast<char*>(question);
    return ::ioctl(socket.get(), SIOCETHTOOL, &request) == 0;
}

} // namespace

bool Interface::up() const { return (flags & IFF_UP) != 0; }
bool Interface::loopback() const { return (flags & IFF_LOOPBACK) != 0; }
bool Interface::ethernet() const { return type == ARPHRD_ETHER || type == ARPHRD_LOOPBACK; }

Interface parse_interface(std::span<const u8> payload)
{
    const auto header = read_as<ifinfomsg>(payload);
    Interface found{
        .index = static_cast<u32>(header.ifi_index), .type = header.ifi_type, .flags = header.ifi_flags};
    bool elsewhere = false;
    for_each_attribute(behind<ifinfomsg>(payload), [&](u16 type, std::span<const u8> value) {
        if (type == IFLA_IFNAME) found.name = read_text(value);
        if (type == IFLA_MTU) found.mtu = read_as<u32>(value);
        if (type == IFLA_LINK) found.peer = read_as<u32>(value);
        if (type == IFLA_LINK_NETNSID) elsewhere = true;
        if (type == IFLA_LINKINFO)
            for_each_attribute(value, [&](u16 inner, std::span<const u8> text) {
                if (inner == IFLA_INFO_KIND) found.kind = read_text(text);
            });
    });
    // An index in another network namespace means nothing here.
    if (elsewhere) found.peer = 0;
    return found;
}

std::optional<HostAddress> parse_host_address(std::span<const u8> payload)
{
    const auto header = read_as<ifaddrmsg>(payload);
    if (header.ifa_family != AF_INET && header.ifa_family != AF_INET6) return std::nullopt;
    const std::size_t bytes = header.ifa_family == AF_INET ? 4 : 16;
    std::optional<IpAddress> local;
    std::optional<IpAddress> address;
    for_each_attribute(behind<ifaddrmsg>(payload), [&](u16 type, std::span<const u8> value) {
        if (value.size() < bytes) return;
        if (type == IFA_LOCAL) local = address_of(header.ifa_family, value);
        if (type == IFA_ADDRESS) address = address_of(header.ifa_family, value);
    });
    // On a point-to-point interface IFA_ADDRESS is the other side's.
    if (local) address = local;
    if (!address) return std::nullopt;
    return HostAddress{
        .ifindex = header.ifa_index, .address = *address, .prefix_length = header.ifa_prefixlen};
}

Result<std::vector<Interface>> list_interfaces()
{
    auto socket = NetlinkSocket::open();
    if (!socket) return std::unexpected(socket.error());
    NetlinkMessage message(RTM_GETLINK, NLM_F_DUMP);
    message.body(ifinfomsg{});
    std::vector<Interface> all;
    auto listed = socket->dump(
        message, [&] { all.clear(); },
        [&](u16 type, std::span<const u8> payload) {
            if (type == RTM_NEWLINK) all.push_back(parse_interface(payload));
        });
    if (!listed) return context(listed.error(), "listing interfaces");
    return all;
}

Result<Interface> interface_by_name(const std::string& name)
{
    auto found = name.empty() || name.size() >= IFNAMSIZ
                     ? sys_fail("looking for interface '" + name + "'", ENODEV)
                     : get_interface(name, 0);
    if (found || found.error().sys_errno != ENODEV) return found;
    std::string names;
    if (auto all = list_interfaces())
        for (const auto& each : *all) names += (names.empty() ? "" : ", ") + each.name;
    return fail(ErrorKind::host_not_ready, "there is no interface '" + name + "' here; there are: " + names,
                ENODEV);
}

Result<Interface> interface_by_index(u32 index) { return get_interface({}, index); }

std::string driver_of(const std::string& name)
{
    ethtool_drvinfo info{};
    info.cmd = ETHTOOL_GDRVINFO;
    return ask_ethtool(name, &info) ? std::string(info.driver) : std::string();
}

Channels channels_of(const std::string& name)
{
    ethtool_channels channels{};
    channels.cmd = ETHTOOL_GCHANNELS;
    if (!ask_ethtool(name, &channels)) return {};
    return {.receive = channels.rx_count + channels.combined_count, .combined_max = channels.max_combined};
}

Result<std::vector<HostAddress>> host_addresses()
{
    auto socket = NetlinkSocket::open();
    if (!socket) return std::unexpected(socket.error());
    NetlinkMessage message(RTM_GETADDR, NLM_F_DUMP);
    message.body(ifaddrmsg{});
    std::vector<HostAddress> all;
    auto listed = socket->dump(
        message, [&] { all.clear(); },
        [&](u16 type, std::span<const u8> payload) {
            if (type != RTM_NEWADDR) return;
            if (auto address = parse_host_address(payload)) all.push_back(*address);
        });
    if (!listed) return context(listed.error(), "listing addresses");
    return all;
}

} // namespace lb::kernel
