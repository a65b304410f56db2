#include "runtime/attachments.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "kernel/clsact.hpp"

namespace lb::runtime {
namespace {

// Pins are named by role and interface index: "xdp-3", "tcx-3"; a clsact filter's program is pinned as
// "tc-3".
constexpr std::string_view xdp_role = "xdp", tcx_role = "tcx", filter_role = "tc";

std::string pin_of(std::string_view role, u32 ifindex)
{
    return std::string(role) + "-" + std::to_string(ifindex);
}

std::optional<u32> ifindex_of(const std::string& pin, std::string_view role)
{
    if (!pin.starts_with(std::string(role) + "-")) return std::nullopt;
    u32 index = 0;
    const char* end = pin.data() + pin.size();
    const auto parsed = std::from_chars(pin.data() + role.size() + 1, end, index);
    return parsed.ec == std::errc{} && parsed.ptr == end ? std::optional(index) : std::nullopt;
}

kernel::FilterId filter_id() { return {.direction = kernel::TcDirection::egress, .name = "lb_egress"}; }

Result<void> detach_pinned_link(const kernel::PinFolder& pins, const std::string& name)
{
    if (auto link = kernel::Link::open_pinned(pins.path_of(name)))
        if (auto done = link->detach(); !done) spdlog::debug("detaching {}: {}", name, done.error().message);
    if (auto removed = pins.remove(name); !removed) return std::unexpected(removed.error());
    return {};
}

// One run's attaching: remembers what it attached anew and what it replaced, so that a failure half-way
// leaves things as they were.
class Attacher {
public:
    Attacher(const std::string& instance, State& state, const kernel::PinFolder& pins)
        : instance_(instance),
          state_(state),
          pins_(pins)
    {}

    Result<void> xdp(const kernel::Interface& on, const kernel::Program& program, model::XdpMode mode);
    Result<void> inside(const AttachPlan& plan, const kernel::Interface& on, const kernel::Program& program);
    Result<void> tcx(const kernel::Interface& on, const kernel::Program& program);
    Result<void> filter(const kernel::Interface& on, const kernel::Program& program);
    /// Takes off what earlier runs left on interfaces that this one did not touch.
    Result<void> remove_others();
    void roll_back();

private:
    Result<bool> replace(const std::string& pin, u32 ifindex, const kernel::Program& program);
    Result<void> pin_fresh(const kernel::Link& link, const std::string& pin);

