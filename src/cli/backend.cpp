#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include "cli/commands.hpp"
#include "kernel/interfaces.hpp"
#include "runtime/backend.hpp"

namespace lb::cli {
namespace {

// The MTU decides on the MSS; where the interface is not here, as when commands are made for another machine,
// Ethernet's is taken.
u32 mtu_of(const model::Backend& backend)
{
    constexpr u32 ethernet_mtu = 1500;
    std::optional<u32> least;
    for (const auto& name : backend.interfaces)
        if (const auto found = kernel::interface_by_name(name))
            least = least ? std::min(*least, found->mtu) : found->mtu;
    return least.value_or(ethernet_mtu);
}

Result<void> print_commands(const model::Backend& backend)
{
    const u32 mtu = mtu_of(backend);
    if (const auto limits = model::mss_limits(backend, mtu); !limits) return std::unexpected(limits.error());
    fmt::print("{}", model::tunnel_commands(backend, mtu));
    return {};
}

} // namespace

Result<void> backend(const BackendOptions& options)
{
    spdlog::set_level(options.verbose ? spdlog::level::debug : spdlog::level::info);
    spdlog::set_pattern("%Y-%m-%d %H:%M:%S.%e %l %v");
    if (options.print) return print_commands(options.backend);
    if (options.detach) return runtime::detach_backend(options.backend.instance);
    return runtime::run_backend(options.backend);
}

} // namespace lb::cli
