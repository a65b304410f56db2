// What happens to connections, as it happens, where `stats-enabled` asks for it: new ones from the program's
// ring buffer, ended ones from the collector. One thread.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "kernel/map.hpp"
#include "kernel/ring_buffer.hpp"
#include "model/flow_state.hpp"
#include "model/plan.hpp"
#include "runtime/collector.hpp"

namespace lb::runtime {

struct ConnectionOpened {
    model::Protocol protocol = model::Protocol::tcp;
    Endpoint client = {}, listener = {};
    std::string proxy = {};
    Endpoint target = {};
};

struct ConnectionClosed {
    ConnectionOpened connection = {};
    model::FlowState state = model::FlowState::established; ///< that it was in when it was removed
    std::chrono::milliseconds duration{};                   ///< from its first packet to its last
    u64 forward_packets = 0, forward_bytes = 0; ///< toward the target; bytes from the IP header on
    u64 reply_packets = 0, reply_bytes = 0;
};

/// "new tcp 198.51.100.2:40000 -> 192.0.2.1:80 proxy=web target=10.0.1.11:8080".
std::string to_text(const ConnectionOpened& event);
/// "closed tcp ... state=closed duration-ms=12 forward-packets=6 ...".
std::string to_text(const ConnectionClosed& event);

/// The collector's finding in the plan's names. `per_second`: jiffies in a second.
ConnectionClosed describe(const Ended& ended, const model::Plan& plan, u32 per_second);

class OpenedEvents {
public:
    static Result<OpenedEvents> open(const kernel::Map& events, const kernel::Map& lost);
    /// To be polled for reading; then read().
    int fd() const { return ring_.fd(); }
    /// Those that have come, oldest first; never waits.
    void read(const model::Plan& plan, const std::function<void(const ConnectionOpened&)>& each);
    /// How many found no room in the ring buffer since the maps were made.
    Result<u64> lost() const;

private:
    kernel::RingBuffer ring_ = {};
    kernel::Map lost_ = {};
};

} // namespace lb::runtime
