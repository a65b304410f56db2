#include "lab/daemon.hpp"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>

namespace lb::lab {
namespace {

constexpr std::chrono::seconds start_limit{20};
constexpr std::chrono::seconds stop_limit{20};

} // namespace

std::string lb_program()
{
    const char* path = std::getenv("LB");
    if (path == nullptr || ::access(path, X_OK) != 0)
        throw LabError("the environment variable LB does not name the lb program");
    return path;
}

std::string instance_name(const std::string& label) { return label + '-' + std::to_string(::getpid()); }

std::string pin_folder(const std::string& instance) { return "/sys/fs/bpf/lb/" + instance; }

Daemon::Daemon(const Namespace& where, const std::string& config, const std::string& instance)
    : where_(where),
      instance_(instance)
{
    static std::atomic<int> serial{0};
    config_ = write_file("lb-" + std::to_string(++serial) + ".json", config).string();
}

Daemon::~Daemon()
{
    try {
        if (running()) child_->signal(SIGTERM);
        if (child_) child_->wait(stop_limit);
        std::error_code none;
        if (std::filesystem::exists(pin_folder(instance_), none)) detach();
        std::filesystem::remove_all("/run/lb/" + instance_, none);
    } catch (const LabError&) {
        // What is left is in a namespace that ends with the test; a destructor has nobody to tell.
    }
}

void Daemon::start()
{
    Argv words{lb_program(), "run", "-c", config_};
    words.insert(words.end(), flags_.begin(), flags_.end());
    child_ = std::make_unique<Child>(words, where_.fd());
    if (!child_->wait_for("ready: ", start_limit))
        throw LabError("lb did not become ready:\n" + child_->log());
}

std::string Daemon::reload(const std::string& config)
{
    const std::size_t before = log().size();
    write_file(std::filesystem::path(config_).filename(), config);
    signal(SIGHUP);
    const auto end = std::chrono::steady_clock::now() + start_limit;
    while (std::chrono::steady_clock::now() < end) {
        const std::string since = log().substr(before);
        for (const std::string answer : {"reloaded: ", "reload: "})
            if (const auto at = since.find(answer); at != std::string::npos)
                if (const auto line = since.find('\n', at); line != std::string::npos)
                    return since.substr(at, line - at);
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    throw LabError("lb did not answer SIGHUP:\n" + log());
}

int Daemon::stop(int number)
{
    child_->signal(number);
    const auto status = child_->wait(stop_limit);
    if (!status) throw LabError("lb did not end after its signal:\n" + child_->log());
    return *status;
}

void Daemon::kill()
{
    child_->signal(SIGKILL);
    child_->wait(stop_limit);
}

Output Daemon::run_again() const { return run({lb_program(), "run", "-c", config_}, where_.fd()); }

Output Daemon::detach() const { return run({lb_program(), "detach", "--instance", instance_}, where_.fd()); }

} // namespace lb::lab
