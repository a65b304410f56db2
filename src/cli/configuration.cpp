#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "cli/commands.hpp"
#include "model/config_reader.hpp"
#include "model/json_text.hpp"

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
    std::string text;
    std::array<char, 1 << 16> part{};
    // A text that is too long is for the parser to refuse: no more of it is needed than that.
    while (file && text.size() <= model::json_size_max) {
        file.read(part.data(), part.size());
        text.append(part.data(), static_cast<std::size_t>(file.gcount()));
    }
    if (file.bad()) return fail(ErrorKind::config, path + ": reading failed: " + std::strerror(errno), errno);
    return text;
}

// The file to read: the one that was named, or the default one where it is there.
Result<std::optional<std::string>> file_to_read(const Options& options)
{
    if (options.config_file) return options.config_file;
    std::error_code error;
    if (std::filesystem::exists(default_file, error)) return default_file;
    if (!error) return std::nullopt;
    return fail(ErrorKind::config, std::string(default_file) + ": cannot be looked for here: " +
                                       error.message() + "; name a file with -c");
}

} // namespace

Result<std::function<std::string()>> file_state(const Options& options)
{
    const auto file = file_to_read(options);
    if (!file) return std::unexpected(file.error());
    if (!*file) return fail(ErrorKind::usage, "--watch: there is no file: expected -c FILE");
    return [path = **file]() -> std::string {
        struct stat now {};
        if (::stat(path.c_str(), &now) != 0) return "";
        return std::to_string(now.st_dev) + ":" + std::to_string(now.st_ino) + ":" +
               std::to_string(now.st_size) + ":" + std::to_string(now.st_mtim.tv_sec) + "." +
               std::to_string(now.st_mtim.tv_nsec);
    };
}

Result<model::Config> read_configuration(const Options& options)
{
    const auto file = file_to_read(options);
    if (!file) return std::unexpected(file.error());
    std::optional<model::Config> config;
    if (*file) {
        const auto text = read_file(**file);
        if (!text) return std::unexpected(text.error());
        auto read = model::read_config(*text, **file);
        if (!read) return read;
        config = std::move(*read);
    }
    auto whole = model::apply_overrides(std::move(config), options.overrides);
    if (whole && options.verbose) whole->settings.log_level = model::LogLevel::debug;
    return whole;
}

} // namespace lb::cli
