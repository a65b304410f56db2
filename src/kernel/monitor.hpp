// Tells of addresses and interfaces that come and go. Poll fd(), then read(). Open it before the first
// listing, so that nothing falls between the two. Owns its socket; one thread.
#pragma once

#include <string>
#include <vector>

#include "kernel/interfaces.hpp"
#include "kernel/netlink.hpp"

namespace lb::kernel {

struct HostEvent {
    enum class Kind {
        address_added,
        address_removed,
        link_changed, ///< new, renamed, up, down, ...
        link_removed,
        lost, ///< the kernel dropped changes: list everything again
    };
    Kind kind = Kind::lost;
    HostAddress address = {}; ///< for address_*
    Interface interface = {}; ///< for link_*; without driver
};

class HostMonitor {
public:
    static Result<HostMonitor> open();
    int fd() const { return socket_.fd(); }
    /// What has happened since the last call; never waits.
    Result<std::vector<HostEvent>> read();

private:
    explicit HostMonitor(NetlinkSocket socket) : socket_(std::move(socket)) {}
    NetlinkSocket socket_;
};

} // namespace lb::kernel
