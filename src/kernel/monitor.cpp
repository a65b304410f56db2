#include "kernel/monitor.hpp"

#include <linux/rtnetlink.h>

#include <cerrno>

namespace lb::kernel {

namespace {

void add_event(std::vector<HostEvent>& events, u16 type, std::span<const u8> payload)
{
    using Kind = HostEvent::Kind;
    if (type == RTM_NEWLINK || type == RTM_DELLINK) {
        events.push_back({.kind = type == RTM_NEWLINK ? Kind::link_changed : Kind::link_removed,
                          .interface = parse_interface(payload)});
    } else if (type == RTM_NEWADDR || type == RTM_DELADDR) {
        if (auto address = parse_host_address(payload))
            events.push_back({.kind = type == RTM_NEWADDR ? Kind::address_added : Kind::address_removed,
                              .address = *address});
    }
}

} // namespace

Result<HostMonitor> HostMonitor::open()
{
    auto socket = NetlinkSocket::open(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR);
    if (!socket) return context(socket.error(), "watching addresses");
    return HostMonitor(std::move(*socket));
}

Result<std::vector<HostEvent>> HostMonitor::read()
{
    std::vector<HostEvent> events;
    for (;;) {
        auto read =
            socket_.drain([&](u16 type, std::span<const u8> payload) { add_event(events, type, payload); });
        if (read) return events;
        if (read.error().sys_errno != ENOBUFS) return std::unexpected(read.error());
        // The socket's buffer overflowed. What is still in it is older than a listing that is made from now
        // on.
        events.push_back({.kind = HostEvent::Kind::lost});
    }
}

} // namespace lb::kernel
