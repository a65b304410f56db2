// How the model reads a frame: VLAN tags, both families, options, extension headers, fragments, what an ICMP
// error quotes; and why a packet is not of interest. Written from the RFCs and the README, apart from
// src/datapath. Numbers in host order. Pure.
#pragma once

#include <optional>
#include <set>
#include <utility>

#include "lab/packet.hpp"
#include "model/reason.hpp"

namespace lb::test {

using lab::Address;
using lab::Bytes;
using lab::u16;
using lab::u32;
using lab::u64;
using lab::u8;

struct ModelTuple {
    Address saddr = {}, daddr = {};
    u16 sport = 0, dport = 0;
    u8 protocol = 0;
    friend auto operator<=>(const ModelTuple&, const ModelTuple&) = default;
    ModelTuple reversed() const { return {daddr, saddr, dport, sport, protocol}; }
};

/// By what the fragments of one datagram know each other.
struct FragmentKey {
    Address saddr = {}, daddr = {};
    u32 id = 0;
    u8 protocol = 0;
    friend auto operator<=>(const FragmentKey&, const FragmentKey&) = default;
};

/// What the reader has to know of the configuration.
struct ParseRules {
    bool ingress = true;
    bool loopback_targets = false;
    std::set<u8> families = {};                 ///< 4, 6: of any listener
    std::set<std::pair<u8, u8>> protocols = {}; ///< (family, protocol) of any listener
};

struct Parsed {
    enum class Kind { leaves, transport, later_fragment, icmp };
    Kind kind = Kind::leaves;
    model::Reason reason = model::Reason::internal; ///< of `leaves`
    u8 version = 0;                                 ///< 0: the frame ended before it was known
    std::size_t ip_at = 0, l4_at = 0;
    std::size_t end = 0;     ///< as the IP header says
    ModelTuple tuple = {};   ///< of `transport`; addresses and protocol of the others
    u8 flags = 0;            ///< of TCP
    bool fragmented = false; ///< the first of several, or a later one
    FragmentKey fragment = {};
};

Parsed parse_frame(const Bytes& frame, const ParseRules& rules);

/// The packet that an ICMP error quotes, as far as it takes to translate it.
struct Quoted {
    std::size_t ip_at = 0, l4_at = 0;
    ModelTuple tuple = {};
};
/// Nothing where the frame is no error that is translated: another type, no 8 bytes of TCP or UDP quoted.
std::optional<Quoted> parse_quoted(const Bytes& frame, const Parsed& outer);

/// Addresses and ports where `parsed` found them, in a frame of the same shape.
ModelTuple tuple_in(const Bytes& frame, u8 version, std::size_t ip_at, std::size_t l4_at, u8 protocol);
/// Writes them there; ports only with `l4_at` (0: none). Sums are left alone.
void put_addresses(Bytes& frame, u8 version, std::size_t ip_at, const Address& saddr, const Address& daddr);
void put_ports(Bytes& frame, std::size_t l4_at, u16 sport, u16 dport);

u32 number(const Bytes& bytes, std::size_t at, std::size_t size);
bool is_loopback(const Address& address);

} // namespace lb::test
