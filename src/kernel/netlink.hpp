// A small rtnetlink client: requests with their answers and the kernel's own error text. Interfaces and
// addresses are in interfaces.hpp, the monitor of changes in monitor.hpp, filters in clsact.hpp. One thread
// per socket.
#pragma once

#include <linux/netlink.h>

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/fd.hpp"
#include "lb/base/bytes.hpp"
#include "lb/base/result.hpp"

namespace lb::kernel {

/// Builds one netlink message: header, a fixed struct, attributes (nested where told).
class NetlinkMessage {
public:
    NetlinkMessage(u16 type, u16 flags);
    template <class T> NetlinkMessage& body(const T& fixed)
    {
        static_assert(std::is_trivially_copyable_v<T>);
        return append(&fixed, sizeof(T));
    }
    NetlinkMessage& attribute(u16 type, const void* data, std::size_t size);
    NetlinkMessage& attribute(u16 type, std::string_view text); ///< with its final 0
    NetlinkMessage& attribute(u16 type, u32 value) { return attribute(type, &value, sizeof(value)); }
    std::size_t open_nested(u16 type);
    void close_nested(std::size_t at);
    std::span<u8> finish(u32 sequence);

private:
    NetlinkMessage& append(const void* data, std::size_t size);
    std::vector<u8> bytes_;
};

/// Walks attributes; `each` gets the type without flags and the payload.
void for_each_attribute(std::span<const u8> attributes,
                        const std::function<void(u16, std::span<const u8>)>& each);
template <class T> T read_as(std::span<const u8> payload)
{
    static_assert(std::is_trivially_copyable_v<T>);
    T out{};
    __builtin_memcpy(&out, payload.data(), payload.size() < sizeof(T) ? payload.size() : sizeof(T));
    return out;
}
std::string read_text(std::span<const u8> payload);

class NetlinkSocket {
public:
    /// `groups`: bits RTMGRP_* of the changes to hear of.
    static Result<NetlinkSocket> open(u32 groups = 0, int protocol = NETLINK_ROUTE);
    int fd() const { return fd_.get(); }

    using Handler = std::function<void(u16 type, std::span<const u8> payload)>;
    /// Sends a request and waits for its answer; `each` sees every message of a dump. The error has the errno
    /// that the kernel answered with, and its text where it gave one.
    Result<void> request(NetlinkMessage& message, const Handler& each = {});
    /// A request whose answer is a list. Where the list changed while the kernel wrote it, all is asked for
    /// again: `restart` forgets what `each` has taken so far.
    Result<void> dump(NetlinkMessage& message, const std::function<void()>& restart, const Handler& each);
    /// Reads what has come without waiting; ENOBUFS is an error of that errno: changes were lost.
    Result<void> drain(const Handler& each);

private:
    Fd fd_;
    u32 sequence_ = 0;
};

} // namespace lb::kernel
