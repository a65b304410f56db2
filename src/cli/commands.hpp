// What each command does once the command line is read. They print to standard output; errors go up.
#pragma once

#include <functional>

#include "cli/options.hpp"
#include "model/config.hpp"

namespace lb::cli {

/// The configuration that file and flags make together.
Result<model::Config> read_configuration(const Options& options);

/// What tells whether the configuration's file is another than before, also behind a symbolic link; empty
/// where it is not there. An error where no file makes the configuration.
Result<std::function<std::string()>> file_state(const Options& options);

Result<void> run(const Options& options);
Result<void> check(const Options& options);
Result<void> dump(const Options& options);
Result<void> verify(const Options& options);
Result<void> detach(const Options& options);
Result<void> backend(const BackendOptions& options);

} // namespace lb::cli
