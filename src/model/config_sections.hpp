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
    bool has_listen = false; ///< config.listen is good
};

ReadProxy read_proxy(const Node& node);
Settings read_settings(const Node& node);

/// A group: a list, or one target as an object. Without a weight mode (it was wrong) the rules about it are
/// left out.
std::vector<TargetConfig> read_targets(const Node& node, std::optional<WeightMode> mode);

} // namespace lb::model
