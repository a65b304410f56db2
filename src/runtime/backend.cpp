#include "runtime/backend.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio.hpp>
#include <csignal>
#include <filesystem>
#include <optional>
#include <set>

#include "datapath/decap.hpp"
#include "kernel/addresses.hpp"
#include "kernel/features.hpp"
#include "kernel/map_batch.hpp"
#include "kernel/monitor.hpp"
#include "kernel/sysctl.hpp"
#include "model/reason.hpp"
#include "runtime/attachments.hpp"
#include "runtime/balancer.hpp"
#include "runtime/host_settings.hpp"
#include "runtime/instance.hpp"
#include "runtime/own_addresses.hpp"
#include "runtime/record_file.hpp"

namespace lb::runtime {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;

// ---- what is on the host: the VIPs that were put on lo, on record before they are there ----

std::string addresses_file(const std::string& instance) { return run_folder(instance) + "/backend.json"; }

using Addresses = std::set<IpAddress>;

Result<Addresses> load_addresses(const std::string& instance)
{
    const std::string path = addresses_file(instance);
    const auto content = read_record(path);
    if (!content) return std::unexpected(content.error());
    Addresses addresses;
    if (!*content) return addresses;
    try {
        for (const auto& each : (*content)->as_object().at("addresses").as_array()) {
            const auto address = IpAddress::parse(std::string(each.as_string()));
            if (!address) return unreadable_record(path, "an address that is none");
            addresses.insert(*address);
        }
    } catch (const std::exception& error) {
        return unreadable_record(path, error.what());
    }
    return addresses;
}

Result<void> save_addresses(const std::string& instance, const Addresses& addresses)
{
    json::array list;
    for (const auto& each : addresses) list.emplace_back(each.text());
    return write_record(addresses_file(instance), json::object{{"addresses", list}});
}

Result<void> remove_vips(u32 lo, const Addresses& addresses, const Addresses& keep)
{
    for (const auto& each : addresses) {
        if (keep.contains(each)) continue;
        const auto removed = kernel::remove_address(lo, each);
        if (!removed) return std::unexpected(removed.error());
        if (*removed) spdlog::info("{} taken off lo", each.text());
    }
    return {};
}

// Puts the VIPs on lo. Those that are there already and not by an earlier run are somebody else's.
Result<void> place_vips(const std::string& instance, u32 lo, const std::vector<IpAddress>& vips)
{
    auto ours = load_addresses(instance);
    if (!ours) return std::unexpected(ours.error());
    const auto present = kernel::host_addresses();
    if (!present) return std::unexpected(present.error());
    const Addresses before = *ours, wanted(vips.begin(), vips.end());
    for (const auto& vip : vips) {
        const auto there = std::ranges::find(*present, vip, &kernel::HostAddress::address);
        if (there == present->end())
            ours->insert(vip);
        else if (there->ifindex != lo)
            return fail(ErrorKind::host_not_ready,
                        "--vip " + vip.text() +
                            " is an address of another interface of this host: others "
                            "would learn by ARP that it is here");
    }
    if (auto saved = save_addresses(instance, *ours); !saved) return saved;
    for (const auto& vip : vips) {
        const auto added = kernel::add_address(lo, vip);
        if (!added) return std::unexpected(added.error());
        if (*added) spdlog::info("{} put on lo", vip.text());
    }
    if (auto removed = remove_vips(lo, before, wanted); !removed) return removed;
    std::erase_if(*ours, [&](const IpAddress& each) { return !wanted.contains(each); });
    return save_addresses(instance, *ours);
}

// ---- host settings ----

// The larger of `all` and the interface's own counts, so what `all` brings needs nothing of ours.
Result<void> need_at_least(std::map<std::string, std::string>& needed, const std::string& interface,
                           const std::string& setting, const std::string& value)
{
    const std::string own = "net/ipv4/conf/" + interface + "/" + setting;
    const auto all = kernel::read_sysctl("net/ipv4/conf/all/" + setting);
    const auto now = kernel::read_sysctl(own);
    if (!all) return std::unexpected(all.error());
    if (!now) return std::unexpected(now.error());
    if (*all >= value || *now > value) return {}; // one digit each
    needed[own] = value;
    return {};
}

Result<std::map<std::string, std::string>> settings_of(const model::Backend& backend)
{
    std::map<std::string, std::string> needed;
    const bool ipv4 = std::ranges::any_of(backend.vips, [](const IpAddress& each) { return each.is_v4(); });
    if (!ipv4) return needed; // IPv6 answers solicitations on the address's own interface only
    for (const auto& name : backend.interfaces) {
        // An address of lo is not answered for on other interfaces, nor named as the sender of a question.
        if (auto done = need_at_least(needed, name, "arp_ignore", "1"); !done)
            return std::unexpected(done.error());
        if (auto done = need_at_least(needed, name, "arp_announce", "2"); !done)
            return std::unexpected(done.error());
        // Clients may be routed by another interface. Where nothing is checked, nothing is needed.
        if (needs_loose_reverse_path(name)) needed[reverse_path_setting(name)] = "2";
    }
    return needed;
}

// ---- a running backend ----

/// The maps and programs of one backend, and what goes on while it runs.
class Running {
public:
    static Result<Running> start(const model::Backend& backend, State& state, const kernel::PinFolder& pins);
    int monitor_fd() const { return monitor_.fd(); }
    Result<void> follow_addresses();
    /// Logs how many packets left by which reason.
    Result<void> log_exits() const;

private:
    explicit Running(kernel::HostMonitor monitor) : monitor_(std::move(monitor)) {}
    Result<void> load_and_attach(const model::Backend& backend, State& state, const kernel::PinFolder& pins);

