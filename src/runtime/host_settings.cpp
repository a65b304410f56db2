#include "runtime/host_settings.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>
#include <thread>

#include "kernel/lock.hpp"
#include "kernel/network_namespace.hpp"
#include "kernel/sysctl.hpp"
#include "runtime/inside.hpp"
#include "runtime/record_file.hpp"
#include "runtime/reserved_ports.hpp"

namespace lb::runtime {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;

struct ChangedSetting {
    std::string before = {}; ///< what to put back
    std::string after = {};  ///< what lb set
    std::set<std::string> users = {};
};
using Record = std::map<std::string, ChangedSetting>; ///< by name under /proc/sys

// The settings are those of a network namespace, and go with it. The dot keeps the name apart from those of
// instances.
std::string record_file()
{
    return std::string(records_folder) + "/.host-settings-" + std::to_string(kernel::network_namespace_id()) +
           ".json";
}

Result<Record> load(const std::string& path)
{
    const auto content = read_record(path);
    if (!content) return std::unexpected(content.error());
    Record record;
    if (!*content) return record;
    try {
        for (const auto& [name, value] : (*content)->as_object()) {
            auto& setting = record[std::string(name)];
            setting.before = value.at("before").as_string();
            setting.after = value.at("after").as_string();
            for (const auto& user : value.at("users").as_array()) setting.users.emplace(user.as_string());
        }
    } catch (const std::exception& error) {
        return unreadable_record(path, error.what());
    }
    return record;
}

Result<void> save(const std::string& path, const Record& record)
{
    if (record.empty()) return remove_record(path);
    json::object content;
    for (const auto& [name, setting] : record)
        content[name] = json::object{{"before", setting.before},
                                     {"after", setting.after},
                                     {"users", json::array(setting.users.begin(), setting.users.end())}};
    return write_record(path, content);
}

// Another instance holds it for some milliseconds only.
Result<kernel::InstanceLock> lock_records()
{
    constexpr std::chrono::milliseconds patience = 5s, pause = 20ms;
    for (auto waited = 0ms;; waited += pause) {
        auto lock = kernel::InstanceLock::acquire(std::string(records_folder) + "/.host-settings.lock");
        if (lock || waited >= patience) return lock;
        std::this_thread::sleep_for(pause);
    }
}

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

// This instance needs them no more; what nobody needs goes back.
void give_up(const std::string& instance, Record& record,
             const std::map<std::string, std::string>& still_needed)
{
    for (auto it = record.begin(); it != record.end();) {
        auto& [name, setting] = *it;
        if (still_needed.contains(name) || setting.users.erase(instance) == 0 || !setting.users.empty()) {
            ++it;
            continue;
        }
        restore(name, setting);
        it = record.erase(it);
    }
}

Result<void> set_one(const std::string& instance, Record& record, const std::string& path,
                     const std::string& name, const std::string& value)
{
    const auto now = kernel::read_sysctl(name);
    if (!now) return context(now.error(), "a host setting that the targets need");
    const auto known = record.find(name);
    if (*now == value && known == record.end()) return {}; // it was so before any of us came
    if (*now == value) {
        known->second.users.insert(instance);
        return save(path, record);
    }
    // A record that says otherwise is out of date: somebody has changed it since. Where it is right, this
    // instance adds to what another one has set.
    const bool added = known != record.end() && *now == known->second.after;
    auto users = known == record.end() ? std::set<std::string>{} : known->second.users;
    users.insert(instance);
    record[name] = {.before = added ? known->second.before : *now, .after = value, .users = std::move(users)};
    if (auto saved = save(path, record); !saved) return saved;
    if (auto set = kernel::set_sysctl(name, value); !set)
        return context(set.error(), "a host setting that the targets need");
    spdlog::info("{} set to {} (was {}); put back at exit", name, value, *now);
    return {};
}

} // namespace

namespace {

constexpr const char* forwarding4 = "net/ipv4/ip_forward";
constexpr const char* forwarding6 = "net/ipv6/conf/all/forwarding";

// What has lb's own address as its source comes to the kernel as if it had arrived.
Result<void> need_own_packets(const model::Plan& plan, std::map<std::string, std::string>& needed)
{
    if (!plan.has_dsr() && !plan.has_full_nat()) return {};
    if (plan.has(model::Family::ipv4)) needed[forwarding4] = "1";
    if (plan.has(model::Family::ipv6)) needed[forwarding6] = "1";
    const auto need = [&](const std::string& name) {
        needed["net/ipv4/conf/" + name + "/accept_local"] = "1";
        if (needs_loose_reverse_path(name)) needed[reverse_path_setting(name)] = "2";
    };
    for (const auto& name : plan.interfaces)
        if (name != "lo") need(name);
    if (!plan.has_full_nat()) return {};
    const auto inside = inside_interfaces(plan);
    if (!inside) return std::unexpected(inside.error());
    for (const auto& each : *inside) need(each.name);
    return {};
}

} // namespace

std::string reverse_path_setting(const std::string& interface)
{
    return "net/ipv4/conf/" + interface + "/rp_filter";
}

bool needs_loose_reverse_path(const std::string& interface)
{
    const auto all = kernel::read_sysctl(reverse_path_setting("all"));
    const auto own = kernel::read_sysctl(reverse_path_setting(interface));
    return all && own && *all != "2" && (*all != "0" || *own != "0");
}

Result<std::map<std::string, std::string>> needed_settings(const model::Plan& plan,
                                                           std::span<const kernel::HostAddress> own)
{
    std::map<std::string, std::string> needed;
    if (plan.loopback_targets)
        for (const auto& name : plan.interfaces)
            if (name != "lo") needed["net/ipv4/conf/" + name + "/route_localnet"] = "1";
    const auto elsewhere = [&](const model::PlanTarget& target) {
        return !target.endpoint.ip.is_loopback() && std::ranges::none_of(own, [&](const auto& each) {
            return each.address == target.endpoint.ip;
        });
    };
    for (const auto& target : plan.targets)
        if (elsewhere(target)) needed[target.endpoint.ip.is_v6() ? forwarding6 : forwarding4] = "1";
    if (auto done = need_own_packets(plan, needed); !done) return std::unexpected(done.error());
    const auto reserved = needed_reserved_ports(plan, own);
    if (!reserved) return std::unexpected(reserved.error());
    if (*reserved) needed[reserved_ports_setting] = **reserved;
    return needed;
}

Result<void> apply_settings(const std::string& instance, const std::map<std::string, std::string>& needed,
                            Outdated outdated)
{
    const std::string path = record_file();
    const auto lock = lock_records();
    if (!lock) return std::unexpected(lock.error());
    auto record = load(path);
    if (!record) return std::unexpected(record.error());
    if (outdated == Outdated::give_up) give_up(instance, *record, needed);
    for (const auto& [name, value] : needed)
        if (auto set = set_one(instance, *record, path, name, value); !set) return set;
    return save(path, *record);
}

} // namespace lb::runtime
