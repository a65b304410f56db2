// The receiving side of direct server return on this host: VIPs on lo, host settings, and the programs that
// take tunnels off and keep segments small. Everything is recorded before it is done, so that it can be put
// back even after kill -9. One thread.
#pragma once

#include "lb/base/result.hpp"
#include "model/backend.hpp"

namespace lb::runtime {

/// Sets all up, and puts it back on SIGTERM or SIGINT; blocks until then. On an error nothing is left. A run
/// that was killed is taken over.
Result<void> run_backend(const model::Backend& backend);

/// Puts back what a backend of this name has left here; a process that runs it is ended first.
Result<void> detach_backend(const std::string& instance);

/// Whether there is a record of such a backend.
bool is_backend(const std::string& instance);

} // namespace lb::runtime
