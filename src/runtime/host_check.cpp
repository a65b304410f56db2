#include "runtime/host_check.hpp"

#include <unistd.h>

#include <algorithm>

#include "kernel/bpffs.hpp"
#include "kernel/features.hpp"
#include "kernel/interfaces.hpp"
#include "kernel/link.hpp"
#include "kernel/routes.hpp"
#include "kernel/sysctl.hpp"
#include "runtime/attachments.hpp"
#include "runtime/carriers.hpp"
#include "runtime/host_settings.hpp"
#include "runtime/inside.hpp"

namespace lb::runtime {
namespace {

class HostCheck {
public:
    explicit HostCheck(const model::Plan& plan) : plan_(plan) {}
    Result<std::vector<Finding>> run();

private:
    void error(std::string text) { findings_.push_back({Finding::Weight::error, std::move(text)}); }
    void warn(std::string text) { findings_.push_back({Finding::Weight::warning, std::move(text)}); }
    void note(std::string text) { findings_.push_back({Finding::Weight::note, std::move(text)}); }

    void check_kernel();
    void check_interface(const std::string& name, bool ingress);
    void check_xdp(const kernel::Interface& interface);
    Result<void> check_targets();
    Result<void> check_way(const model::PlanTarget& target, const kernel::Route& route);
    Result<void> check_ways_back();
    Result<void> check_inside();
    Result<void> check_settings();
    void check_reverse_path(const std::string& name);
    bool translates(u32 ifindex) const { return std::ranges::find(egress_, ifindex) != egress_.end(); }

