// Fragments: the first one has the ports and is translated as any packet; it leaves a row by which the
// others, which have none, follow it. One that comes before the first is not lb's to judge: it passes
// unchanged.
#pragma once

#include "datapath/carry.hpp"
#include "datapath/parse.hpp"

namespace lb::datapath {

/// Emits, where the packet at hand is a first fragment: a row with what `flow` has made of it.
template <class F>
void remember_fragment(bpf::Dsl& b, const Maps& maps, const Frame<F>& frame,
                       const bpf::View<typename F::Header>& ip, const bpf::View<typename F::Flow>& flow,
                       model::Direction direction);

/// Emits the search for the row of a later fragment, whose addresses and protocol are in `frame.key`; goes to
/// `early` where its first one has not been seen. `direction`: as it was remembered. `l4`: at the fragment
/// header (IPv6), or at what it is a fragment of.
template <class F>
bpf::View<typename F::Fragment> recall_fragment(const Parser& parser, const Maps& maps, const Frame<F>& frame,
                                                const bpf::View<typename F::Header>& ip,
                                                const bpf::PacketPointer& l4, model::Direction direction,
                                                bpf::Label early);

/// Emits the translation of a later fragment, whose addresses and protocol are in `frame.key`; goes to
/// `translated`, or leaves where its first one has not been seen. `direction`: forward writes the
/// destination, reply the source. `l4`: at the fragment header (IPv6), or at what it is a fragment of.
/// `carrying`: where the first one may have been carried; null where none is. `across`: where to go with what
/// may be of a connection between families; empty where there are none.
template <class F>
void follow_fragment(const Parser& parser, const Maps& maps, const Frame<F>& frame,
                     const bpf::View<typename F::Header>& ip, const bpf::PacketPointer& l4,
                     model::Direction direction, bpf::Label translated, const Carrying* carrying = nullptr,
                     std::optional<bpf::Label> across = {});

/// How long a row is good for: RFC 791 and 8200 let a receiver wait that long for the rest, and
/// identifications come again.
inline constexpr u64 fragment_lifetime_ns = 30'000'000'000;

} // namespace lb::datapath
