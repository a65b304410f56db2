// The sections of the configuration file, each read by its own source file. They report to the Problems of
// the nodes that they are given; what they return is of use only where nothing was reported. Internal to the
// reader.
#pragma once

#include <optional>
#include <vector>

#include "model/config.hpp"
#include "model/json_reader.hpp"

namespace lb::model {

/// A proxy, and where it stands in the file, for the rules between proxies.
struct ReadProxy {
    ProxyConfig config = {};
    Node node;
    bool has_name = false;
    bool has_listen = false; ///< config.listen is good, and so are the targets
};

ReadProxy read_proxy(const Node& node, const Settings& settings);
Settings read_settings(const Node& node);

/// The keys algorithm, session-persistence and forwarding of a proxy.
void read_forwarding(const ObjectNode& proxy, ProxyConfig& config);

/// The keys allow, deny and rate-limits of a proxy.
void read_admission(const ObjectNode& proxy, ProxyConfig& config);

/// The settings' rate-limits, which hold for proxies that say nothing else.
RateLimitKinds read_default_limits(const Node& node);

FullNatConfig read_full_nat(const Node& node);

/// A prime, or 0 for "auto".
u32 read_table_size(const Node& node);

/// A prefix without host bits, or an address as one of all its bits.
std::optional<Prefix> read_prefix(const Node& node);
inline constexpr std::string_view prefix_form = "an IP address or a prefix such as 192.168.0.0/16";

/// Seconds, 1..timeout_max.
std::chrono::seconds read_timeout(const Node& node);

/// A group: a list, or one target as an object. Without a weight mode (it was wrong) the rules about it are
/// left out. `check`: of targets that say nothing else.
std::vector<TargetConfig> read_targets(const Node& node, std::optional<WeightMode> mode,
                                       const HealthCheck& check);

/// The health check of one level; what it leaves out is as in the one above.
HealthCheck read_health_check(const Node& node, const HealthCheck& above);

} // namespace lb::model
