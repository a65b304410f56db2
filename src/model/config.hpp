// The configuration as the file has it, after validation: every rule of the file format holds for a Config
// that read_config() returned. Names, ranges and defaults are the file's. Pure values; safe from any thread.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "lb/base/address.hpp"
#include "model/health_check.hpp"

namespace lb::model {

enum class Protocol : u8 { tcp = 6, udp = 17 }; ///< IANA protocol numbers
enum class WeightMode { percent, relative };
enum class XdpMode { automatic, native, generic };
enum class OnExit { detach, keep };
enum class LogLevel { trace, debug, info, warn, error };
enum class LogFormat { text, json };

enum class Family : u8 { ipv4 = 4, ipv6 = 6 };

constexpr Family family_of(const IpAddress& ip) { return ip.is_v6() ? Family::ipv6 : Family::ipv4; }
constexpr Family other(Family family) { return family == Family::ipv4 ? Family::ipv6 : Family::ipv4; }

enum class Algorithm { maglev, round_robin, random, least_connections, source_hash };
enum class ForwardingMode { nat, full_nat, dsr_l2, dsr_ipip, dsr_gue };
enum class ForwardingPath { automatic, stack, fast };

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
    HealthCheck health_check = {}; ///< of all levels
    bool enabled = true;           ///< false: takes nothing new
};

struct RouteConfig {
    Prefix source = {}; ///< no host bits
    std::vector<TargetConfig> targets = {};
};

struct ForwardingConfig {
    ForwardingMode mode = ForwardingMode::nat;
    ForwardingPath path = ForwardingPath::automatic;
    u16 gue_port = 6080; ///< of the targets; for dsr_gue (IANA: gue)
};

/// A token bucket as it is written. A burst may be left out where a rate is: then it is twice the rate.
struct RateConfig {
    std::optional<u32> per_sec = {};
    std::optional<u32> burst = {};
};

/// Limits of one kind. In a proxy, what is left out is that of the settings.
struct RateLimitsConfig {
    RateConfig requests = {}; ///< new connections
    RateConfig packets = {};
    std::optional<u8> prefix_length_ipv4 = {}; ///< per source only: 1..32
    std::optional<u8> prefix_length_ipv6 = {}; ///< per source only: 1..128
    bool off = false;                          ///< `false` in a proxy: none, whatever the settings say
};

struct RateLimitKinds {
    RateLimitsConfig per_source = {};
    RateLimitsConfig per_target = {};
};

struct ProxyConfig {
    std::string name = {}; ///< unique, 1..63 of [A-Za-z0-9._-]
    ListenConfig listen = {};
    std::vector<TargetConfig> default_targets = {};
    std::vector<RouteConfig> source_routes = {};
    WeightMode weight_mode = WeightMode::percent;
    Algorithm algorithm = Algorithm::maglev;
    std::optional<u32> maglev_table_size = {};            ///< a prime; 0: auto; empty: that of the settings
    std::optional<std::chrono::seconds> persistence = {}; ///< session-persistence; empty: off
    ForwardingConfig forwarding = {};
    std::vector<Prefix> allow = {}; ///< no host bits, unique; not empty: who isn't named is denied
    std::vector<Prefix> deny = {};  ///< no host bits, unique
    RateLimitKinds rate_limits = {};
    HealthCheck health_check = {}; ///< for targets that say nothing else
    AllUnhealthy all_unhealthy = AllUnhealthy::keep;
};

/// Times after which an idle flow is forgotten, besides `connection_timeout`, where they are written. See
/// Timeouts for what holds where they are not.
struct TimeoutsConfig {
    std::optional<std::chrono::seconds> tcp_half_open = {}, tcp_closing = {}, tcp_closed = {};
    std::optional<std::chrono::seconds> udp = {}, udp_one_way = {};
};

struct FullNatConfig {
    std::vector<IpAddress> addresses = {}; ///< sources toward targets; empty: what the host uses toward each
    u16 port_first = 10000;                ///< 1024..port_last
    u16 port_last = 29999;                 ///< below Linux' own range, 32768-60999
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
    TimeoutsConfig timeouts = {};
    FullNatConfig full_nat = {};
    RateLimitKinds rate_limits = {}; ///< for proxies that say nothing else
    u32 maglev_table_size = 0;       ///< a prime; 0: auto, by the number of targets
    bool health_check_enabled = false;
    HealthCheck health_check = {}; ///< for proxies that say nothing else
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
inline constexpr u32 timeout_max = 604800; // seconds: a week
inline constexpr u32 proxies_max = 1024;
inline constexpr u32 interfaces_max = 64;  // of one list
inline constexpr u32 addresses_max = 256;  // of one listener
inline constexpr u32 prefixes_max = 10000; // of one allow or deny list
inline constexpr u32 full_nat_addresses_max = 256;
inline constexpr u32 full_nat_port_min = 1024;       // below are the well-known ports of services
inline constexpr u32 rate_max = 10000000;            // per second, and of a burst
inline constexpr u32 maglev_table_size_max = 131071; // 2^17 - 1, a prime: as far as make_slots() counts

// The words of the file.
std::string name_of(Algorithm algorithm);
std::string name_of(ForwardingMode mode);
/// "IPv4", "IPv6".
std::string name_of(Family family);

/// Whether client and target must be of one family: neither tunnels nor full NAT, which translates.
bool within_one_family(ForwardingMode mode);
bool is_dsr(ForwardingMode mode);
/// Whether the target follows from a hash over a Maglev table alone.
bool picks_by_hash(Algorithm algorithm);

/// Whether some target of the proxy, those of its source routes included, is of this family.
bool has_target(const ProxyConfig& proxy, Family family);

/// The families of the addresses that a proxy listens on, ascending. Without given addresses they are those
/// that its mode can forward: its targets' families, or both where the mode carries the other. Full NAT could
/// translate to the other as well, but a host that forwards IPv6 is not for everybody who names an IPv4
/// target.
std::vector<Family> listen_families(const ProxyConfig& proxy);

/// What a file that is right says to no effect; empty: nothing.
std::string without_effect(const Config& config);

} // namespace lb::model