    kernel::HostMonitor monitor_;
    std::map<std::string, kernel::Map> maps_ = {};
};

Result<Running> Running::start(const model::Backend& backend, State& state, const kernel::PinFolder& pins)
{
    // The monitor is there before addresses are listed, so that no change falls between the two.
    auto monitor = kernel::HostMonitor::open();
    if (!monitor) return std::unexpected(monitor.error());
    Running running(std::move(*monitor));
    if (auto done = running.load_and_attach(backend, state, pins); !done)
        return std::unexpected(done.error());
    return running;
}

Result<void> Running::load_and_attach(const model::Backend& backend, State& state,
                                      const kernel::PinFolder& pins)
{
    const datapath::BackendMaps maps;
    kernel::Resolver resolver;
    for (const auto* spec : maps.all()) {
        auto map = kernel::Map::create(*spec);
        if (!map) return std::unexpected(map.error());
        resolver.maps[spec->name] = map->fd();
        maps_[spec->name] = std::move(*map);
    }
    if (auto done = follow_addresses(); !done) return done;
    const auto features = kernel::probe_features();
    if (!features) return std::unexpected(features.error());
    AttachPlan attach;
    auto ingress = find_interfaces(backend.interfaces);
    if (!ingress) return std::unexpected(ingress.error());
    auto further = find_interfaces(backend.egress_interfaces);
    if (!further) return std::unexpected(further.error());
    u32 mtu = ~0u;
    for (const auto& each : *ingress) mtu = std::min(mtu, each.mtu);
    const auto limits = model::mss_limits(backend, mtu);
    if (!limits) return std::unexpected(limits.error());

    kernel::Program decap, clamp;
    if (backend.tunnel != model::Tunnel::l2) {
        auto loaded = load_program(datapath::make_decap(backend, maps, *features), resolver);
        if (!loaded) return std::unexpected(loaded.error());
        decap = std::move(*loaded);
        attach.ingress = *ingress;
    }
    if (*limits) {
        auto loaded = load_program(datapath::make_mss_clamp(backend, **limits, maps, *features), resolver);
        if (!loaded) return std::unexpected(loaded.error());
        clamp = std::move(*loaded);
        attach.egress = std::move(*ingress);
        for (auto& each : *further) attach.egress.push_back(std::move(each));
        spdlog::info("MSS offered to clients: at most {} by IPv4, {} by IPv6", (*limits)->ipv4,
                     (*limits)->ipv6);
    }
    if (auto done = attach_all(backend.instance, state, pins, attach, {decap, clamp, {}}, *features); !done)
        return done;
    for (const auto& [name, map] : maps_) {
        if (auto removed = pins.remove(name); !removed) return std::unexpected(removed.error());
        if (auto pinned = map.pin(pins.path_of(name)); !pinned) return pinned;
    }
    return save_state(backend.instance, state);
}

Result<void> Running::follow_addresses()
{
    if (auto events = monitor_.read(); !events) return std::unexpected(events.error());
    const auto own = kernel::host_addresses();
    if (!own) return std::unexpected(own.error());
    return write_own_addresses(&maps_.at("own4"), &maps_.at("own6"), *own, false);
}

Result<void> Running::log_exits() const
{
    std::string text;
    for (const auto& reason : model::reasons) {
        if (reason.role != model::Role::backend) continue;
        const auto counts = maps_.at("exits").lookup_percpu<u32, u64>(static_cast<u32>(reason.reason));
        if (!counts) return std::unexpected(counts.error());
        u64 sum = 0;
        for (const u64 each : *counts) sum += each;
        if (sum > 0) text += fmt::format(" {}={}", reason.name, sum);
    }
    spdlog::info("exits:{}", text);
    return {};
}

Result<void> put_back(const std::string& instance, State& state)
{
    const auto pins = kernel::PinFolder::at(instance);
    // VIPs first: without them the host takes no packet of the tunnel for its own, whatever comes.
    const auto lo = kernel::interface_by_name("lo");
    if (!lo) return std::unexpected(lo.error());
    const auto addresses = load_addresses(instance);
    if (!addresses) return std::unexpected(addresses.error());
    if (auto done = remove_vips(lo->index, *addresses, {}); !done) return done;
    if (auto done = remove_record(addresses_file(instance)); !done) return done;
    if (auto done = detach_all(state, pins); !done) return done;
    if (auto done = apply_settings(instance, {}, Outdated::give_up); !done) return done;
    if (auto done = pins.remove_all(); !done) return done;
    if (state.bpffs_mounted)
        if (const auto unmounted = kernel::unmount_bpffs_if_empty(); !unmounted)
            return std::unexpected(unmounted.error());
    return remove_state(instance);
}

Result<void> serve(Running& running)
{
    asio::io_context io{1};
    asio::signal_set signals(io, SIGTERM, SIGINT, detach_signal);
    signals.async_wait([&](const boost::system::error_code&, int number) {
        spdlog::info("ending on signal {}", number);
        io.stop();
    });
    asio::posix::stream_descriptor addresses(io, running.monitor_fd());
    std::function<void()> wait = [&] {
        addresses.async_wait(
            asio::posix::stream_descriptor::wait_read, [&](const boost::system::error_code& error) {
                if (error) return;
                if (auto done = running.follow_addresses(); !done)
                    spdlog::error("following the host's addresses: {}", done.error().message);
                wait();
            });
    };
    wait();
    spdlog::info("ready");
    io.run();
    addresses.release(); // the monitor owns the fd
    return running.log_exits();
}

// Settings come before the VIPs: from its first moment on lo, nobody may learn by ARP that a VIP is here.
Result<Running> bring_up(const model::Backend& backend, State& state)
{
    if (auto mounted = mount_bpffs(state); !mounted) return std::unexpected(mounted.error());
    const auto pins = kernel::PinFolder::create(backend.instance);
    if (!pins) return std::unexpected(pins.error());
    if (auto saved = save_state(backend.instance, state); !saved) return std::unexpected(saved.error());
    // The record is what tells a backend from a balancer, so it is there from the first change on.
    auto earlier = load_addresses(backend.instance);
    if (!earlier) return std::unexpected(earlier.error());
    if (auto saved = save_addresses(backend.instance, *earlier); !saved)
        return std::unexpected(saved.error());
    if (auto found = find_interfaces(backend.interfaces); !found) return std::unexpected(found.error());
    const auto needed = settings_of(backend);
    if (!needed) return std::unexpected(needed.error());
    if (auto done = apply_settings(backend.instance, *needed, Outdated::give_up); !done)
        return std::unexpected(done.error());
    const auto lo = kernel::interface_by_name("lo");
    if (!lo) return std::unexpected(lo.error());
    if (!lo->up()) spdlog::warn("interface lo is down: nothing reaches a VIP there: ip link set lo up");
    if (auto done = place_vips(backend.instance, lo->index, backend.vips); !done)
        return std::unexpected(done.error());
    return Running::start(backend, state, *pins);
}

} // namespace

