// A balancer for tests that does one thing: whatever is routed into its TUN device goes through a tunnel to
// one backend. It uses the kernel's own raw and UDP sockets, so its outer headers are not lb's. Its thread
// ends with the object.
#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "lab/netns.hpp"
#include "lab/socket.hpp"

namespace lb::test {

class Encapsulator {
public:
    /// `backend`: the tunnel's far end. `gue_port`: 0 for IP in IP.
    Encapsulator(const lab::Namespace& where, const std::string& device, const std::string& backend,
                 lab::u16 gue_port);
    ~Encapsulator();
    Encapsulator(const Encapsulator&) = delete;
    Encapsulator& operator=(const Encapsulator&) = delete;

    lab::u64 sent() const { return sent_.load(); }
    /// Packets that did not fit the MTU with their outer header.
    lab::u64 too_large() const { return too_large_.load(); }

private:
    void forward(const std::stop_token& stop);

    lab::Fd tun_, by_ipip_, by_ipv6_; ///< tunnel sockets by inner family; both the same for GUE
    lab::SocketAddress to_;
    std::atomic<lab::u64> sent_{0}, too_large_{0};
    std::jthread thread_;
};

} // namespace lb::test