    const model::Plan& plan_;
    std::vector<Finding> findings_ = {};
    std::vector<u32> egress_ = {}; // indices of the interfaces where replies are translated
};

void HostCheck::check_kernel()
{
    const auto release = kernel::kernel_release();
    if (!release) return error(release.error().message);
    if (const auto features = KernelFeatures::from_version(*release); !features)
        error(features.error().message);
    if (::geteuid() != 0) warn("not root: lb run needs root, or CAP_BPF and CAP_NET_ADMIN");
}

void HostCheck::check_interface(const std::string& name, bool ingress)
{
    const auto found = kernel::interface_by_name(name);
    if (!found) return error(found.error().message);
    if (!found->ethernet())
        return error("interface " + name + " has no Ethernet frames, which the programs read");
    egress_.push_back(found->index);
    if (!found->up()) warn("interface " + name + " is down: ip link set " + name + " up");
    if (!ingress) return;
    check_xdp(*found);
    if (found->kind == "veth")
        note("interface " + name +
             " is a veth: the other end has to compute its checksums itself, as packets "
             "from a wire have them: ethtool -K <its name> tx off");
}

void HostCheck::check_xdp(const kernel::Interface& interface)
{
    const auto occupant = kernel::xdp_occupant(interface.index);
    if (!occupant) return warn(interface.name + ": " + occupant.error().message);
    if (!*occupant) return;
    const auto pins = kernel::PinFolder::at(plan_.instance);
    if (const auto link = kernel::Link::open_pinned(pins.path_of(xdp_pin(interface.index))))
        if (const auto info = link->info(); info && info->program_id == (*occupant)->program_id)
            return note(interface.name + ": instance " + plan_.instance + " is attached there already");
    error(interface.name + ": XDP program '" + (*occupant)->program_name + "' (id " +
          std::to_string((*occupant)->program_id) + ") is attached there already");
}

Result<void> HostCheck::check_targets()
{
    for (const auto& target : plan_.targets) {
        if (target.endpoint.ip.is_loopback()) continue;
        const auto route = kernel::route_to(target.endpoint.ip);
        if (!route) return std::unexpected(route.error());
        if (!*route)
            error("target " + target.endpoint.text() + ": this host has no route to it");
        else if (auto done = check_way(target, **route); !done)
            return done;
    }
    return {};
}

// What only lb itself can send goes by few devices; the rest is the kernel's where it has to be.
Result<void> HostCheck::check_way(const model::PlanTarget& target, const kernel::Route& route)
{
    const auto proxy = std::ranges::find(plan_.proxies, target.proxy, &model::PlanProxy::id);
    if (proxy->mode != model::ForwardingMode::dsr_l2) return {};
    if (route.gateway)
        error("target " + target.endpoint.text() +
              ": dsr-l2 needs it on this host's own link, and it is behind " + route.gateway->text() +
              "; dsr-ipip and dsr-gue reach it");
    const auto interface = kernel::interface_by_index(route.ifindex);
    if (!interface) return std::unexpected(interface.error());
    if (!can_send(*interface, plan_.settings.xdp_mode == model::XdpMode::generic))
        warn("target " + target.endpoint.text() + ": XDP cannot send by " + interface->name +
             " as it is now, and dsr-l2 has no other way");
    return {};
}

// A client may be anywhere, so its replies may leave by the default route.
Result<void> HostCheck::check_ways_back()
{
    if (!plan_.has(model::ForwardingMode::nat)) return {};
    const auto ways = kernel::default_route_interfaces();
    if (!ways) return std::unexpected(ways.error());
    for (const u32 index : *ways) {
        if (translates(index)) continue;
        const auto interface = kernel::interface_by_index(index);
        const std::string name = interface ? interface->name : "#" + std::to_string(index);
        warn("the default route leaves by " + name +
             ", where replies are not translated: clients behind it "
             "need it in \"egress-interfaces\"");
        for (const auto& listener : plan_.interfaces) check_reverse_path(listener);
    }
    return {};
}

// Where replies are translated as they arrive.
Result<void> HostCheck::check_inside()
{
    const auto inside = inside_interfaces(plan_);
    if (!inside) return std::unexpected(inside.error());
    for (const auto& each : *inside) {
        note("targets answer by " + each.name +
             ": lb run attaches a program there as well. Targets on this machine (veths, containers) have to "
             "compute their checksums themselves then: ethtool -K <the target's interface> tx off");
        check_xdp(each);
    }
    return {};
}

// RFC 3704 strict mode: a packet whose sender is routed by another interface is dropped.
void HostCheck::check_reverse_path(const std::string& name)
{
    const auto all = kernel::read_sysctl("net/ipv4/conf/all/rp_filter");
    const auto own = kernel::read_sysctl("net/ipv4/conf/" + name + "/rp_filter");
    if (!all || !own || std::max(*all, *own) != "1") return; // the larger of the two counts
    warn("net.ipv4.conf." + name + ".rp_filter is strict: packets on " + name +
         " from clients that are routed by another interface are dropped; 2 is loose");
}

Result<void> HostCheck::check_settings()
{
    const auto own = kernel::host_addresses();
    if (!own) return std::unexpected(own.error());
    const auto needed = needed_settings(plan_, *own);
    if (!needed) {
        error(needed.error().message);
        return {};
    }
    for (const auto& [name, value] : *needed) {
        const auto now = kernel::read_sysctl(name);
        if (!now)
            error(name + ": " + now.error().message);
        else if (*now != value)
            note(name + " is " + *now + ": lb run sets it to " + value + " and puts it back at its end");
    }
    return {};
}

Result<std::vector<Finding>> HostCheck::run()
{
    check_kernel();
    for (const auto& name : plan_.egress_interfaces)
        check_interface(name, std::ranges::find(plan_.interfaces, name) != plan_.interfaces.end());
    for (const auto& step : {&HostCheck::check_targets, &HostCheck::check_ways_back, &HostCheck::check_inside,
                             &HostCheck::check_settings})
        if (const auto done = (this->*step)(); !done) return std::unexpected(done.error());
    return findings_;
}

} // namespace

Result<std::vector<Finding>> check_host(const model::Plan& plan) { return HostCheck(plan).run(); }

} // namespace lb::runtime
