// The configuration as the file has it, after validation: every rule of the file format holds for a Config
// that read_config() returned. Names, ranges and defaults are the file's. Pure values; safe from any thread.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "lb/base/address.hpp"

namespace lb::model {

enum class Protocol : u8 { tcp = 6, udp = 17 }; ///< IANA protocol numbers
enum class WeightMode { percent, relative };
enum class XdpMode { automatic, native, generic };
enum class OnExit { detach, keep };
enum class LogLevel { trace, debug, info, warn, error };
enum class LogFormat { text, json };

/// Which destination addresses a listener takes, in order of precedence.
enum class AddressKind { given, own, any };

struct ListenConfig {
    std::vector<std::string> interfaces = {};        ///< at least one; unique
    std::vector<std::string> egress_interfaces = {}; ///< where replies leave, besides `interfaces`
    u16 port = 80;                                   ///< 1..65535
    AddressKind kind = AddressKind::own;
    std::vector<IpAddress> addresses = {}; ///< for `given`: at least one; else empty
    bool tcp = true;
    bool udp = true;
};

struct TargetConfig {
    Endpoint endpoint = {};
    u32 weight =
        100; ///< percent mode: 1..100, the sum of several is 100; relative: 0.., at least one above 0
};

struct RouteConfig {
    Prefix source = {}; ///< no host bits
    std::vector<TargetConfig> targets = {};
};

struct ProxyConfig {
    std::string name = {}; ///< unique, 1..63 of [A-Za-z0-9._-]
    ListenConfig listen = {};
    std::vector<TargetConfig> default_targets = {};
    std::vector<RouteConfig> source_routes = {};
    WeightMode weight_mode = WeightMode::percent;
};

struct Settings {
    bool stats_enabled = false;
    std::chrono::seconds connection_timeout{300};
    u32 max_connections = 100000;
    XdpMode xdp_mode = XdpMode::automatic;
    std::string instance = "default"; ///< 1..31 of [A-Za-z0-9._-], not starting with '.'
    OnExit on_exit = OnExit::detach;
    LogLevel log_level = LogLevel::info;
    LogFormat log_format = LogFormat::text;
};

struct Config {
    std::vector<ProxyConfig> proxies = {}; ///< at least one
    Settings settings = {};
};

// Limits of the file format.
inline constexpr u32 percent_targets_max = 8;
inline constexpr u32 relative_targets_max = 1024;
inline constexpr u32 source_routes_max = 10000;
inline constexpr u32 max_connections_max = 10000000;
inline constexpr u32 connection_timeout_max = 604800; // seconds: a week
inline constexpr u32 proxies_max = 1024;
inline constexpr u32 interfaces_max = 64; // of one list
inline constexpr u32 addresses_max = 256; // of one listener

} // namespace lb::model
