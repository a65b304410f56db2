// What tests of targets' health share.
#pragma once

#include "setup.hpp"

namespace lb::e2e {

/// Settings: checked at a port beside the one that serves, so that a target can be unhealthy and answer.
inline const std::string checks = R"("health-check-enabled": true, "health-check-defaults": {"port": 9000,
    "interval-ms": 1000, "timeout-ms": 500, "healthy-threshold": 1, "unhealthy-threshold": 1})";

/// What makes the target there healthy.
inline std::unique_ptr<Server> health_server(const Namespace& where, const std::string& ip)
{
    return std::make_unique<Server>(
        ServerOptions{.name = "health", .listen = ip + ":9000", .netns = where.fd(), .udp = false});
}

} // namespace lb::e2e
