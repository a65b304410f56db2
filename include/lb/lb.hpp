// liblb: a load balancer inside your own process. It does what the `lb` daemon does, from the same
// configuration text: generates and loads programs, attaches them, and keeps them current while tick() is
// called about once a second. One LoadBalancer per instance name on a machine; use it from one thread at a
// time. Needs what the daemon needs (root or CAP_BPF and CAP_NET_ADMIN).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lb/base/address.hpp"
#include "lb/base/result.hpp"

namespace lb {

/// Since the maps were made; numbers only grow.
struct TargetStatistics {
    std::string proxy = {};
    Endpoint target = {};
    u64 connections = 0;
    u64 forward_packets = 0, forward_bytes = 0; ///< toward the target; bytes from the IP header on
    u64 reply_packets = 0, reply_bytes = 0;     ///< back to the clients
};

/// Why packets left the programs, and how many.
struct ExitStatistics {
    std::string reason = {};
    std::string meaning = {};
    u64 packets = 0;
};

/// What a proxy has turned away: no target, no room, lists, rate limits.
struct ProxyStatistics {
    std::string proxy = {};
    std::vector<ExitStatistics> refused = {}; ///< each reason that there is
};

struct Statistics {
    std::vector<TargetStatistics> targets = {};
    std::vector<ProxyStatistics> proxies = {};
    std::vector<ExitStatistics> exits = {};
    u64 live_connections = 0; ///< as of the last tick()
};

/// Nothing, or all that is wrong with a configuration, as `lb check` says it. `name` stands for the file in
/// messages.
Result<void> check_configuration(std::string_view text, std::string_view name = "configuration");

class LoadBalancer {
public:
    /// Attaches; from here on packets are translated. On an error the host is as it was.
    static Result<LoadBalancer> start(std::string_view configuration,
                                      std::string_view name = "configuration");
    LoadBalancer(LoadBalancer&&) noexcept;
    LoadBalancer& operator=(LoadBalancer&&) noexcept;
    /// Leaves everything attached: a process that ends must not end the traffic. Call stop() to take it off.
    ~LoadBalancer();

    /// Follows the host's addresses and removes idle connections. Call it about once a second.
    Result<void> tick();
    Result<Statistics> statistics() const;
    /// Takes programs, pins and changed host settings off again; afterwards only destruction is allowed.
    Result<void> stop();

private:
    struct Parts;
    explicit LoadBalancer(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

} // namespace lb
