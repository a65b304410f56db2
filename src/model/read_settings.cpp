// The section "settings".
#include <array>

#include "model/config_rules.hpp"
#include "model/config_sections.hpp"

namespace lb::model {
namespace {

constexpr std::array<std::string_view, 13> known_keys = {"stats-enabled",
                                                         "connection-timeout-sec",
                                                         "timeouts",
                                                         "max-connections",
                                                         "maglev-table-size",
                                                         "full-nat",
                                                         "rate-limits",
                                                         "health-check-enabled",
                                                         "health-check-defaults",
                                                         "xdp-mode",
                                                         "instance",
                                                         "on-exit",
                                                         "log"};
constexpr std::array<std::string_view, 6> later_keys = {"default-drain-timeout-ms",
                                                        "drain-check-interval-ms",
                                                        "circuit-breaker",
                                                        "metrics",
                                                        "admin-api",
                                                        "access-log"};
constexpr std::array<std::string_view, 5> timeout_keys = {"tcp-half-open-sec", "tcp-closing-sec",
                                                          "tcp-closed-sec", "udp-sec", "udp-one-way-sec"};
constexpr std::array<std::string_view, 2> log_keys = {"level", "format"};

const Choices<XdpMode> xdp_modes = {
    {"auto", XdpMode::automatic}, {"native", XdpMode::native}, {"generic", XdpMode::generic}};
const Choices<OnExit> on_exits = {{"detach", OnExit::detach}, {"keep", OnExit::keep}};
const Choices<LogFormat> log_formats = {{"text", LogFormat::text}, {"json", LogFormat::json}};
const Choices<LogLevel> log_levels = {{"trace", LogLevel::trace},
                                      {"debug", LogLevel::debug},
                                      {"info", LogLevel::info},
                                      {"warn", LogLevel::warn},
                                      {"error", LogLevel::error}};

void read_log(const Node& node, Settings& settings)
{
    const auto object = ObjectNode::read(node, {log_keys, {}});
    if (!object) return;
    if (const auto value = object->find("level"))
        settings.log_level = value->choice(log_levels).value_or(LogLevel::info);
    if (const auto value = object->find("format"))
        settings.log_format = value->choice(log_formats).value_or(LogFormat::text);
}

TimeoutsConfig read_timeouts(const Node& node)
{
    TimeoutsConfig timeouts;
    const auto object = ObjectNode::read(node, {timeout_keys, {}});
    if (!object) return timeouts;
    const std::pair<std::string_view, std::optional<std::chrono::seconds>*> all[] = {
        {"tcp-half-open-sec", &timeouts.tcp_half_open},
        {"tcp-closing-sec", &timeouts.tcp_closing},
        {"tcp-closed-sec", &timeouts.tcp_closed},
        {"udp-sec", &timeouts.udp},
        {"udp-one-way-sec", &timeouts.udp_one_way}};
    for (const auto& [key, timeout] : all)
        if (const auto value = object->find(key)) *timeout = read_timeout(*value);
    return timeouts;
}

std::string read_instance(const Node& node)
{
    const auto name = node.string("a name");
    if (!name) return {};
    if (const std::string problem = instance_problem(*name); !problem.empty()) node.refuse(problem);
    return *name;
}

} // namespace

Settings read_settings(const Node& node)
{
    Settings settings;
    const auto object = ObjectNode::read(node, {known_keys, later_keys});
    if (!object) return settings;
    if (const auto value = object->find("stats-enabled"))
        settings.stats_enabled = value->boolean().value_or(false);
    if (const auto value = object->find("connection-timeout-sec")) {
        settings.connection_timeout = read_timeout(*value);
    }
    if (const auto value = object->find("timeouts")) settings.timeouts = read_timeouts(*value);
    if (const auto value = object->find("max-connections")) {
        settings.max_connections = static_cast<u32>(value->integer(1, max_connections_max).value_or(1));
    }
    if (const auto value = object->find("maglev-table-size"))
        settings.maglev_table_size = read_table_size(*value);
    if (const auto value = object->find("full-nat")) settings.full_nat = read_full_nat(*value);
    if (const auto value = object->find("rate-limits")) settings.rate_limits = read_default_limits(*value);
    if (const auto value = object->find("health-check-enabled"))
        settings.health_check_enabled = value->boolean().value_or(false);
    if (const auto value = object->find("health-check-defaults"))
        settings.health_check = read_health_check(*value, {});
    if (const auto value = object->find("xdp-mode"))
        settings.xdp_mode = value->choice(xdp_modes).value_or(XdpMode::automatic);
    if (const auto value = object->find("instance")) settings.instance = read_instance(*value);
    if (const auto value = object->find("on-exit"))
        settings.on_exit = value->choice(on_exits).value_or(OnExit::detach);
    if (const auto value = object->find("log")) read_log(*value, settings);
    return settings;
}

} // namespace lb::model
