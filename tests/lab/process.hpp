// Other programs, for tests: run one and take its output, or keep one as a child. No shell is involved. A
// child may be put into a network namespace; it keeps the mount namespace, because pins in bpffs live there.
// Errors of the lab itself are exceptions (LabError), which end the test case. Every wait has a limit.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace lb::lab {

using Milliseconds = std::chrono::milliseconds;
using Argv = std::vector<std::string>;

/// The lab could not do its own part; says nothing about what is under test.
struct LabError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Output {
    int status = -1;       ///< exit code; 128 + n when ended by signal n
    std::string text = {}; ///< stdout and stderr, as they came
};

/// A child process whose stdout and stderr go to a file. Killed when the object ends. Move is not needed:
/// keep it in place. One thread at a time.
class Child {
public:
    /// Starts argv[0], searched in PATH. `netns`: an fd of the namespace to run in, -1: that of the caller.
    Child(const Argv& argv, int netns = -1);
    ~Child();
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    pid_t pid() const { return pid_; }
    bool running();
    void signal(int number);
    /// The exit status (see Output::status); nothing when it still runs after `limit`.
    std::optional<int> wait(Milliseconds limit);
    /// What it has written so far.
    std::string log() const;
    /// Waits until the log contains `text`; false when the process ended or the time is over.
    bool wait_for(const std::string& text, Milliseconds limit);

private:
    pid_t pid_ = -1;
    std::optional<int> status_;
    std::filesystem::path log_;
};

/// Runs to the end. Killed, and a LabError, after `limit`.
Output run(const Argv& argv, int netns = -1, Milliseconds limit = std::chrono::seconds(20));
/// The same for a command that must succeed: anything else is a LabError with its output.
std::string must_run(const Argv& argv, int netns = -1);

/// A folder of this process for files of tests; removed at exit.
const std::filesystem::path& scratch();
/// Writes a file there and gives its path.
std::filesystem::path write_file(const std::string& name, const std::string& content);

/// Kills the children that still run. Async-signal-safe.
void kill_children() noexcept;

} // namespace lb::lab
