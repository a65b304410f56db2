// IPv6's traffic class (RFC 8200, section 7), which lies across two bytes.
#pragma once

#include "datapath/tunnel.hpp"
#include "lb/asm/dsl.hpp"

namespace lb::datapath {

/// Emits the class, DSCP and ECN as in IPv4's TOS, and the version; of the flow label the first four bits are
/// 0 afterwards.
inline void write_traffic_class(bpf::Dsl& b, const bpf::View<tunnel::Ipv6>& ip, const bpf::Field<u8>& tos)
{
    using tunnel::Ipv6;
    auto high = b.let<u32>("class", tos);
    high >>= 4;
    high |= 0x60;
    ip(&Ipv6::version_class).store(high.reg());
    auto low = b.let<u32>("class", tos);
    low <<= 4;
    ip(&Ipv6::class_label).store(low.reg()); // its low byte
}

/// Emits `to = the class`.
inline void read_traffic_class(bpf::Dsl& b, const bpf::Field<u8>& to, const bpf::View<tunnel::Ipv6>& ip)
{
    auto high = b.let<u32>("class", ip(&tunnel::Ipv6::version_class));
    high <<= 4;
    auto low = b.let<u32>("low", ip(&tunnel::Ipv6::class_label));
    low >>= 4;
    high |= low.value();
    to.store(high.reg());
}

} // namespace lb::datapath
