#include "runtime/host_settings.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "kernel/sysctl.hpp"

namespace lb::runtime {
namespace {

// One setting back to what it was. A setting that has another value by now is somebody else's.
void restore(const std::string& name, const ChangedSetting& setting)
{
    const auto now = kernel::read_sysctl(name);
    if (!now) return spdlog::debug("{} is gone: nothing to put back", name);
    if (*now != setting.after)
        return spdlog::warn("{} is {} by now, not {}: left alone", name, *now, setting.after);
    if (auto set = kernel::set_sysctl(name, setting.before); !set)
        return spdlog::error("putting {} back to {}: {}", name, setting.before, set.error().message);
    spdlog::info("{} put back to {}", name, setting.before);
}

} // namespace

std::map<std::string, std::string> needed_settings(const model::Plan& plan,
                                                   std::span<const kernel::HostAddress> own)
{
    std::map<std::string, std::string> needed;
    if (plan.loopback_targets)
        for (const auto& name : plan.interfaces)
            if (name != "lo") needed["net/ipv4/conf/" + name + "/route_localnet"] = "1";
    const bool elsewhere = std::ranges::any_of(plan.targets, [&](const model::PlanTarget& target) {
        return !target.endpoint.ip.is_loopback() && std::ranges::none_of(own, [&](const auto& each) {
            return each.address == target.endpoint.ip;
        });
    });
    if (elsewhere) needed["net/ipv4/ip_forward"] = "1";
    return needed;
}

Result<void> apply_settings(const std::string& instance, State& state,
                            const std::map<std::string, std::string>& needed)
{
    for (auto it = state.settings.begin(); it != state.settings.end();) {
        if (needed.contains(it->first)) {
            ++it;
            continue;
        }
        restore(it->first, it->second);
        it = state.settings.erase(it);
    }
    for (const auto& [name, value] : needed) {
        const auto now = kernel::read_sysctl(name);
        if (!now) return context(now.error(), "a host setting that the targets need");
        if (*now == value) continue;
        // What an earlier run recorded is older than what is there now, and counts.
        state.settings.try_emplace(name, ChangedSetting{.before = *now, .after = value});
        if (auto saved = save_state(instance, state); !saved) return saved;
        if (auto set = kernel::set_sysctl(name, value); !set)
            return context(set.error(), "a host setting that the targets need");
        spdlog::info("{} set to {} (was {}); put back at exit", name, value, *now);
    }
    return save_state(instance, state);
}

Result<void> restore_settings(const std::string& instance, State& state)
{
    for (const auto& [name, setting] : state.settings) restore(name, setting);
    state.settings.clear();
    return save_state(instance, state);
}

} // namespace lb::runtime
