// The `lb` command: reads the command line, runs one command, prints one clear message when it failed.
#include <spdlog/fmt/fmt.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>

#include "cli/commands.hpp"

namespace {

using lb::cli::Command;
using lb::cli::Options;

lb::Result<void> dispatch(const Options& options)
{
    switch (options.command) {
    case Command::run:
        return lb::cli::run(options);
    case Command::check:
        return lb::cli::check(options);
    case Command::dump:
        return lb::cli::dump(options);
    case Command::verify:
        return lb::cli::verify(options);
    case Command::detach:
        return lb::cli::detach(options);
    case Command::backend:
        return lb::cli::backend(options.backend);
    case Command::help:
        fmt::print("{}", options.help);
        return {};
    case Command::version:
        fmt::print("lb {}\n", LB_VERSION);
        return {};
    }
    return {};
}

// What a command prints counts once it is written. A full disk shows at the last flush, or earlier as an
// exception of fmt.
lb::Result<void> dispatch_and_flush(const Options& options)
{
    const auto not_written = [](const std::string& why) {
        return lb::fail(lb::ErrorKind::failure, "writing to standard output: " + why);
    };
    try {
        if (auto done = dispatch(options); !done) return done;
    } catch (const std::system_error& error) {
        return std::ferror(stdout) ? not_written(error.code().message())
                                   : lb::fail(lb::ErrorKind::failure, error.what());
    }
    if (std::fflush(stdout) != 0) return not_written(std::strerror(errno));
    return {};
}

} // namespace

int main(int argc, char** argv)
{
    // The log is for people who watch the daemon: standard output belongs to what a command prints.
    spdlog::set_default_logger(spdlog::stderr_color_mt("lb"));
    const auto options = lb::cli::parse_options(argc, argv);
    const auto done = options ? dispatch_and_flush(*options) : std::unexpected(options.error());
    if (done) return 0;
    fmt::print(stderr, "lb: {}\n", done.error().message);
    return static_cast<int>(done.error().kind);
}