bool is_backend(const std::string& instance) { return std::filesystem::exists(addresses_file(instance)); }

Result<void> run_backend(const model::Backend& backend)
{
    if (auto fine = model::check_backend(backend); !fine) return fine;
    const auto held = lock_instance(backend.instance);
    if (!held) return std::unexpected(held.error());
    if (kernel::PinFolder::at(backend.instance).exists() && !is_backend(backend.instance))
        return fail(ErrorKind::usage,
                    "--instance " + backend.instance +
                        " is the name of a balancer here: choose another, or 'lb detach' it");
    auto state = load_state(backend.instance);
    if (!state) return std::unexpected(state.error());
    Result<void> served;
    {
        auto running = bring_up(backend, *state);
        served = running ? serve(*running) : std::unexpected(running.error());
    }
    const auto back = put_back(backend.instance, *state);
    if (!served) {
        if (!back) spdlog::error("{}", back.error().message);
        return served;
    }
    return back;
}

Result<void> detach_backend(const std::string& instance)
{
    if (!is_backend(instance)) {
        spdlog::info("backend {} has nothing on this host", instance);
        return {};
    }
    end_holder(instance);
    const auto held = lock_instance(instance);
    if (!held) return std::unexpected(held.error());
    auto state = load_state(instance);
    if (!state) return std::unexpected(state.error());
    return put_back(instance, *state);
}

} // namespace lb::runtime
