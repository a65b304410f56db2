#include "model/overrides.hpp"

#include <algorithm>

#include "model/config_rules.hpp"
#include "model/contradictions.hpp"
#include "model/json_text.hpp"

namespace lb::model {
namespace {

constexpr u16 default_port = 80;
const Endpoint default_target = {IpAddress(be32(0x7f000001)), 8080};

std::unexpected<Error> refuse(const std::string& message) { return fail(ErrorKind::usage, message); }

Config from_flags_alone()
{
    ProxyConfig proxy;
    proxy.name = "default";
    proxy.listen.port = default_port;
    proxy.default_targets = {{.endpoint = default_target}};
    Config config;
    config.proxies.push_back(std::move(proxy));
    return config;
}

// What is wrong with the flags themselves; empty: nothing.
std::string flags_problem(const Overrides& flags)
{
    std::vector<std::string> seen;
    for (const std::string& name : flags.interfaces) {
        if (const std::string problem = interface_problem(name); !problem.empty()) {
            return "-i " + quoted(name) + ": " + problem;
        }
        if (std::ranges::find(seen, name) != seen.end()) return "-i " + name + ": the same interface twice";
        seen.push_back(name);
    }
    if (flags.interfaces.size() > interfaces_max) {
        return "-i: " + std::to_string(flags.interfaces.size()) + " interfaces: expected at most 64";
    }
    if (flags.port == 0) return "-p 0: expected an integer 1..65535";
    if (!flags.target) return "";
    if (flags.target->port == 0) return "-t " + flags.target->text() + ": expected a port 1..65535";
    const std::string problem = target_problem(flags.target->ip);
    return problem.empty() ? "" : "-t " + flags.target->text() + ": " + problem;
}

} // namespace

Result<Config> apply_overrides(std::optional<Config> file, const Overrides& flags)
{
    if (const std::string problem = flags_problem(flags); !problem.empty()) return refuse(problem);
    const bool of_one_proxy = !flags.interfaces.empty() || flags.port || flags.target;
    if (!file && flags.interfaces.empty()) {
        return refuse(
            "-i is required without a configuration file: the interface that connections arrive at");
    }
    if (file && of_one_proxy && file->proxies.size() != 1) {
        return refuse("-i, -p and -t change the file's proxy where it has exactly one; this one has " +
                      std::to_string(file->proxies.size()) + ": change the file instead");
    }
    Config config = file ? std::move(*file) : from_flags_alone();
    if (of_one_proxy) {
        ProxyConfig& proxy = config.proxies.front();
        if (!flags.interfaces.empty()) proxy.listen.interfaces = flags.interfaces;
        if (flags.port) proxy.listen.port = *flags.port;
        if (flags.target)
            proxy.default_targets = {{.endpoint = *flags.target, .health_check = proxy.health_check}};
        if (const auto found = contradictions(proxy, config.settings); !found.empty())
            return refuse("with these flags: " + text(found.front()));
    }
    config.settings.stats_enabled = config.settings.stats_enabled || flags.stats;
    return config;
}

} // namespace lb::model
