// The ports of this host's own sockets, which full NAT must not send from where it uses the host's addresses:
// sets of ports as the kernel's settings write them, and what lb needs of these settings.
#pragma once

#include <bitset>
#include <optional>
#include <span>
#include <string>

#include "kernel/interfaces.hpp"
#include "model/plan.hpp"

namespace lb::runtime {

class PortSet {
public:
    /// As in net.ipv4.ip_local_reserved_ports: "80,1000-1999"; empty text for none.
    static std::optional<PortSet> parse(std::string_view text);
    static PortSet range(u16 first, u16 last);
    /// As the kernel writes it: ascending, neighbours as ranges.
    std::string text() const;
    std::size_t count() const { return ports_.count(); }

    friend PortSet operator|(const PortSet& a, const PortSet& b) { return PortSet(a.ports_ | b.ports_); }
    friend PortSet operator&(const PortSet& a, const PortSet& b) { return PortSet(a.ports_ & b.ports_); }
    PortSet operator~() const { return PortSet(~ports_); }
    friend bool operator==(const PortSet&, const PortSet&) = default;

private:
    using Ports = std::bitset<65536>;
    PortSet() = default;
    explicit PortSet(const Ports& ports) : ports_(ports) {}
    Ports ports_ = {};
};

/// What ip_local_reserved_ports has to be, so that the kernel gives none of full NAT's ports to a socket that
/// asks for any; empty: as it is. An error where too few would be left to the host.
Result<std::optional<std::string>> needed_reserved_ports(const PortSet& local, const PortSet& reserved,
                                                         const PortSet& full_nat);

inline constexpr const char* reserved_ports_setting = "net/ipv4/ip_local_reserved_ports";

/// The same for a plan on this host; empty also where full NAT's addresses are not the host's.
Result<std::optional<std::string>> needed_reserved_ports(const model::Plan& plan,
                                                         std::span<const kernel::HostAddress> own);

/// So many ports at least are left to the host's own sockets.
inline constexpr std::size_t local_ports_min = 1024;

} // namespace lb::runtime
