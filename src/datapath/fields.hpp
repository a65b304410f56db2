// The members of the map layouts by name, so that BTF and `bpftool map dump` show them.
#pragma once

#include "lb/asm/fields.hpp"
#include "model/layout.hpp"

namespace lb::model {

/// The name of a layout in BTF: of the family that it is of.
template <class A> constexpr const char* name_of_family(const char* ipv4, const char* ipv6)
{
    return std::is_same_v<A, be32> ? ipv4 : ipv6;
}

} // namespace lb::model

template <class A>
inline constexpr auto lb::bpf::fields<lb::model::FlowKey<A>> = lb::bpf::describe<lb::model::FlowKey<A>>(
    lb::model::name_of_family<A>("flow_key4", "flow_key6"), member("saddr", &lb::model::FlowKey<A>::saddr),
    member("daddr", &lb::model::FlowKey<A>::daddr), member("sport", &lb::model::FlowKey<A>::sport),
    member("dport", &lb::model::FlowKey<A>::dport), member("protocol", &lb::model::FlowKey<A>::protocol),
    member("zero8", &lb::model::FlowKey<A>::zero8), member("zero16", &lb::model::FlowKey<A>::zero16));

template <class A>
inline constexpr auto lb::bpf::fields<lb::model::Flow<A>> = lb::bpf::describe<lb::model::Flow<A>>(
    lb::model::name_of_family<A>("flow4", "flow6"), member("saddr", &lb::model::Flow<A>::saddr),
    member("daddr", &lb::model::Flow<A>::daddr), member("sport", &lb::model::Flow<A>::sport),
    member("dport", &lb::model::Flow<A>::dport), member("address_delta", &lb::model::Flow<A>::address_delta),
    member("l4_delta", &lb::model::Flow<A>::l4_delta), member("last_seen", &lb::model::Flow<A>::last_seen),
    member("created", &lb::model::Flow<A>::created), member("carried", &lb::model::Flow<A>::carried),
    member("packets", &lb::model::Flow<A>::packets), member("bytes", &lb::model::Flow<A>::bytes),
    member("proxy", &lb::model::Flow<A>::proxy), member("target", &lb::model::Flow<A>::target),
    member("direction", &lb::model::Flow<A>::direction), member("tcp_flags", &lb::model::Flow<A>::tcp_flags),
    member("port_delta", &lb::model::Flow<A>::port_delta), member("ended", &lb::model::Flow<A>::ended));

template <>
inline constexpr auto lb::bpf::fields<lb::model::TargetRow> = lb::bpf::describe<lb::model::TargetRow>(
    "target", member("address6", &lb::model::TargetRow::address6),
    member("address4", &lb::model::TargetRow::address4), member("port", &lb::model::TargetRow::port),
    member("replies", &lb::model::TargetRow::replies), member("proxy", &lb::model::TargetRow::proxy),
    member("carried", &lb::model::TargetRow::carried));

template <>
inline constexpr auto lb::bpf::fields<lb::model::SourceRow> = lb::bpf::describe<lb::model::SourceRow>(
    "source", member("address6", &lb::model::SourceRow::address6),
    member("address4", &lb::model::SourceRow::address4), member("known", &lb::model::SourceRow::known));

template <>
inline constexpr auto lb::bpf::fields<lb::model::CarrierRow> = lb::bpf::describe<lb::model::CarrierRow>(
    "carrier", member("saddr6", &lb::model::CarrierRow::saddr6),
    member("daddr6", &lb::model::CarrierRow::daddr6), member("saddr4", &lb::model::CarrierRow::saddr4),
    member("daddr4", &lb::model::CarrierRow::daddr4), member("mode", &lb::model::CarrierRow::mode),
    member("family", &lb::model::CarrierRow::family), member("port", &lb::model::CarrierRow::port),
    member("sends", &lb::model::CarrierRow::sends), member("zero8", &lb::model::CarrierRow::zero8),
    member("zero16", &lb::model::CarrierRow::zero16));

template <>
inline constexpr auto lb::bpf::fields<lb::model::ProxyRow> = lb::bpf::describe<lb::model::ProxyRow>(
    "proxy", member("group", &lb::model::ProxyRow::group),
    member("algorithm", &lb::model::ProxyRow::algorithm), member("mode", &lb::model::ProxyRow::mode),
    member("zero16", &lb::model::ProxyRow::zero16), member("session_ns", &lb::model::ProxyRow::session_ns),
    member("id", &lb::model::ProxyRow::id), member("zero32", &lb::model::ProxyRow::zero32));

template <>
inline constexpr auto lb::bpf::fields<lb::model::MemberKey> = lb::bpf::describe<lb::model::MemberKey>(
    "member", member("group", &lb::model::MemberKey::group), member("target", &lb::model::MemberKey::target));

template <class A>
inline constexpr auto lb::bpf::fields<lb::model::SessionKey<A>> = lb::bpf::describe<lb::model::SessionKey<A>>(
    lb::model::name_of_family<A>("session_key4", "session_key6"),
    member("proxy", &lb::model::SessionKey<A>::proxy), member("zero32", &lb::model::SessionKey<A>::zero32),
    member("client", &lb::model::SessionKey<A>::client));

