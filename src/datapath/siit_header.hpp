// IP headers of the other version (RFC 7915, 4.1 and 5.1), written into the stack frame. What says how long
// the packet is behind the header is the caller's, and so are the addresses, which are those of a flow entry.
// The hop limit stays: the kernel forwards the packet afterwards, and takes one off.
#pragma once

#include "datapath/frame.hpp"
#include "datapath/tunnel.hpp"

namespace lb::datapath {

/// Where a packet goes, as entries have it.
struct Addresses {
    bpf::View<wire::Address6> saddr, daddr;
};

/// Emits an IPv6 header out of an IPv4 one, without the next header. `payload`: bytes behind it, in host
/// order.
void write_ipv6(bpf::Dsl& b, const bpf::View<tunnel::Ipv6>& out, const bpf::View<wire::Ipv4>& ip,
                bpf::Var<u64>&& payload, const Addresses& addresses);
/// Emits the fragment header that follows it where the IPv4 packet is a fragment.
void write_fragment(bpf::Dsl& b, const bpf::View<wire::Ipv6Fragment>& out, const bpf::View<wire::Ipv4>& ip);

/// Emits an IPv4 header out of an IPv6 one, without protocol, identification, fragment and checksum. `total`:
/// bytes from it on, in host order.
void write_ipv4(bpf::Dsl& b, const bpf::View<wire::Ipv4>& out, const bpf::View<tunnel::Ipv6>& ip,
                bpf::Var<u64>&& total, const Addresses& addresses);
/// Emits those of a packet whose IPv6 header has a fragment header behind it.
void write_ipv4_fragment(bpf::Dsl& b, const bpf::View<wire::Ipv4>& out,
                         const bpf::View<wire::Ipv6Fragment>& fragment);
/// Emits those of a packet that is whole. What fits everywhere may be fragmented on its way and needs an
/// identification for that (RFC 7915, 5.1; RFC 6864), but for one that is quoted, and has gone its way.
void write_ipv4_whole(bpf::Dsl& b, const bpf::View<wire::Ipv4>& out, bool quoted);

/// IPv4 packets of no more bytes than this may be fragmented: as IPv6 packets, all links carry them.
inline constexpr u16 fragmentable_max = 1260;

} // namespace lb::datapath
