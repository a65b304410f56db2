// The text of `lb backend --print`. Kept apart, as it is about the tools of iproute2 and nothing else.
#include <algorithm>

#include "model/backend.hpp"

namespace lb::model {
namespace {

struct Needs {
    bool ipv4 = false, ipv6 = false;
};

Needs vips_of(const Backend& backend)
{
    Needs needs;
    for (const auto& vip : backend.vips) (vip.is_v6() ? needs.ipv6 : needs.ipv4) = true;
    return needs;
}

// The families of the packets around: those of the senders, where they are known.
Needs outer_of(const Backend& backend)
{
    Needs outer{.ipv4 = backend.senders.empty(), .ipv6 = backend.senders.empty()};
    for (const auto& sender : backend.senders) (sender.address.is_v6() ? outer.ipv6 : outer.ipv4) = true;
    return outer;
}

// Devices that take tunnels from everybody: `external` ones (their parameters would come with routes), and
// for IPv6 in IPv4, which has none of these, the one that the module makes by itself. The receiver of GUE
// hands what was in UDP to the same devices.
std::string tunnel_devices(const Backend& backend)
{
    const Needs outer = outer_of(backend), vips = vips_of(backend);
    std::string text;
    if (backend.tunnel == Tunnel::gue) {
        const std::string port = std::to_string(backend.gue_port);
        if (outer.ipv4) text += "modprobe fou\nip fou add port " + port + " gue\n";
        if (outer.ipv6) text += "modprobe fou6\nip -6 fou add port " + port + " gue\n";
    }
    // Reverse path filtering, the loose one too, refuses what comes by a device without an IPv4 address.
    const auto device = [&](const std::string& name) {
        const auto vip = std::ranges::find_if(backend.vips, [](const auto& one) { return !one.is_v6(); });
        if (vip != backend.vips.end() && name != "sit0")
            text += "ip addr add " + vip->text() + "/32 dev " + name + "\n";
        text += "sysctl -w net.ipv4.conf." + name + ".rp_filter=2\nip link set " + name + " up\n";
    };
    if (outer.ipv4 && vips.ipv4) {
        text += "ip link add lbipip type ipip external\n";
        device("lbipip");
    }
    if (outer.ipv4 && vips.ipv6) {
        text += "modprobe sit\n";
        device("sit0");
    }
    if (outer.ipv6) {
        text += "ip link add lbip6 type ip6tnl external\n";
        device("lbip6");
    }
    return text;
}

std::string arp_settings(const std::string& interface)
{
    return "sysctl -w net.ipv4.conf." + interface + ".arp_ignore=1\nsysctl -w net.ipv4.conf." + interface +
           ".arp_announce=2\n";
}

std::string mss_rules(const Backend& backend, const MssLimits& limits)
{
    std::string text = "nft add table inet lb_backend\n"
                       "nft 'add chain inet lb_backend out { type filter hook output priority mangle; }'\n";
    for (const auto& vip : backend.vips) {
        const auto limit = std::to_string(vip.is_v6() ? limits.ipv6 : limits.ipv4);
        text += std::string("nft add rule inet lb_backend out ") + (vip.is_v6() ? "ip6" : "ip") + " saddr " +
                vip.text() + " 'tcp flags & syn == syn tcp option maxseg size > " + limit +
                " tcp option maxseg size set " + limit + "'\n";
    }
    return text;
}

std::string take_off(const Backend& backend, bool mss)
{
    std::string text = "\n# To take it off again:\n";
    const auto line = [&](const std::string& command) { text += "# " + command + "\n"; };
    if (mss) line("nft delete table inet lb_backend");
    const Needs outer = outer_of(backend);
    if (backend.tunnel != Tunnel::l2) {
        if (outer.ipv4 && vips_of(backend).ipv4) line("ip link del lbipip");
        if (outer.ipv4 && vips_of(backend).ipv6) line("ip link set sit0 down");
        if (outer.ipv6) line("ip link del lbip6");
    }
    if (backend.tunnel == Tunnel::gue && outer.ipv4)
        line("ip fou del port " + std::to_string(backend.gue_port));
    if (backend.tunnel == Tunnel::gue && outer.ipv6)
        line("ip -6 fou del port " + std::to_string(backend.gue_port));
    for (const auto& vip : backend.vips)
        line("ip addr del " + vip.text() + (vip.is_v6() ? "/128" : "/32") + " dev lo");
    return text;
}

} // namespace

std::string tunnel_commands(const Backend& backend, u32 mtu)
{
    const Needs vips = vips_of(backend);
    std::string text = "# Before the VIPs, so that this host never answers ARP for them:\n";
    for (const auto& name : backend.interfaces)
        if (vips.ipv4) text += arp_settings(name);
    for (const auto& name : backend.interfaces)
        if (vips.ipv4 && backend.tunnel == Tunnel::l2)
            text += "sysctl -w net.ipv4.conf." + name + ".rp_filter=2\n";
    for (const auto& vip : backend.vips)
        text += "ip addr add " + vip.text() + (vip.is_v6() ? "/128 dev lo nodad\n" : "/32 dev lo\n");
    if (backend.tunnel != Tunnel::l2) text += tunnel_devices(backend);
    const auto limits = mss_limits(backend, mtu);
    const bool mss = limits && *limits;
    if (mss) text += mss_rules(backend, **limits);
    return text + take_off(backend, mss);
}

} // namespace lb::model
