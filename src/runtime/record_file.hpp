// Records that must outlive this process: JSON files under /run/lb, replaced atomically. No state; callers
// hold the lock that goes with a file.
#pragma once

#include <boost/json.hpp>
#include <optional>
#include <string>

#include "lb/base/result.hpp"

namespace lb::runtime {

/// The folder of all records; each instance has one within it.
inline constexpr const char* records_folder = "/run/lb";

/// What is in the file; none where it is not there.
Result<std::optional<boost::json::value>> read_record(const std::string& path);
/// Replaces the file, making its folder where needed: afterwards it has the old content or the new one,
/// whole.
Result<void> write_record(const std::string& path, const boost::json::value& content);
/// Removes the file, where there is one.
Result<void> remove_record(const std::string& path);
/// That the file is not what lb wrote: says what to do.
std::unexpected<Error> unreadable_record(const std::string& path, const std::string& why);

} // namespace lb::runtime
