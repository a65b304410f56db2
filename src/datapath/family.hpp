// What differs between IPv4 and IPv6: types, map by map, and how addresses move in generated code. The stages
// are templates over these two; those that a connection between families meets as well, over all four.
#pragma once

#include "datapath/maps.hpp"
#include "lb/asm/dsl.hpp"
#include "lb/base/wire.hpp"

namespace lb::datapath {

/// A: the packets' addresses; B: those of the packets that come back; E: those in both entries.
template <class A, class B = A, class E = A> struct FamilyTypes {
    using Address = A;
    using Key = model::FlowKey<A>;
    using BackKey = model::FlowKey<B>;
    using Flow = model::Flow<E>;
    using Route = model::RouteKey<A>;
    using Source = model::SourceKey<A>;
    using Opened = model::FlowOpened<A>;
    using FragmentKey = model::FragmentKey<A>;
    using Fragment = model::Fragment<E>;
    using SessionKey = model::SessionKey<A>;
    static constexpr u32 address_bits = sizeof(A) * 8;
};

/// What the packets are, wherever they go.
struct Ipv4Packets {
    using Header = wire::Ipv4;
    static constexpr model::Family family = model::Family::ipv4;
    static constexpr bool header_sum = true; ///< the header has a checksum of its own
    static constexpr auto protocol = &Header::protocol;
    static constexpr u8 icmp = wire::protocol_icmp;
    static const FamilyMaps<be32>& maps(const Maps& maps) { return *maps.v4; }
    static be32 address(const IpAddress& ip) { return ip.v4(); }
};
struct Ipv6Packets {
    using Header = wire::Ipv6;
    static constexpr model::Family family = model::Family::ipv6;
    static constexpr bool header_sum = false;
    static constexpr auto protocol = &Header::next_header;
    static constexpr u8 icmp = wire::protocol_icmpv6;
    static const FamilyMaps<wire::Address6>& maps(const Maps& maps) { return *maps.v6; }
    static wire::Address6 address(const IpAddress& ip) { return ip.address6(); }
};

/// What the targets are.
struct Ipv4Targets {
    static constexpr model::Family back_family = model::Family::ipv4;
    static constexpr auto target_address = &model::TargetRow::address4;
    static constexpr auto nat_source = &model::SourceRow::address4;
};
struct Ipv6Targets {
    static constexpr model::Family back_family = model::Family::ipv6;
    static constexpr auto target_address = &model::TargetRow::address6;
    static constexpr auto nat_source = &model::SourceRow::address6;
};

struct V4 : FamilyTypes<be32>, Ipv4Packets, Ipv4Targets {
    static constexpr bool across = false; ///< between families
    static constexpr u32 backlog_row = 0; ///< in Maps::backlog
    static const auto& flows(const Maps& maps) { return maps.v4->flows; }
    static const auto& back_flows(const Maps& maps) { return maps.v4->flows; }
    static const auto& backlog(const Maps& maps) { return maps.v4->backlog; }
    static const auto& fragments(const Maps& maps) { return maps.v4->fragments; }
};

struct V6 : FamilyTypes<wire::Address6>, Ipv6Packets, Ipv6Targets {
    static constexpr bool across = false;
    static constexpr u32 backlog_row = 1;
    static const auto& flows(const Maps& maps) { return maps.v6->flows; }
    static const auto& back_flows(const Maps& maps) { return maps.v6->flows; }
    static const auto& backlog(const Maps& maps) { return maps.v6->backlog; }
    static const auto& fragments(const Maps& maps) { return maps.v6->fragments; }
};

/// IPv4 packets that become IPv6 packets, and the other way round (full NAT between families). The packets
/// that come back from one's connections are the other's. Entries of both have IPv6 addresses, an IPv4
/// address as RFC 4291, 2.5.5.2 has it.
struct V4To6 : FamilyTypes<be32, wire::Address6, wire::Address6>, Ipv4Packets, Ipv6Targets {
    static constexpr bool across = true;
    static constexpr u32 backlog_row = 2;
    static const auto& flows(const Maps& maps) { return maps.across->flows4; }
    static const auto& back_flows(const Maps& maps) { return maps.v6->flows; }
    static const auto& backlog(const Maps& maps) { return maps.across->backlog4; }
    static const auto& fragments(const Maps& maps) { return maps.across->fragments4; }
};

struct V6To4 : FamilyTypes<wire::Address6, be32, wire::Address6>, Ipv6Packets, Ipv4Targets {
    static constexpr bool across = true;
    static constexpr u32 backlog_row = 3;
    static const auto& flows(const Maps& maps) { return maps.v6->flows; }
    static const auto& back_flows(const Maps& maps) { return maps.across->flows4; }
    static const auto& backlog(const Maps& maps) { return maps.across->backlog6; }
    static const auto& fragments(const Maps& maps) { return maps.across->fragments6; }
};

/// An IPv4 address where an IPv6 one has room.
struct MappedAddress {
    be64 zero{};
    be16 more_zero{}, ones{};
    be32 address4{};
};
static_assert(sizeof(MappedAddress) == sizeof(wire::Address6));

/// Emits `to = from`.
inline void copy_address(const bpf::Field<be32>& to, const bpf::Field<be32>& from) { to = from; }
inline void copy_address(const bpf::View<wire::Address6>& to, const bpf::View<wire::Address6>& from)
{
    to.copy_from(from);
}
inline void copy_address(const bpf::View<wire::Address6>& to, const bpf::Field<be32>& from)
{
    const auto mapped = to.as<MappedAddress>();
    mapped(&MappedAddress::zero) = be64{0};
    mapped(&MappedAddress::more_zero) = be16{0};
    mapped(&MappedAddress::ones) = be16{0xffff};
    mapped(&MappedAddress::address4) = from;
}
inline void copy_address(const bpf::Field<be32>& to, const bpf::View<wire::Address6>& from)
{
    to = from.as<MappedAddress>()(&MappedAddress::address4);
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
