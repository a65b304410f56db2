// The section "settings".
#include <array>

#include "model/config_rules.hpp"
#include "model/config_sections.hpp"

namespace lb::model {
namespace {

constexpr std::array<std::string_view, 7> known_keys = {
    "stats-enabled", "connection-timeout-sec", "max-connections", "xdp-mode", "instance", "on-exit", "log"};
constexpr std::array<std::string_view, 11> later_keys = {"health-check-enabled",
                                                         "health-check-defaults",
                                                         "default-drain-timeout-ms",
                                                         "drain-check-interval-ms",
                                                         "rate-limits",
                                                         "circuit-breaker",
                                                         "metrics",
                                                         "admin-api",
                                                         "access-log",
                                                         "timeouts",
                                                         "full-nat"};
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
        settings.connection_timeout =
            std::chrono::seconds(value->integer(1, connection_timeout_max).value_or(1));
    }
    if (const auto value = object->find("max-connections")) {
        settings.max_connections = static_cast<u32>(value->integer(1, max_connections_max).value_or(1));
    }
    if (const auto value = object->find("xdp-mode"))
        settings.xdp_mode = value->choice(xdp_modes).value_or(XdpMode::automatic);
    if (const auto value = object->find("instance")) settings.instance = read_instance(*value);
    if (const auto value = object->find("on-exit"))
        settings.on_exit = value->choice(on_exits).value_or(OnExit::detach);
    if (const auto value = object->find("log")) read_log(*value, settings);
    return settings;
}

} // namespace lb::model
