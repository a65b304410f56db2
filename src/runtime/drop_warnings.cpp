#include "runtime/drop_warnings.hpp"

#include <spdlog/spdlog.h>

namespace lb::runtime {

constexpr auto warning_interval = std::chrono::minutes(1);

void DropWarnings::look()
{
    const auto now = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < model::complaints.size(); ++i) {
        Told& told = told_[i];
        if (told.packets > 0 && now - told.at < warning_interval) continue;
        const auto& reason = model::info(model::complaints[i]);
        const auto packets = balancer_.counted(reason.reason);
        if (!packets) return spdlog::error("reading the counters: {}", packets.error().message);
        if (*packets <= told.packets) continue;
        spdlog::warn("{} packets dropped as {}: {}", *packets - told.packets, reason.name, reason.text);
        told = {.packets = *packets, .at = now};
    }
}

} // namespace lb::runtime
