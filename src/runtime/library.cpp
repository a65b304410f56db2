#include "lb/lb.hpp"

#include <algorithm>

#include "model/config_reader.hpp"
#include "runtime/balancer.hpp"

namespace lb {

struct LoadBalancer::Parts {
    runtime::Balancer balancer;
    u64 live_connections = 0;
};

Result<void> check_configuration(std::string_view text, std::string_view name)
{
    const auto config = model::read_config(text, name);
    if (!config) return std::unexpected(config.error());
    const auto plan = model::make_plan(*config);
    if (!plan) return std::unexpected(plan.error());
    return {};
}

LoadBalancer::LoadBalancer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
LoadBalancer::LoadBalancer(LoadBalancer&&) noexcept = default;
LoadBalancer& LoadBalancer::operator=(LoadBalancer&&) noexcept = default;
LoadBalancer::~LoadBalancer() = default;

Result<LoadBalancer> LoadBalancer::start(std::string_view configuration, std::string_view name)
{
    const auto config = model::read_config(configuration, name);
    if (!config) return std::unexpected(config.error());
    if (config->settings.health_check_enabled)
        return fail(ErrorKind::config,
                    "settings.health-check-enabled: true: lb run checks targets' health, the "
                    "library does not yet: expected false");
    auto balancer = runtime::Balancer::start(*config);
    if (!balancer) return std::unexpected(balancer.error());
    return LoadBalancer(std::make_unique<Parts>(Parts{.balancer = std::move(*balancer)}));
}

Result<void> LoadBalancer::tick()
{
    if (auto followed = parts_->balancer.follow_addresses(); !followed) return followed;
    const auto collected = parts_->balancer.collect_idle();
    if (!collected) return std::unexpected(collected.error());
    parts_->live_connections = collected->connections;
    return {};
}

Result<Statistics> LoadBalancer::statistics() const
{
    const auto totals = parts_->balancer.totals();
    if (!totals) return std::unexpected(totals.error());
    const auto& plan = parts_->balancer.plan();
    Statistics statistics{.live_connections = parts_->live_connections};
    for (const auto& target : plan.targets) {
        const auto& counters = totals->targets.at(target.id);
        const auto proxy = std::ranges::find(plan.proxies, target.proxy, &model::PlanProxy::id);
        statistics.targets.push_back({.proxy = proxy->name,
                                      .target = target.endpoint,
                                      .connections = counters.connections,
                                      .forward_packets = counters.forward_packets,
                                      .forward_bytes = counters.forward_bytes,
                                      .reply_packets = counters.reply_packets,
                                      .reply_bytes = counters.reply_bytes});
    }
    const auto exit = [](const model::ReasonInfo& reason, u64 packets) {
        return ExitStatistics{
            .reason = std::string(reason.name), .meaning = std::string(reason.text), .packets = packets};
    };
    for (const auto& proxy : plan.proxies) {
        const auto& refused = totals->refused.at(proxy.id);
        statistics.proxies.push_back({.proxy = proxy.name});
        for (const model::Reason reason : model::refusals)
            statistics.proxies.back().refused.push_back(
                exit(model::info(reason), refused[model::refusal_index(reason)]));
    }
    for (const auto& reason : model::reasons)
        statistics.exits.push_back(exit(reason, totals->exits[static_cast<u32>(reason.reason)]));
    return statistics;
}

Result<void> LoadBalancer::stop() { return parts_->balancer.take_off(); }

} // namespace lb