    const std::string& instance_;
    State& state_;
    const kernel::PinFolder& pins_;
    std::set<std::string> kept_ = {};
    std::vector<std::string> fresh_ = {};
    std::vector<std::pair<std::string, kernel::Program>> replaced_ =
        {}; ///< pins, and what was in their links
};

// Puts the program into the link that an earlier run pinned. False: there is none that fits.
Result<bool> Attacher::replace(const std::string& pin, u32 ifindex, const kernel::Program& program)
{
    if (!pins_.has(pin)) return false;
    auto link = kernel::Link::open_pinned(pins_.path_of(pin));
    if (link) {
        const auto info = link->info();
        // Held open while another may yet fail: it comes back then.
        auto before = info ? kernel::Program::open_id(info->program_id) : kernel::Program{};
        if (info && info->ifindex == ifindex && link->update(program)) {
            kept_.insert(pin);
            if (before) replaced_.emplace_back(pin, std::move(*before));
            return true;
        }
    }
    if (auto removed = detach_pinned_link(pins_, pin); !removed) return std::unexpected(removed.error());
    return false;
}

Result<void> Attacher::pin_fresh(const kernel::Link& link, const std::string& pin)
{
    if (auto pinned = link.pin(pins_.path_of(pin)); !pinned) return pinned;
    kept_.insert(pin);
    fresh_.push_back(pin);
    return {};
}

bool same_mode(model::XdpMode wanted, kernel::XdpMode have)
{
    return wanted == model::XdpMode::automatic ||
           (wanted == model::XdpMode::native) == (have == kernel::XdpMode::native);
}

Result<void> Attacher::xdp(const kernel::Interface& on, const kernel::Program& program, model::XdpMode mode)
{
    const std::string pin = xdp_pin(on.index);
    if (const auto occupant = kernel::xdp_occupant(on.index);
        occupant && *occupant && !same_mode(mode, (*occupant)->mode))
        if (auto removed = detach_pinned_link(pins_, pin); !removed) return removed;
    const auto replaced = replace(pin, on.index, program);
    if (!replaced) return std::unexpected(replaced.error());
    if (*replaced) {
        spdlog::info("{}: XDP program of an earlier run replaced in place", on.name);
        return {};
    }
    const auto kernel_mode = mode == model::XdpMode::automatic ? kernel::XdpMode::automatic
                             : mode == model::XdpMode::native  ? kernel::XdpMode::native
                                                               : kernel::XdpMode::generic;
    auto attached = kernel::attach_xdp(program, on.index, kernel_mode);
    if (!attached) return std::unexpected(attached.error());
    const bool native = attached->mode == kernel::XdpMode::native;
    spdlog::info("{}: XDP attached, {}{}", on.name, native ? "native" : "generic",
                 attached->why_generic.empty() ? "" : " because " + attached->why_generic);
    return pin_fresh(attached->link, pin);
}

// The host chose the interface by its routes, so it has to do in whatever mode it can.
Result<void> Attacher::inside(const AttachPlan& plan, const kernel::Interface& on,
                              const kernel::Program& program)
{
    const auto mode = plan.xdp_mode == model::XdpMode::generic ? plan.xdp_mode : model::XdpMode::automatic;
    auto done = xdp(on, program, mode);
    if (done) return done;
    if (plan.needs_inside) return context(done.error(), "attaching to " + on.name + ", where targets answer");
    spdlog::warn("replies that arrive by {} take the kernel's way: {}", on.name, done.error().message);
    return {};
}

Result<void> Attacher::tcx(const kernel::Interface& on, const kernel::Program& program)
{
    const std::string pin = pin_of(tcx_role, on.index);
    const auto replaced = replace(pin, on.index, program);
    if (!replaced) return std::unexpected(replaced.error());
    if (*replaced) return {};
    auto link = kernel::attach_tcx(program, on.index, bpf::AttachType::tcx_egress);
    if (!link) return std::unexpected(link.error());
    spdlog::info("{}: TC egress attached by TCX", on.name);
    return pin_fresh(*link, pin);
}

Result<void> Attacher::filter(const kernel::Interface& on, const kernel::Program& program)
{
    const auto has = kernel::has_clsact(on.index);
    if (!has) return std::unexpected(has.error());
    if (!*has) {
        state_.clsact_made.push_back(on.index);
        if (auto saved = save_state(instance_, state_); !saved) return saved;
        if (auto made = kernel::add_clsact(on.index); !made) return std::unexpected(made.error());
    }
    if (auto set = kernel::set_filter(on.index, filter_id(), program); !set) return set;
    const std::string pin = pin_of(filter_role, on.index);
    const bool before = pins_.has(pin);
    if (auto removed = pins_.remove(pin); !removed) return std::unexpected(removed.error());
    if (auto pinned = program.pin(pins_.path_of(pin)); !pinned) return pinned;
    kept_.insert(pin);
    if (!before) fresh_.push_back(pin);
    spdlog::info("{}: TC egress attached by a clsact filter", on.name);
    return {};
}

Result<void> remove_one(State& state, const kernel::PinFolder& pins, const std::string& pin)
{
    const auto filter_on = ifindex_of(pin, filter_role);
    if (!filter_on) return detach_pinned_link(pins, pin);
    if (auto removed = kernel::remove_filter(*filter_on, filter_id()); !removed)
        return std::unexpected(removed.error());
    if (std::erase(state.clsact_made, *filter_on) > 0)
        if (auto removed = kernel::remove_clsact_if_empty(*filter_on); !removed)
            return std::unexpected(removed.error());
    if (auto removed = pins.remove(pin); !removed) return std::unexpected(removed.error());
    return {};
}

bool is_attachment(const std::string& pin)
{
    return ifindex_of(pin, xdp_role) || ifindex_of(pin, tcx_role) || ifindex_of(pin, filter_role);
}

Result<void> Attacher::remove_others()
{
    const auto names = pins_.list();
    if (!names) return std::unexpected(names.error());
    for (const auto& name : *names)
        if (is_attachment(name) && !kept_.contains(name))
            if (auto removed = remove_one(state_, pins_, name); !removed) return removed;
    return {};
}

void Attacher::roll_back()
{
    for (const auto& pin : fresh_)
        if (auto removed = remove_one(state_, pins_, pin); !removed)
            spdlog::error("taking {} off again: {}", pin, removed.error().message);
    for (const auto& [pin, before] : replaced_) {
        const auto link = kernel::Link::open_pinned(pins_.path_of(pin));
        if (const auto done = link ? link->update(before) : std::unexpected(link.error()); !done)
            spdlog::error("putting the earlier program of {} back: {}", pin, done.error().message);
    }
}

} // namespace

std::string xdp_pin(u32 ifindex) { return pin_of(xdp_role, ifindex); }

Result<void> attach_all(const std::string& instance, State& state, const kernel::PinFolder& pins,
                        const AttachPlan& plan, const AttachedPrograms& programs,
                        const KernelFeatures& features)
{
    Attacher attacher(instance, state, pins);
    const auto all = [&]() -> Result<void> {
        for (const auto& on : plan.egress)
            if (auto done =
                    features.tcx ? attacher.tcx(on, programs.egress) : attacher.filter(on, programs.egress);
                !done)
                return context(done.error(), "attaching to " + on.name);
        for (const auto& on : plan.inside)
            if (auto done = attacher.inside(plan, on, programs.inside); !done) return done;
        for (const auto& on : plan.ingress)
            if (auto done = attacher.xdp(on, programs.ingress, plan.xdp_mode); !done)
                return context(done.error(), "attaching to " + on.name);
        return attacher.remove_others();
    };
    auto done = all();
    if (!done) attacher.roll_back();
    return done;
}

AttachedMore attach_more(const std::string& instance, State& state, const kernel::PinFolder& pins,
                         const AttachPlan& plan, const kernel::Program& inside)
{
    Attacher attacher(instance, state, pins);
    AttachedMore more;
    for (const auto& on : plan.inside) {
        if (pins.has(xdp_pin(on.index))) continue;
        if (const auto done = attacher.inside(plan, on, inside); !done) {
            spdlog::error("{}", done.error().message);
            more.refused.push_back(on.index);
        } else if (pins.has(xdp_pin(on.index))) {
            more.any = true;
        } else {
            more.refused.push_back(on.index);
        }
    }
    return more;
}

Result<void> detach_all(State& state, const kernel::PinFolder& pins)
{
    const auto names = pins.list();
    if (!names) return std::unexpected(names.error());
    // Ingress first: a connection that still arrives goes to the host, instead of its replies leaving
    // untranslated.
    for (const auto role : {xdp_role, tcx_role, filter_role})
        for (const auto& name : *names)
            if (ifindex_of(name, role))
                if (auto removed = remove_one(state, pins, name); !removed) return removed;
    return {};
}

} // namespace lb::runtime
