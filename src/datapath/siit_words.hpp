// What an ICMP error says, in the words of the other IP version (RFC 7915, 4.2 and 5.2). What has none there
// is dropped.
#pragma once

#include "datapath/siit.hpp"

namespace lb::datapath {

/// An ICMP header, its second word cut as the errors have it.
struct IcmpError {
    u8 type = 0, code = 0;
    be16 checksum{};
    u8 pointer4 = 0; ///< ICMPv4: which byte is wrong
    u8 zero8 = 0;
    be16 low{}; ///< the lower half: the MTU of either version, and as far as it goes, ICMPv6's pointer
};
static_assert(sizeof(IcmpError) == sizeof(wire::Icmp));

/// Emits the error of IPv4 in `said` as one of ICMPv6, but for its checksum. `quoted`: the header of the
/// packet that it is about.
void say_in_icmpv6(const Siit& in, const bpf::View<IcmpError>& said, const bpf::View<wire::Ipv4>& quoted,
                   const bpf::View<IcmpError>& out);

/// The other way round. `smaller`: by how much the packet is that its sender knows.
void say_in_icmpv4(const Siit& in, const bpf::View<IcmpError>& said, u32 smaller,
                   const bpf::View<IcmpError>& out);

} // namespace lb::datapath
