// The life of the daemon: starts a Balancer, serves its timers and events until SIGTERM or SIGINT, and ends
// as the configuration says. Blocks the calling thread.
#pragma once

#include "lb/base/result.hpp"
#include "model/config.hpp"

namespace lb::runtime {

/// Returns when the daemon has been told to end; an error where it could not start or could not put the host
/// back.
Result<void> run_daemon(const model::Config& config);

} // namespace lb::runtime
