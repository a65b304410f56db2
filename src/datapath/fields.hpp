// The members of the map layouts by name, so that BTF and `bpftool map dump` show them.
#pragma once

#include "lb/asm/fields.hpp"
#include "model/layout.hpp"

template <>
inline constexpr auto lb::bpf::fields<lb::model::FlowKey4> = lb::bpf::describe<lb::model::FlowKey4>(
    "flow_key4", member("saddr", &lb::model::FlowKey4::saddr), member("daddr", &lb::model::FlowKey4::daddr),
    member("sport", &lb::model::FlowKey4::sport), member("dport", &lb::model::FlowKey4::dport),
    member("protocol", &lb::model::FlowKey4::protocol), member("zero8", &lb::model::FlowKey4::zero8),
    member("zero16", &lb::model::FlowKey4::zero16));

template <>
inline constexpr auto lb::bpf::fields<lb::model::Flow4> = lb::bpf::describe<lb::model::Flow4>(
    "flow4", member("saddr", &lb::model::Flow4::saddr), member("daddr", &lb::model::Flow4::daddr),
    member("sport", &lb::model::Flow4::sport), member("dport", &lb::model::Flow4::dport),
    member("address_delta", &lb::model::Flow4::address_delta),
    member("l4_delta", &lb::model::Flow4::l4_delta), member("last_seen", &lb::model::Flow4::last_seen),
    member("created", &lb::model::Flow4::created), member("packets", &lb::model::Flow4::packets),
    member("bytes", &lb::model::Flow4::bytes), member("proxy", &lb::model::Flow4::proxy),
    member("target", &lb::model::Flow4::target), member("direction", &lb::model::Flow4::direction),
    member("tcp_flags", &lb::model::Flow4::tcp_flags), member("port_delta", &lb::model::Flow4::port_delta),
    member("zero32", &lb::model::Flow4::zero32));

template <>
inline constexpr auto lb::bpf::fields<lb::model::TargetRow> = lb::bpf::describe<lb::model::TargetRow>(
    "target", member("address", &lb::model::TargetRow::address), member("port", &lb::model::TargetRow::port),
    member("zero16", &lb::model::TargetRow::zero16), member("proxy", &lb::model::TargetRow::proxy),
    member("zero32", &lb::model::TargetRow::zero32));

template <>
inline constexpr auto lb::bpf::fields<lb::model::GroupRow> =
    lb::bpf::describe<lb::model::GroupRow>("group", member("word", &lb::model::GroupRow::word));

template <>
inline constexpr auto lb::bpf::fields<lb::model::RouteKey4> = lb::bpf::describe<lb::model::RouteKey4>(
    "route_key4", member("prefix_length", &lb::model::RouteKey4::prefix_length),
    member("proxy", &lb::model::RouteKey4::proxy), member("address", &lb::model::RouteKey4::address));

template <>
inline constexpr auto
    lb::bpf::fields<lb::model::TargetCounters> = lb::bpf::describe<lb::model::TargetCounters>(
        "target_counters", member("connections", &lb::model::TargetCounters::connections),
        member("forward_packets", &lb::model::TargetCounters::forward_packets),
        member("forward_bytes", &lb::model::TargetCounters::forward_bytes),
        member("reply_packets", &lb::model::TargetCounters::reply_packets),
        member("reply_bytes", &lb::model::TargetCounters::reply_bytes));
