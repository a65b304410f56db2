// The command line of `lb backend`, which has no configuration file and flags of its own.
#pragma once

#include <string>
#include <vector>

#include "lb/base/result.hpp"
#include "model/backend.hpp"

namespace lb::cli {

struct BackendOptions {
    model::Backend backend = {};
    bool print = false;  ///< commands of a kernel tunnel, and change nothing
    bool detach = false; ///< put back what an earlier run left
    bool verbose = false;
    std::string help = {}; ///< where --help asks for it; empty otherwise
};

/// `words`: what follows `lb backend`. Errors are of ErrorKind::usage.
Result<BackendOptions> parse_backend_options(const std::vector<std::string>& words);

} // namespace lb::cli
