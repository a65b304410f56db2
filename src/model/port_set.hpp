// Sets of ports as the kernel's settings write them, and how full NAT and the host's own sockets share ports
// where they use the same addresses. Pure values.
#pragma once

#include <bitset>
#include <optional>
#include <string>

#include "lb/base/bytes.hpp"
#include "lb/base/result.hpp"

namespace lb::model {

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

/// So many ports at least are left to the host's own sockets.
inline constexpr std::size_t local_ports_min = 1024;

/// What ip_local_reserved_ports has to be, so that the kernel gives none of full NAT's ports to a socket that
/// asks for any; empty: as it is. `local`: those that the kernel gives away, less `reserved`. An error of
/// ErrorKind::host_not_ready where too few would be left to the host.
Result<std::optional<std::string>> needed_reserved_ports(const PortSet& local, const PortSet& reserved,
                                                         const PortSet& full_nat);

} // namespace lb::model
