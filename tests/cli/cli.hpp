// The built `lb` as a person meets it: its exit status, what it prints, and where. No privileges.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "lab/process.hpp"

#include <catch2/catch.hpp>

namespace lb::cli_test {

inline constexpr int ok = 0, failure = 1, usage = 2, config = 3;

struct Said {
    int status = -1;
    std::string out = {};
    std::string err = {};
};

/// Where a command runs.
struct Where {
    std::filesystem::path folder = {}; ///< empty: a new one without files
    std::string out = {};              ///< a file that standard output goes to; empty: Said::out
    bool closed = false;               ///< nobody may look into the folder any more
};

/// Runs `lb` with these words. As root it becomes nobody first, because nothing here needs more.
Said say(const lab::Argv& words, const Where& where = {});

/// A new folder that everybody may read, with these files.
std::filesystem::path folder_with(const std::vector<std::pair<std::string, std::string>>& files);

/// The project's own folder.
std::filesystem::path source_root();

/// Fails unless the command ended so, printed nothing else, and its one line of error is this.
void check_refused(const Said& said, int status, const std::string& message);

} // namespace lb::cli_test
