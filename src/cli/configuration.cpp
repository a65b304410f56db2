#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "cli/commands.hpp"
#include "model/config_reader.hpp"

namespace lb::cli {
namespace {

constexpr const char* default_file = "lb.json";

Result<std::string> read_file(const std::string& path)
{
    // A folder opens, and reads as nothing.
    if (std::error_code ignored; std::filesystem::is_directory(path, ignored))
        return fail(ErrorKind::config, path + ": is a folder: expected a file");
    std::ifstream file(path, std::ios::binary);
    if (!file) return fail(ErrorKind::config, path + ": cannot be read: " + std::strerror(errno), errno);
    std::stringstream text;
    text << file.rdbuf();
    if (file.bad()) return fail(ErrorKind::config, path + ": reading failed: " + std::strerror(errno), errno);
    return text.str();
}

} // namespace

Result<model::Config> read_configuration(const Options& options)
{
    std::optional<std::string> file = options.config_file;
    if (!file && std::filesystem::exists(default_file)) file = default_file;
    std::optional<model::Config> config;
    if (file) {
        const auto text = read_file(*file);
        if (!text) return std::unexpected(text.error());
        auto read = model::read_config(*text, *file);
        if (!read) return read;
        config = std::move(*read);
    }
    auto whole = model::apply_overrides(std::move(config), options.overrides);
    if (whole && options.verbose) whole->settings.log_level = model::LogLevel::debug;
    return whole;
}

} // namespace lb::cli
