// SYNs from as many sources as one likes, faster than sockets can send them: a program of our own assembler
// that the kernel runs on frames of its own and whose verdict puts them on the wire.
#pragma once

#include "kernel/map.hpp"
#include "kernel/program.hpp"
#include "lab/netns.hpp"
#include "lab/packet.hpp"

namespace lb::e2e {

class Flood {
public:
    /// From `interface` of this namespace, to whose peer an XDP program is attached. `syn`: whole, with
    /// Ethernet; source addresses count up from its own, one for each packet.
    Flood(const lab::Namespace& from, const std::string& interface, const lab::Packet& syn);
    /// Sends so many more, on the CPU at hand; returns when they are sent.
    void send(u32 count) const;

private:
    const lab::Namespace& from_;
    u32 ifindex_ = 0;
    lab::Bytes frame_;
    kernel::Map sent_;
    kernel::Program program_;
};

} // namespace lb::e2e
