// What differs between IPv4 and IPv6: types, map by map, and how addresses move in generated code. The stages
// are templates over these two.
#pragma once

#include "datapath/maps.hpp"
#include "lb/asm/dsl.hpp"
#include "lb/base/wire.hpp"

namespace lb::datapath {

template <class A> struct FamilyTypes {
    using Address = A;
    using Key = model::FlowKey<A>;
    using Flow = model::Flow<A>;
    using Route = model::RouteKey<A>;
    using Source = model::SourceKey<A>;
    using Opened = model::FlowOpened<A>;
    using FragmentKey = model::FragmentKey<A>;
    using Fragment = model::Fragment<A>;
    using SessionKey = model::SessionKey<A>;
    static constexpr u32 address_bits = sizeof(A) * 8;
};

struct V4 : FamilyTypes<be32> {
    using Header = wire::Ipv4;
    static constexpr model::Family family = model::Family::ipv4;
    static constexpr bool header_sum = true; ///< the header has a checksum of its own
    static constexpr auto target_address = &model::TargetRow::address4;
    static constexpr auto nat_source = &model::SourceRow::address4;
    static constexpr auto protocol = &Header::protocol;
    static constexpr u8 icmp = wire::protocol_icmp;
    static const FamilyMaps<be32>& maps(const Maps& maps) { return *maps.v4; }
    static Address address(const IpAddress& ip) { return ip.v4(); }
};

struct V6 : FamilyTypes<wire::Address6> {
    using Header = wire::Ipv6;
    static constexpr model::Family family = model::Family::ipv6;
    static constexpr bool header_sum = false;
    static constexpr auto target_address = &model::TargetRow::address6;
    static constexpr auto nat_source = &model::SourceRow::address6;
    static constexpr auto protocol = &Header::next_header;
    static constexpr u8 icmp = wire::protocol_icmpv6;
    static const FamilyMaps<wire::Address6>& maps(const Maps& maps) { return *maps.v6; }
    static Address address(const IpAddress& ip) { return ip.address6(); }
};

/// Emits `to = from`.
inline void copy_address(const bpf::Field<be32>& to, const bpf::Field<be32>& from) { to = from; }
inline void copy_address(const bpf::View<wire::Address6>& to, const bpf::View<wire::Address6>& from)
{
    to.copy_from(from);
}
/// Emits `if a != b goto label`.
inline void jump_if_differs(bpf::Dsl& b, const bpf::Field<be32>& one, const bpf::Field<be32>& other,
                            bpf::Label label)
{
    auto address = b.let<be32>("address", one);
    b.jump_if(other != address, label);
}
inline void jump_if_differs(bpf::Dsl&, const bpf::View<wire::Address6>& one,
                            const bpf::View<wire::Address6>& other, bpf::Label label)
{
    one.jump_if_differs(other, label);
}
/// The same with a constant.
inline void jump_if_differs(bpf::Dsl& b, const bpf::Field<be32>& one, be32 other, bpf::Label label)
{
    b.jump_if(one != other, label);
}
inline void jump_if_differs(bpf::Dsl& b, const bpf::View<wire::Address6>& one, const wire::Address6& other,
                            bpf::Label label)
{
    // The lower half first: addresses of one site have the upper one in common.
    b.jump_if(one(&wire::Address6::low) != other.low, label);
    b.jump_if(one(&wire::Address6::high) != other.high, label);
}

} // namespace lb::datapath
