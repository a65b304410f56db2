// What the flags -i, -p, -t and -s say, applied over a configuration file or in place of one. Pure values;
// safe from any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lb/base/result.hpp"
#include "model/config.hpp"

namespace lb::model {

/// The flags as given; what is empty was not given.
struct Overrides {
    std::vector<std::string> interfaces = {}; ///< -i, repeatable
    std::optional<u16> port = {};             ///< -p
    std::optional<Endpoint> target = {};      ///< -t
    bool stats = false;                       ///< -s
};

/// `file` with the flags over it: -i, -p and -t where it has exactly one proxy, -s always. Without a file the
/// flags make the configuration: one proxy "default", -i required, port 80, target 127.0.0.1:8080. Errors are
/// of ErrorKind::usage.
Result<Config> apply_overrides(std::optional<Config> file, const Overrides& flags);

} // namespace lb::model
