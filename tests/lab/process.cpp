#include "lab/process.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

namespace lb::lab {
namespace {

constexpr Milliseconds poll_interval{5};
constexpr std::size_t children_max = 64;

// Pids for the signal handler, which may use neither locks nor memory: 0 is a free place.
std::array<std::atomic<pid_t>, children_max> children;

void remember(pid_t pid)
{
    for (auto& place : children) {
        pid_t free_place = 0;
        if (place.compare_exchange_strong(free_place, pid)) return;
    }
    ::kill(pid, SIGKILL);
    throw LabError("more than 64 child processes");
}

void forget(pid_t pid)
{
    for (auto& place : children) {
        pid_t mine = pid;
        if (place.compare_exchange_strong(mine, 0)) return;
    }
}

// Between fork and exec of a process with threads: system calls only.
[[noreturn]] void become(char* const* argv, int netns, int log)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) ::signal(number, SIG_DFL);
    if (netns >= 0 && setns(netns, CLONE_NEWNET) != 0) _exit(126);
    const int null = ::open("/dev/null", O_RDONLY);
    ::dup2(null, 0);
    ::dup2(log, 1);
    ::dup2(log, 2);
    ::execvp(argv[0], argv);
    static constexpr char message[] = "cannot start the program\n";
    [[maybe_unused]] const auto written = ::write(2, message, sizeof(message) - 1);
    _exit(127);
}

std::string read_all(const std::filesystem::path& path)
{
    std::ifstream in(path, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

struct Scratch {
    pid_t owner = ::getpid();
    std::filesystem::path path;
    Scratch()
    {
        std::string name =
            (std::filesystem::temp_directory_path() / ("lb-lab-" + std::to_string(owner) + "-XXXXXX"))
                .string();
        if (::mkdtemp(name.data()) == nullptr)
            throw LabError("mkdtemp: " + std::string(std::strerror(errno)));
        path = name;
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    ~Scratch()
    {
        std::error_code ignored;
        if (owner == ::getpid()) std::filesystem::remove_all(path, ignored);
    }
};

} // namespace

Child::Child(const Argv& argv, int netns)
{
    static std::atomic<int> serial{0};
    log_ = scratch() / ("log-" + std::to_string(++serial));
    const int log = ::open(log_.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0) throw LabError("cannot write " + log_.string());
    std::vector<char*> pointers;
    for (const std::string& word : argv) pointers.push_back(const_cast<char*>(word.c_str()));
    pointers.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) become(pointers.data(), netns, log);
    ::close(log);
    if (pid_ < 0) throw LabError("fork: " + std::string(std::strerror(errno)));
    remember(pid_);
}

Child::~Child()
{
    if (running()) {
        signal(SIGKILL);
        wait(std::chrono::seconds(5));
    }
    std::error_code ignored;
    std::filesystem::remove(log_, ignored);
}

bool Child::running() { return !wait(Milliseconds(0)); }

void Child::signal(int number)
{
    if (!status_) ::kill(pid_, number);
}

std::optional<int> Child::wait(Milliseconds limit)
{
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!status_) {
        int status = 0;
        if (::waitpid(pid_, &status, WNOHANG) == pid_) {
            forget(pid_);
            status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        } else if (std::chrono::steady_clock::now() >= end) {
            break;
        } else {
            std::this_thread::sleep_for(poll_interval);
        }
    }
    return status_;
}

std::string Child::log() const { return read_all(log_); }

bool Child::wait_for(const std::string& text, Milliseconds limit)
{
    const auto end = std::chrono::steady_clock::now() + limit;
    for (;;) {
        const bool alive = running();
        if (log().find(text) != std::string::npos) return true;
        if (!alive || std::chrono::steady_clock::now() >= end) return false;
        std::this_thread::sleep_for(poll_interval);
    }
}

Output run(const Argv& argv, int netns, Milliseconds limit)
{
    Child child(argv, netns);
    const auto status = child.wait(limit);
    if (!status) throw LabError("'" + argv.front() + "' did not end in time:\n" + child.log());
    return {*status, child.log()};
}

std::string must_run(const Argv& argv, int netns)
{
    Output output = run(argv, netns);
    if (output.status == 0) return std::move(output.text);
    std::string line;
    for (const std::string& word : argv) line += word + ' ';
    throw LabError(line + "failed (" + std::to_string(output.status) + "): " + output.text);
}

const std::filesystem::path& scratch()
{
    static const Scratch folder;
    return folder.path;
}

std::filesystem::path write_file(const std::string& name, const std::string& content)
{
    const auto path = scratch() / name;
    std::ofstream out(path, std::ios::binary);
    out << content;
    if (!out.flush()) throw LabError("cannot write " + path.string());
    return path;
}

void kill_children() noexcept
{
    for (auto& place : children)
        if (const pid_t pid = place.load(); pid > 0) ::kill(pid, SIGKILL);
}

} // namespace lb::lab
