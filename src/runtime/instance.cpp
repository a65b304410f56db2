#include "runtime/instance.hpp"

#include <spdlog/spdlog.h>

#include <csignal>
#include <thread>

#include "kernel/bpffs.hpp"
#include "kernel/verifier_log.hpp"
#include "runtime/balancer.hpp"

namespace lb::runtime {
namespace {

using namespace std::chrono_literals;

constexpr auto end_patience = 10s;

std::string lock_file(const std::string& instance) { return run_folder(instance) + "/lock"; }

} // namespace

Result<kernel::InstanceLock> lock_instance(const std::string& instance)
{
    return kernel::InstanceLock::acquire(lock_file(instance));
}

void end_holder(const std::string& instance)
{
    const auto pid = kernel::InstanceLock::holder(lock_file(instance));
    if (!pid || ::kill(*pid, detach_signal) != 0) return;
    spdlog::info("process {} runs this instance: asked to detach and end", *pid);
    for (auto waited = 0ms; waited < end_patience && kernel::InstanceLock::holder(lock_file(instance));
         waited += 20ms)
        std::this_thread::sleep_for(20ms);
}

Result<void> mount_bpffs(State& state)
{
    const auto mounted = kernel::ensure_bpffs();
    if (!mounted) return std::unexpected(mounted.error());
    if (*mounted == kernel::Mounted::by_us) state.bpffs_mounted = true;
    return {};
}

Result<std::vector<kernel::Interface>> find_interfaces(const std::vector<std::string>& names)
{
    std::vector<kernel::Interface> found;
    for (const auto& name : names) {
        auto interface = kernel::interface_by_name(name);
        if (!interface) return std::unexpected(interface.error());
        if (!interface->ethernet())
            return fail(ErrorKind::host_not_ready,
                        "interface " + name + " has no Ethernet frames, which the programs read");
        found.push_back(std::move(*interface));
    }
    return found;
}

Result<kernel::Program> load_program(const std::expected<bpf::Program, bpf::Error>& made,
                                     const kernel::Resolver& resolver)
{
    if (!made) return fail(ErrorKind::failure, "generating a program: " + bpf::to_string(made.error()));
    auto loaded = kernel::Program::load(*made, resolver);
    if (loaded) return std::move(*loaded);
    Error error = loaded.error().error;
    if (!loaded.error().log.empty())
        error.message += "\n" + kernel::to_text(kernel::explain_rejection(loaded.error().log, *made));
    return std::unexpected(std::move(error));
}

} // namespace lb::runtime
