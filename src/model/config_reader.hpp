// Configuration text to Config. The text is JSON with comments and trailing commas; every error of the file
// is reported with file, line, column, path, value and what was expected, one per line. Pure; safe from any
// thread.
#pragma once

#include <string_view>

#include "lb/base/result.hpp"
#include "model/config.hpp"

namespace lb::model {

inline constexpr u32 reported_errors_max = 20; ///< of one file; a last line says how many more there are

/// Reads and checks a configuration. `file_name` is for the messages only. Errors are of ErrorKind::config,
/// like `lb.json:12:17: proxies[1].listen.port: 70000: expected an integer 1..65535`.
Result<Config> read_config(std::string_view text, std::string_view file_name);

} // namespace lb::model
