#include "lab/backend.hpp"

#include <filesystem>

#include "lab/daemon.hpp"

namespace lb::lab {

using namespace std::chrono_literals;

Backend::Backend(const Namespace& where, const std::string& instance, const Argv& words)
    : where_(where),
      instance_(instance)
{
    Argv argv{lb_program(), "backend", "-i", "eth0", "--instance", instance};
    argv.insert(argv.end(), words.begin(), words.end());
    child_ = std::make_unique<Child>(argv, where.fd());
    if (!child_->wait_for(" ready", 20s)) throw LabError("lb backend is not ready:\n" + child_->log());
}

Backend::~Backend()
{
    try {
        end(SIGTERM);
        run({lb_program(), "backend", "--detach", "--instance", instance_}, where_.fd());
        std::error_code none;
        std::filesystem::remove_all("/run/lb/" + instance_, none);
    } catch (const LabError&) {
        // What is left is in a namespace that ends with the test.
    }
}

int Backend::end(int signal)
{
    if (child_->running()) child_->signal(signal);
    return child_->wait(20s).value_or(-1);
}

} // namespace lb::lab
