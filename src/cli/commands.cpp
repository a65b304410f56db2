#include "cli/commands.hpp"

#include <spdlog/fmt/fmt.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "model/plan.hpp"
#include "runtime/backend.hpp"
#include "runtime/balancer.hpp"
#include "runtime/daemon.hpp"
#include "runtime/host_check.hpp"

namespace lb::cli {
namespace {

void set_up_log(const model::Settings& settings)
{
    static constexpr std::array levels{spdlog::level::trace, spdlog::level::debug, spdlog::level::info,
                                       spdlog::level::warn, spdlog::level::err};
    spdlog::set_level(levels[static_cast<std::size_t>(settings.log_level)]);
    if (settings.log_format == model::LogFormat::json)
        spdlog::set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l","message":"%v"})");
    else
        spdlog::set_pattern("%Y-%m-%d %H:%M:%S.%e %l %v");
}

// Prints what there is to say of this machine; an error where lb could not do its work on it.
Result<void> look_at_host(const model::Plan& plan)
{
    const auto findings = runtime::check_host(plan);
    if (!findings) return std::unexpected(findings.error());
    u32 errors = 0;
    for (const auto& [weight, text] : *findings) {
        static constexpr std::array names{"note", "warning", "error"};
        fmt::print("{}: {}\n", names[static_cast<std::size_t>(weight)], text);
        errors += weight == runtime::Finding::Weight::error ? 1 : 0;
    }
    if (errors > 0)
        return fail(ErrorKind::host_not_ready,
                    "this host is not ready: see the lines that begin with 'error'");
    fmt::print("ok: this host can run it\n");
    return {};
}

} // namespace

Result<void> run(const Options& options)
{
    const auto config = read_configuration(options);
    if (!config) return std::unexpected(config.error());
    set_up_log(config->settings);
    if (const std::string text = model::without_effect(*config); !text.empty()) spdlog::warn("{}", text);
    runtime::ConfigSource source{.read = [&] { return read_configuration(options); }};
    if (options.watch) {
        auto state = file_state(options);
        if (!state) return std::unexpected(state.error());
        source.state = std::move(*state);
    }
    return runtime::run_daemon(*config, source);
}

Result<void> check(const Options& options)
{
    const auto config = read_configuration(options);
    if (!config) return std::unexpected(config.error());
    const auto plan = model::make_plan(*config);
    if (!plan) return std::unexpected(plan.error());
    fmt::print("ok: {} proxies, {} listeners, {} targets, {} source routes\n", plan->proxies.size(),
               plan->listeners.size(), plan->targets.size(), plan->routes.size());
    if (const std::string text = model::without_effect(*config); !text.empty())
        fmt::print("note: {}\n", text);
    if (options.host) return look_at_host(*plan);
    return {};
}

Result<void> detach(const Options& options)
{
    set_up_log({});
    if (runtime::is_backend(options.instance)) return runtime::detach_backend(options.instance);
    return runtime::detach_instance(options.instance);
}

} // namespace lb::cli
