// The life of the daemon: starts a Balancer, serves its timers and events until SIGTERM or SIGINT, and ends
// as the configuration says. Blocks the calling thread.
#pragma once

#include <functional>

#include "lb/base/result.hpp"
#include "model/config.hpp"

namespace lb::runtime {

/// Where the configuration comes from.
struct ConfigSource {
    std::function<Result<model::Config>()> read = {}; ///< as it is now
    /// Another text whenever it has changed, and none while it is not there. Without, nobody looks.
    std::function<std::string()> state = {};
};

/// Returns when the daemon has been told to end; an error where it could not start or could not put the host
/// back. `source`: for SIGHUP, and for changes if it
/// tells of them.
Result<void> run_daemon(const model::Config& config, const ConfigSource& source);

} // namespace lb::runtime
