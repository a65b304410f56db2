#include "kernel/xdp_features.hpp"

#include "kernel/errors.hpp"
#include "kernel/netlink.hpp"

#include <linux/genetlink.h>

#include <cerrno>

namespace lb::kernel {
namespace {

// Of include/uapi/linux/netdev.h, which is younger than Debian 12's headers.
constexpr u8 command_dev_get = 1, family_version = 1;
constexpr u16 attribute_ifindex = 1, attribute_features = 3;
constexpr u64 feature_transmit = 1u << 2, feature_transmit_frags = 1u << 6;

std::span<const u8> attributes_of(std::span<const u8> payload)
{
    return payload.subspan(std::min(sizeof(genlmsghdr), payload.size()));
}

/// The number that the kernel has given the family; 0: it has none of that name.
Result<u16> netdev_family(NetlinkSocket& socket)
{
    NetlinkMessage message(GENL_ID_CTRL, NLM_F_ACK);
    message.body(genlmsghdr{.cmd = CTRL_CMD_GETFAMILY, .version = 1});
    message.attribute(CTRL_ATTR_FAMILY_NAME, std::string_view("netdev"));
    u16 family = 0;
    const auto asked = socket.request(message, [&](u16, std::span<const u8> payload) {
        for_each_attribute(attributes_of(payload), [&](u16 type, std::span<const u8> value) {
            if (type == CTRL_ATTR_FAMILY_ID) family = read_as<u16>(value);
        });
    });
    if (!asked && asked.error().sys_errno != ENOENT) return std::unexpected(asked.error());
    return family;
}

} // namespace

Result<std::optional<XdpFeatures>> xdp_features(u32 ifindex)
{
    auto socket = NetlinkSocket::open(0, NETLINK_GENERIC);
    if (!socket) return std::unexpected(socket.error());
    const auto family = netdev_family(*socket);
    if (!family) return std::unexpected(family.error());
    if (*family == 0) return std::optional<XdpFeatures>{};
    NetlinkMessage message(*family, NLM_F_ACK);
    message.body(genlmsghdr{.cmd = command_dev_get, .version = family_version});
    message.attribute(attribute_ifindex, ifindex);
    u64 bits = 0;
    const auto asked = socket->request(message, [&](u16, std::span<const u8> payload) {
        for_each_attribute(attributes_of(payload), [&](u16 type, std::span<const u8> value) {
            if (type == attribute_features) bits = read_as<u64>(value);
        });
    });
    if (!asked) return context(asked.error(), "asking for the XDP features of an interface");
    return XdpFeatures{.transmit = (bits & feature_transmit) != 0,
                       .transmit_frags = (bits & feature_transmit_frags) != 0};
}

} // namespace lb::kernel
