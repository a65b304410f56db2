// The life of the daemon: starts a Balancer, serves its timers and events until SIGTERM or SIGINT, and ends
// as the configuration says. Blocks the calling thread.
#pragma once

#include <functional>

#include "lb/base/result.hpp"
#include "model/config.hpp"

namespace lb::runtime {

/// Reads the configuration, as it is now.
using ReadConfig = std::function<Result<model::Config>()>;

/// Returns when the daemon has been told to end; an error where it could not start or could not put the host
/// back. `reread`: for SIGHUP.
Result<void> run_daemon(const model::Config& config, const ReadConfig& reread);

} // namespace lb::runtime
