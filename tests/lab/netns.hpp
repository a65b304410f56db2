// Network namespaces for tests: made under /run/netns with a name of this process, gone when the object ends,
// when the process is interrupted, or at the next start after a SIGKILL. One process opens sockets in any of
// them: run() calls a function in a thread that has entered the namespace. Needs root. Each object is used by
// one thread at a time.
#pragma once

#include <functional>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "lab/process.hpp"

namespace lb::lab {

/// Once at the start of main: installs what cleans up on signals, removes leftovers of processes that are
/// gone. The reason why the lab cannot be used here (not root, a tool is missing), or nothing.
std::optional<std::string> start_lab();

/// Moves the calling thread into a namespace for the rest of its life.
void enter_netns(int fd);
/// Keeps the calling thread on one CPU; -1 leaves it alone. Veth delivers on the CPU that sends, so this
/// decides where the receiver's XDP program runs.
void pin_to_cpu(int cpu);
int cpu_count();

class Namespace {
public:
    explicit Namespace(const std::string& label);
    ~Namespace();
    Namespace(const Namespace&) = delete;
    Namespace& operator=(const Namespace&) = delete;

    const std::string& name() const { return name_; }
    int fd() const { return fd_; }

    /// Calls `function` in a thread inside of the namespace, waits, and gives what it returns or throws.
    template <class F> std::invoke_result_t<F> run(F&& function) const
    {
        std::packaged_task<std::invoke_result_t<F>()> task([this, &function] {
            enter_netns(fd_);
            return function();
        });
        auto result = task.get_future();
        std::jthread thread(std::move(task));
        return result.get();
    }

    /// `ip` with these words, in the namespace; must succeed.
    void ip(const std::string& words) const;
    /// Switches IPv6 on for an interface and gives it an address (with prefix length) that is usable at once.
    void add_ipv6(const std::string& interface, const std::string& address) const;
    /// Any command there, words split at blanks; must succeed.
    std::string exec(const std::string& words) const;
    /// `/proc/sys/net/KEY`, KEY with slashes.
    void set_sysctl(const std::string& key, const std::string& value) const;
    std::string sysctl(const std::string& key) const;
    /// Loads nftables rules from text.
    void nft(const std::string& rules) const;

private:
    std::string name_;
    int fd_ = -1;
};

/// A veth pair, both ends up, checksums computed in software: with tx checksum offload a veth hands the
/// peer's XDP program packets whose checksum is not there yet, which no real network does.
struct VethEnd {
    const Namespace& where;
    std::string interface;
    std::string address = {};  ///< with prefix length; empty: none
    std::string address6 = {}; ///< beside it, usable at once; empty: no IPv6 on this end
    int mtu = 1500;
};
void connect(const VethEnd& a, const VethEnd& b);

} // namespace lb::lab
