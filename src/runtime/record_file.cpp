#include "runtime/record_file.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>

namespace lb::runtime {

namespace json = boost::json;

std::unexpected<Error> unreadable_record(const std::string& path, const std::string& why)
{
    return fail(ErrorKind::failure, "the record of an earlier run, " + path + ", cannot be read (" + why +
                                        "): remove it; host settings it named stay as they are");
}

Result<std::optional<json::value>> read_record(const std::string& path)
{
    std::ifstream file(path);
    if (!file) return std::optional<json::value>{};
    std::stringstream text;
    text << file.rdbuf();
    boost::system::error_code error;
    auto content = json::parse(text.str(), error);
    if (error) return unreadable_record(path, error.message());
    return std::optional(std::move(content));
}

Result<void> write_record(const std::string& path, const json::value& content)
{
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
    const std::string fresh = path + ".new";
    {
        std::ofstream file(fresh, std::ios::trunc);
        file << json::serialize(content) << '\n';
        if (!file.flush())
            return fail(ErrorKind::host_not_ready, "writing " + fresh + " failed: is /run writable?");
    }
    std::filesystem::rename(fresh, path, error);
    if (error)
        return fail(ErrorKind::host_not_ready, "replacing " + path + ": " + error.message(), error.value());
    return {};
}

Result<void> remove_record(const std::string& path)
{
    std::error_code error;
    std::filesystem::remove(path, error);
    if (error) return fail(ErrorKind::failure, "removing " + path + ": " + error.message(), error.value());
    return {};
}

} // namespace lb::runtime
