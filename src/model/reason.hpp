// Every way out of a generated program, with its reason: counters, `lb status`, the README's table and the
// listing are made from this one list. `verdict` is what happens to the packet there.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

#include "lb/base/bytes.hpp"

namespace lb::model {

/// Of which program: the two of the balancer, or those of `lb backend`.
enum class Role : u8 { ingress, egress, backend };
/// `tx`, `redirect`: lb sends the packet itself, back by the interface that it came in by, or by any.
enum class Outcome : u8 { pass, drop, tx, redirect };

constexpr std::string_view name_of(Outcome outcome)
{
    constexpr std::array<std::string_view, 4> names = {"pass", "drop", "tx", "redirect"};
    return names[static_cast<u8>(outcome)];
}

// X(enumerator, role, outcome, text for a person)
#define LB_REASONS(X)                                                                                        \
    X(forwarded, ingress, pass, "translated toward a target")                                                \
    X(not_ip, ingress, pass, "neither an IPv4 nor an IPv6 frame (ARP, ...)")                                 \
    X(not_unicast, ingress, pass,                                                                            \
      "a frame to a group address (ARP, multicast, ...), which lb does not send on")                         \
    X(no_family, ingress, pass, "of an IP version that no listener has")                                     \
    X(too_many_tags, ingress, pass, "more than two VLAN tags")                                               \
    X(truncated, ingress, pass, "shorter than its headers say")                                              \
    X(bad_header, ingress, pass, "IP header with a wrong version or length")                                 \
    X(extension_header, ingress, pass,                                                                       \
      "more than six IPv6 extension headers or 2048 bytes of them, a routing header with segments left, or " \
      "reserved bits in a fragment header")                                                                  \
    X(fragment_early, ingress, pass, "a later fragment whose first one has not been seen")                   \
    X(fragment_forwarded, ingress, pass, "a later fragment, translated as its first one")                    \
    X(icmp_other, ingress, pass, "ICMP that is no error about a known connection")                           \
    X(icmp_forwarded, ingress, pass, "an ICMP error, translated with the packet that it quotes")             \
    X(other_protocol, ingress, pass, "neither TCP, UDP nor ICMP")                                            \
    X(no_listener, ingress, pass, "no listener has this protocol and port")                                  \
    X(other_address, ingress, pass,                                                                          \
      "a listener's port, but not its address or interface: merely passing through")                         \
    X(reply, ingress, pass, "of a reply, which is translated where it leaves")                               \
    X(stray_reset, ingress, pass, "a TCP RST of no known connection")                                        \
    X(martian_loopback, ingress, drop, "for 127.0.0.0/8 from the wire, not translated by lb")                \
    X(no_target, ingress, drop, "no target of the group takes new connections")                              \
    X(table_full, ingress, drop, "the connection table is full (max-connections)")                           \
    X(no_source_port, ingress, drop,                                                                         \
      "no free source port for a connection that looks like another to its target; in full-nat: give "       \
      "settings.full-nat more addresses or ports")                                                           \
    X(internal, ingress, drop, "a map row is missing: a defect of lb")                                       \
    X(denied, ingress, drop, "a client that the proxy's allow and deny lists keep out")                      \
    X(source_connection_rate, ingress, drop, "more new connections than its source prefix may make")         \
    X(target_connection_rate, ingress, drop, "more new connections than its target is given")                \
    X(source_packet_rate, ingress, drop, "more packets than its source prefix may send")                     \
    X(target_packet_rate, ingress, drop, "more packets than its target is given")                            \
    X(encapsulated, ingress, pass, "on its way to a target in a tunnel's packet, which the kernel routes")   \
    X(sent_back, ingress, tx,                                                                                \
      "sent on toward a target by lb itself, back by the interface that it came in by")                      \
    X(sent_on, ingress, redirect, "sent on toward a target by lb itself, by the interface of the way")       \
    X(too_big, ingress, pass,                                                                                \
      "does not fit on the way to its target: its sender is told, by the kernel's way")                      \
    X(too_big_sent, ingress, redirect,                                                                       \
      "does not fit on the way to its target: its sender is told, by lb itself")                             \
    X(too_big_unsaid, ingress, drop,                                                                         \
      "does not fit on the way to its target, and nobody is told: a later fragment, itself ICMP, or one of " \
      "many")                                                                                                \
    X(dsr_tagged, ingress, drop, "to be carried to a target, with a VLAN tag in the frame")                  \
    X(dsr_no_route, ingress, drop, "to be carried to a target that this host has no way to")                 \
    X(dsr_not_on_link, ingress, drop, "dsr-l2 to a target behind a router")                                  \
    X(dsr_no_neighbour, ingress, drop, "dsr-l2 to a target whose Ethernet address is not known, yet")        \
    X(dsr_no_device, ingress, drop, "dsr-l2 by an interface that XDP cannot send by")                        \
    X(dsr_failed, ingress, drop, "to be carried to a target, and the kernel made no room for a header")      \
    X(no_source_address, ingress, drop, "full-nat to a target that this host has no address toward")         \
    X(last_hop, ingress, drop, "of full-nat, without a hop left: the kernel would tell lb's own address")    \
    X(reply_translated, ingress, pass, "a reply of full-nat, translated back toward the client")             \
    X(reply_sent_back, ingress, tx, "a reply, translated and sent by the interface that it came in by")      \
    X(reply_sent_on, ingress, redirect, "a reply, translated and sent by another interface")                 \
    X(martian_address, ingress, pass, "from an address that no client has, or to one that no VIP has")       \
    X(not_a_reply, ingress, pass, "on an interface toward targets, and no reply for the program there")      \
    X(siit_no_checksum, ingress, drop,                                                                       \
      "UDP without a checksum, which IPv6 has to have: a full-nat target of the other IP version")           \
    X(siit_source_route, ingress, drop,                                                                      \
      "IPv4 with a source route, which is not translated: a full-nat target of the other IP version")        \
    X(siit_icmp_unknown, ingress, drop, "an ICMP error that the other IP version has no word for")           \
    X(siit_failed, ingress, drop, "toward the other IP version, and too long or without room for a header")  \
    X(siit_lost, ingress, drop, "toward the other IP version, and its connection has just been taken out")   \
    X(reply_forwarded, egress, pass, "translated back toward the client")                                    \
    X(egress_not_ip, egress, pass, "neither an IPv4 nor an IPv6 frame")                                      \
    X(egress_no_family, egress, pass, "of an IP version that no listener has")                               \
    X(egress_too_many_tags, egress, pass, "more than two VLAN tags")                                         \
    X(egress_truncated, egress, pass, "shorter than its headers say")                                        \
    X(egress_bad_header, egress, pass, "IP header with a wrong version or length")                           \
    X(egress_extension_header, egress, pass,                                                                 \
      "more than six IPv6 extension headers or 2048 bytes of them, a routing header with segments left, or " \
      "reserved bits in a fragment header")                                                                  \
    X(egress_fragment_early, egress, pass, "a later fragment whose first one has not been seen")             \
    X(egress_fragment_forwarded, egress, pass, "a later fragment, translated as its first one")              \
    X(egress_icmp_other, egress, pass, "ICMP that is no error about a known connection")                     \
    X(egress_icmp_forwarded, egress, pass, "an ICMP error, translated with the packet that it quotes")       \
    X(egress_other_protocol, egress, pass, "neither TCP, UDP nor ICMP")                                      \
    X(egress_no_flow, egress, pass, "not a reply of a known connection")                                     \
    X(egress_loopback, egress, drop, "from 127.0.0.0/8 toward the wire, not translated by lb")               \
    X(egress_failed, egress, drop, "the kernel refused to change the packet")                                \
    X(decapsulated, backend, pass, "given to the host without the tunnel's header")                          \
    X(decap_not_ip, backend, pass, "neither an IPv4 nor an IPv6 frame (ARP, tagged, ...)")                   \
    X(decap_truncated, backend, pass, "too short for its headers, or shorter than its outer header says")    \
    X(decap_bad_header, backend, pass, "outer header with a wrong version or length")                        \
    X(decap_ip_options, backend, pass, "outer IPv4 options, which this version does not take off")           \
    X(decap_extension_header, backend, pass,                                                                 \
      "outer IPv6 extension headers, which this version does not take off")                                  \
    X(decap_fragment, backend, pass, "a fragment of an outer packet")                                        \
    X(decap_not_tunnel, backend, pass, "not of the tunnel's protocol or port")                               \
    X(decap_other_address, backend, pass, "of the tunnel, but not to an address of this host")               \
    X(decap_other_sender, backend, pass, "of the tunnel, but from nobody whom --from names")                 \
    X(decap_bad_gue, backend, pass, "a GUE header with options, or of a control message")                    \
    X(decap_bad_inner, backend, pass, "inner header with a wrong version or length")                         \
    X(decap_not_vip, backend, pass, "the inner packet is not for a VIP")                                     \
    X(decap_congested, backend, drop,                                                                        \
      "marked as congested outside, and inside of a sender who knows no ECN (RFC 6040)")                     \
    X(decap_failed, backend, drop, "the kernel refused to move the packet's start")                          \
    X(mss_lowered, backend, pass, "a SYN from a VIP, whose MSS now leaves room for the tunnel")              \
    X(mss_fits, backend, pass, "a SYN from a VIP with an MSS that is small enough")                          \
    X(mss_absent, backend, pass, "a SYN from a VIP without an MSS option")                                   \
    X(mss_not_syn, backend, pass, "from a VIP, but no SYN of TCP")                                           \
    X(mss_not_vip, backend, pass, "not from a VIP")                                                          \
    X(mss_ip_options, backend, pass, "from a VIP, with IPv4 options or IPv6 extension headers")              \
    X(mss_truncated, backend, pass, "leaving, and too short for its headers")                                \
    X(mss_failed, backend, drop, "leaving, and the kernel refused to change it")

enum class Reason : u32 {
#define X(name, role, outcome, text) name,
    LB_REASONS(X)
#undef X
};

struct ReasonInfo {
    Reason reason;
    std::string_view name;
    Role role;
    Outcome outcome;
    std::string_view text;
};

inline constexpr std::array reasons = {
#define X(name, role, outcome, text) ReasonInfo{Reason::name, #name, Role::role, Outcome::outcome, text},
    LB_REASONS(X)
#undef X
};
#undef LB_REASONS

inline constexpr u32 reasons_count = reasons.size();

constexpr const ReasonInfo& info(Reason reason) { return reasons[static_cast<u32>(reason)]; }

/// Drops that are somebody's to mend: of the configuration, of the host, of lb. The log warns of them.
inline constexpr std::array complaints = {
    Reason::no_target,        Reason::table_full,    Reason::no_source_port, Reason::no_source_address,
    Reason::internal,         Reason::dsr_tagged,    Reason::dsr_no_route,   Reason::dsr_not_on_link,
    Reason::dsr_no_neighbour, Reason::dsr_no_device, Reason::dsr_failed,     Reason::siit_failed,
    Reason::egress_failed,
};

/// Those by which a proxy refuses connections and packets of its own; counted for each proxy as well.
inline constexpr std::array refusals = {
    Reason::no_target,
    Reason::table_full,
    Reason::no_source_port,
    Reason::no_source_address,
    Reason::denied,
    Reason::source_connection_rate,
    Reason::source_packet_rate,
    Reason::target_connection_rate,
    Reason::target_packet_rate,
};
inline constexpr u32 refusals_count = refusals.size();

/// Where it stands in that list.
constexpr u32 refusal_index(Reason reason)
{
    return static_cast<u32>(std::ranges::find(refusals, reason) - refusals.begin());
}

} // namespace lb::model
