// The XDP hook of an interface: who has it, how it is taken, and why a driver would not give it.
#include "kernel/errors.hpp"
#include "kernel/interfaces.hpp"
#include "kernel/link.hpp"
#include "kernel/netlink.hpp"

#include <bpf/bpf.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cerrno>

namespace lb::kernel {

namespace {

const char* name_of(const XdpOccupant& occupant)
{
    return occupant.offloaded ? "offloaded" : occupant.mode == XdpMode::generic ? "generic" : "native";
}

/// What IFLA_XDP says: the program, and by which of the three ways it is attached.
std::optional<XdpOccupant> parse_xdp(std::span<const u8> nested)
{
    u8 attached = XDP_ATTACHED_NONE;
    u32 native = 0, generic = 0, offloaded = 0;
    for_each_attribute(nested, [&](u16 type, std::span<const u8> value) {
        if (type == IFLA_XDP_ATTACHED) attached = read_as<u8>(value);
        if (type == IFLA_XDP_DRV_PROG_ID) native = read_as<u32>(value);
        if (type == IFLA_XDP_SKB_PROG_ID) generic = read_as<u32>(value);
        if (type == IFLA_XDP_HW_PROG_ID) offloaded = read_as<u32>(value);
    });
    if (attached == XDP_ATTACHED_NONE) return std::nullopt;
    if (native != 0) return XdpOccupant{.program_id = native, .mode = XdpMode::native};
    if (generic != 0) return XdpOccupant{.program_id = generic, .mode = XdpMode::generic};
    return XdpOccupant{.program_id = offloaded, .mode = XdpMode::native, .offloaded = true};
}

/// The link that holds this program on this interface; 0: there is none, it was attached by netlink.
u32 find_link(u32 ifindex, u32 program_id)
{
    u32 id = 0;
    while (bpf_link_get_next_id(id, &id) == 0) {
        auto link = Link::open_id(id);
        if (!link) continue; // gone meanwhile
        auto info = link->info();
        if (info && info->type == LinkType::xdp && info->ifindex == ifindex && info->program_id == program_id)
            return id;
    }
    return 0;
}

Error occupied(const Interface& interface, const XdpOccupant& occupant)
{
    const std::string release = occupant.link_id != 0
                                    ? "bpftool link detach id " + std::to_string(occupant.link_id)
                                    : "ip link set dev " + interface.name + " xdp off";
    return {ErrorKind::host_not_ready,
            "interface " + interface.name + " carries the XDP program '" + occupant.program_name + "' (id " +
                std::to_string(occupant.program_id) + ", " + name_of(occupant) +
                ") already; if it is not needed: " + release,
            EBUSY};
}

/// Asks the driver once more, by netlink, because bpf(2) does not pass its words on. Should it now agree, it
/// is undone.
std::string ask_driver(const Program& program, u32 ifindex)
{
    auto socket = NetlinkSocket::open();
    if (!socket) return {};
    auto set = [&](int fd, u32 flags) {
        NetlinkMessage message(RTM_SETLINK, NLM_F_ACK);
        message.body(ifinfomsg{.ifi_index = static_cast<int>(ifindex)});
        const std::size_t nested = message.open_nested(IFLA_XDP);
        message.attribute(IFLA_XDP_FD, &fd, sizeof(fd)).attribute(IFLA_XDP_FLAGS, flags);
        if (fd < 0) {
            // Only what was just attached may be taken off again.
            const int expected = program.fd();
            message.attribute(IFLA_XDP_EXPECTED_FD, &expected, sizeof(expected));
        }
        message.close_nested(nested);
        return socket->request(message);
    };
    auto answer = set(program.fd(), XDP_FLAGS_DRV_MODE | XDP_FLAGS_UPDATE_IF_NOEXIST);
    if (!answer) return answer.error().message;
    (void)set(-1, XDP_FLAGS_DRV_MODE | XDP_FLAGS_REPLACE);
    return {};
}

bool mentions(const std::string& text, std::initializer_list<const char*> words)
{
    return std::any_of(words.begin(), words.end(),
                       [&](const char* word) { return text.find(word) != std::string::npos; });
}

/// The other end of a pair, where it is in this network namespace.
std::string peer_of(const Interface& interface)
{
    auto peer = interface.peer != 0 ? interface_by_index(interface.peer) : sys_fail("", ENODEV);
    return peer ? peer->name : "PEER, the other end of the pair";
}

/// What native XDP wants of queues: on a pair one for each that the other end sends with, on hardware room
/// for as many again to transmit.
std::string mend_queues(const Interface& interface)
{
    const Channels channels = channels_of(interface.name);
    if (interface.kind == "veth")
        return "ethtool -L " + peer_of(interface) + " tx " + std::to_string(channels.receive);
    const std::string half = channels.combined_max < 2 ? "N" : std::to_string(channels.combined_max / 2);
    return "ethtool -L " + interface.name + " combined " + half;
}

/// The command that mends the common causes; drivers say them in words of their own.
std::string mend(const Interface& interface, const std::string& reason, int sys_errno)
{
    const std::string& name = interface.name;
    if (mentions(reason, {"Peer MTU", "peer MTU"}))
        return "ip link set dev " + peer_of(interface) + " mtu 1500";
    if (mentions(reason, {"MTU", "mtu"})) return "ip link set dev " + name + " mtu 1500";
    if (mentions(reason, {"GRO-HW", "HW GRO", "HW-GRO"})) return "ethtool -K " + name + " rx-gro-hw off";
    if (mentions(reason, {"LRO", "lro"})) return "ethtool -K " + name + " lro off";
    if (mentions(reason, {"queue", "channel", "ring"})) return mend_queues(interface);
    if (sys_errno == EOPNOTSUPP) return "this driver has no native XDP: use \"xdp-mode\": \"generic\"";
    if (sys_errno == EINVAL && interface.mtu > 1500) return "ip link set dev " + name + " mtu 1500";
    return "see dmesg, or use \"xdp-mode\": \"generic\"";
}

/// "interface eth0 (driver ixgbe) refuses native XDP: ...: ethtool -K eth0 lro off".
Error refused(const Interface& interface, const Program& program, const Error& error)
{
    std::string reason = ask_driver(program, interface.index);
    if (reason.empty()) reason = error.message;
    const std::string driver = interface.driver.empty() ? "no driver" : "driver " + interface.driver;
    return {ErrorKind::host_not_ready,
            "interface " + interface.name + " (" + driver + ") refuses native XDP: " + reason +
                "; to mend it: " + mend(interface, reason, error.sys_errno),
            error.sys_errno};
}

/// Errors that another mode would not mend.
bool final(int sys_errno) { return sys_errno == EPERM || sys_errno == EBUSY || sys_errno == EEXIST; }

} // namespace

Result<std::optional<XdpOccupant>> xdp_occupant(u32 ifindex)
{
    auto socket = NetlinkSocket::open();
    if (!socket) return std::unexpected(socket.error());
    NetlinkMessage message(RTM_GETLINK, NLM_F_ACK);
    message.body(ifinfomsg{.ifi_index = static_cast<int>(ifindex)});
    std::optional<XdpOccupant> occupant;
    auto asked = socket->request(message, [&](u16 type, std::span<const u8> payload) {
        if (type != RTM_NEWLINK) return;
        for_each_attribute(payload.subspan(std::min(sizeof(ifinfomsg), payload.size())),
                           [&](u16 attribute, std::span<const u8> value) {
                               if (attribute == IFLA_XDP) occupant = parse_xdp(value);
                           });
    });
    if (!asked) return context(asked.error(), "reading the XDP hook of interface " + std::to_string(ifindex));
    if (!occupant) return occupant;
    if (auto program = Program::open_id(occupant->program_id)) occupant->program_name = program->name();
    occupant->link_id = find_link(ifindex, occupant->program_id);
    return occupant;
}

Result<XdpAttachment> attach_xdp(const Program& program, u32 ifindex, XdpMode mode)
{
    auto interface = interface_by_index(ifindex);
    if (!interface) return std::unexpected(interface.error());
    auto occupant = xdp_occupant(ifindex);
    if (!occupant) return std::unexpected(occupant.error());
    if (*occupant) return std::unexpected(occupied(*interface, **occupant));

    auto attach = [&](u32 flags) {
        return Link::create(program, ifindex, bpf::AttachType::xdp, flags,
                            "attaching XDP program '" + program.name() + "' to interface " + interface->name);
    };
    std::string why_generic;
    if (mode != XdpMode::generic) {
        auto link = attach(XDP_FLAGS_DRV_MODE);
        if (link) return XdpAttachment{std::move(*link), XdpMode::native, {}};
        if (final(link.error().sys_errno)) return std::unexpected(link.error());
        Error error = refused(*interface, program, link.error());
        if (mode == XdpMode::native) return std::unexpected(std::move(error));
        why_generic = std::move(error.message);
    }
    auto link = attach(XDP_FLAGS_SKB_MODE);
    if (!link) return std::unexpected(link.error());
    return XdpAttachment{std::move(*link), XdpMode::generic, std::move(why_generic)};
}

} // namespace lb::kernel
