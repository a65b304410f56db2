// The command line as values. Parsing only; nothing is read, printed or run here.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/backend_options.hpp"
#include "lb/base/result.hpp"
#include "model/overrides.hpp"

namespace lb::cli {

enum class Command { run, check, dump, verify, detach, backend, help, version };
enum class DumpFormat { text, hex, raw, c, json };
enum class Which { all, ingress, egress, inside, siit };

struct Options {
    Command command = Command::run;
    std::optional<std::string> config_file = {}; ///< -c; without it lb.json where that exists
    model::Overrides overrides = {};
    bool verbose = false;
    DumpFormat format = DumpFormat::text;
    Which program = Which::all;
    std::optional<std::string> kernel = {}; ///< --kernel: generate for that version
    u32 log_level = 0;                      ///< lb verify
    bool stats = false;                     ///< lb verify: print the verifier's figures too
    std::optional<std::string> broken =
        {};                           ///< lb verify --broken: a program that must be rejected, for the tests
    std::string instance = "default"; ///< lb detach
    bool host = false;                ///< lb check: look at this machine too
    bool watch = false;               ///< lb run: reload when the file has changed
    BackendOptions backend = {};      ///< lb backend
    std::string help = {};            ///< text for Command::help
};

/// Errors are of ErrorKind::usage.
Result<Options> parse_options(int argc, const char* const* argv);

} // namespace lb::cli
