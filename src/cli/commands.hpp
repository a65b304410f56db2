// What each command does once the command line is read. They print to standard output; errors go up.
#pragma once

#include "cli/options.hpp"
#include "model/config.hpp"

namespace lb::cli {

/// The configuration that file and flags make together.
Result<model::Config> read_configuration(const Options& options);

Result<void> run(const Options& options);
Result<void> check(const Options& options);
Result<void> dump(const Options& options);
Result<void> verify(const Options& options);
Result<void> detach(const Options& options);
Result<void> backend(const BackendOptions& options);

} // namespace lb::cli
