// ICMP errors: they quote the packet that they are about, and that packet is one that lb has translated.
// Whoever gets the error has to find its own packet in there, or path MTU discovery stalls (RFC 1191, RFC
// 5508).
#pragma once

#include "datapath/carry.hpp"
#include "datapath/parse.hpp"

namespace lb::datapath {

/// Emits the translation of an ICMP error about a packet of a known connection that went the other way, and
/// goes to `translated`; leaves with other ICMP. `direction`: of the entry by which it is found. A quoted L4
/// header of 8 bytes, of which RFC 792 is content, is enough. `other_direction`: where to go with an error
/// that is found by an entry of the other direction. `carrying`: how an error goes to a target that answers
/// by itself, about an answer of that kind; null where there is none. `across`: where to go with what may be
/// of a connection between families; empty where there are none.
template <class F>
void translate_icmp_error(const Parser& parser, const Maps& maps, const Frame<F>& frame,
                          const bpf::View<typename F::Header>& ip, bpf::PacketPointer& l4,
                          model::Direction direction, bpf::Label translated, bpf::Label other_direction,
                          const Carrying* carrying = nullptr, std::optional<bpf::Label> across = {});

} // namespace lb::datapath