template <>
inline constexpr auto lb::bpf::fields<lb::model::Session> = lb::bpf::describe<lb::model::Session>(
    "session", member("target", &lb::model::Session::target), member("zero32", &lb::model::Session::zero32),
    member("seen", &lb::model::Session::seen));

template <>
inline constexpr auto lb::bpf::fields<lb::model::GroupRow> =
    lb::bpf::describe<lb::model::GroupRow>("group", member("word", &lb::model::GroupRow::word));

template <>
inline constexpr auto lb::bpf::fields<lb::model::BacklogRow> =
    lb::bpf::describe<lb::model::BacklogRow>("backlog", member("begun", &lb::model::BacklogRow::begun),
                                             member("evicted", &lb::model::BacklogRow::evicted));

template <>
inline constexpr auto lb::bpf::fields<lb::model::AnswersRow> =
    lb::bpf::describe<lb::model::AnswersRow>("answers", member("window", &lb::model::AnswersRow::window),
                                             member("count", &lb::model::AnswersRow::count));

template <class A>
inline constexpr auto lb::bpf::fields<lb::model::RouteKey<A>> = lb::bpf::describe<lb::model::RouteKey<A>>(
    lb::model::name_of_family<A>("route_key4", "route_key6"),
    member("prefix_length", &lb::model::RouteKey<A>::prefix_length),
    member("proxy", &lb::model::RouteKey<A>::proxy), member("address", &lb::model::RouteKey<A>::address));

template <class A>
inline constexpr auto lb::bpf::fields<lb::model::SourceKey<A>> = lb::bpf::describe<lb::model::SourceKey<A>>(
    lb::model::name_of_family<A>("source_key4", "source_key6"),
    member("address", &lb::model::SourceKey<A>::address), member("proxy", &lb::model::SourceKey<A>::proxy),
    member("zero32", &lb::model::SourceKey<A>::zero32));

template <>
inline constexpr auto lb::bpf::fields<lb::model::Buckets> =
    lb::bpf::describe<lb::model::Buckets>("buckets", member("connections", &lb::model::Buckets::connections),
                                          member("packets", &lb::model::Buckets::packets));

template <>
inline constexpr auto lb::bpf::fields<lb::model::RateRow> =
    lb::bpf::describe<lb::model::RateRow>("rate", member("interval", &lb::model::RateRow::interval),
                                          member("tolerance", &lb::model::RateRow::tolerance));

template <>
inline constexpr auto lb::bpf::fields<lb::model::LimitsRow> = lb::bpf::describe<lb::model::LimitsRow>(
    "limits", member("source_connections", &lb::model::LimitsRow::source_connections),
    member("source_packets", &lb::model::LimitsRow::source_packets),
    member("target_connections", &lb::model::LimitsRow::target_connections),
    member("target_packets", &lb::model::LimitsRow::target_packets),
    member("mask6", &lb::model::LimitsRow::mask6), member("mask4", &lb::model::LimitsRow::mask4),
    member("zero32", &lb::model::LimitsRow::zero32));

template <class A>
inline constexpr auto
    lb::bpf::fields<lb::model::FragmentKey<A>> = lb::bpf::describe<lb::model::FragmentKey<A>>(
        lb::model::name_of_family<A>("fragment_key4", "fragment_key6"),
        member("saddr", &lb::model::FragmentKey<A>::saddr),
        member("daddr", &lb::model::FragmentKey<A>::daddr), member("id", &lb::model::FragmentKey<A>::id),
        member("protocol", &lb::model::FragmentKey<A>::protocol),
        member("direction", &lb::model::FragmentKey<A>::direction),
        member("zero16", &lb::model::FragmentKey<A>::zero16));

template <class A>
inline constexpr auto lb::bpf::fields<lb::model::Fragment<A>> = lb::bpf::describe<lb::model::Fragment<A>>(
    lb::model::name_of_family<A>("fragment4", "fragment6"), member("saddr", &lb::model::Fragment<A>::saddr),
    member("daddr", &lb::model::Fragment<A>::daddr), member("seen", &lb::model::Fragment<A>::seen),
    member("address_delta", &lb::model::Fragment<A>::address_delta),
    member("sport", &lb::model::Fragment<A>::sport), member("carrier", &lb::model::Fragment<A>::carrier));

template <>
inline constexpr auto lb::bpf::fields<lb::wire::Address6> = lb::bpf::describe<lb::wire::Address6>(
    "address6", member("high", &lb::wire::Address6::high), member("low", &lb::wire::Address6::low));

template <>
inline constexpr auto
    lb::bpf::fields<lb::model::TargetCounters> = lb::bpf::describe<lb::model::TargetCounters>(
        "target_counters", member("connections", &lb::model::TargetCounters::connections),
        member("forward_packets", &lb::model::TargetCounters::forward_packets),
        member("forward_bytes", &lb::model::TargetCounters::forward_bytes),
        member("reply_packets", &lb::model::TargetCounters::reply_packets),
        member("reply_bytes", &lb::model::TargetCounters::reply_bytes),
        member("unrecorded", &lb::model::TargetCounters::unrecorded));
