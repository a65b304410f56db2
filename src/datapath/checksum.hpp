// Checksum arithmetic in generated code: RFC 1624's incremental update, with the difference computed once
// when a connection is made. Sums are taken over values as they are loaded; one's complement does not care
// for byte order.
#pragma once

#include "lb/asm/dsl.hpp"
#include "lb/base/wire.hpp"

namespace lb::datapath {

/// Folds a sum of a few 16- and 32-bit parts (at most 36 bits) to 16 bits.
void fold_sum(bpf::Dsl& b, bpf::Var<u64>& sum);

/// sum += ~from + to, in halves, for a field of 64 bits.
void add_change_of_word(bpf::Dsl& b, bpf::Var<u64>& sum, const bpf::Field<be64>& from,
                        const bpf::Field<be64>& to, bpf::Loc loc);

/// sum += ~from + to, for one field of 16 or 32 bits (eqn. 3 of RFC 1624).
template <class W>
void add_change(bpf::Dsl& b, bpf::Var<u64>& sum, const bpf::Field<W>& from, const bpf::Field<W>& to,
                bpf::Loc loc = bpf::Loc::current())
{
    using Bits = typename W::Host;
    auto old = b.let_bits<u32>("old", from, loc);
    old ^= bpf::Operand<u32>(Bits(~Bits{0}), loc);
    sum += bpf::Operand<u64>(old, loc);
    sum += bpf::Operand<u64>(b.let_bits<u32>("new", to, loc), loc);
}

/// The same for an IPv6 address.
inline void add_change(bpf::Dsl& b, bpf::Var<u64>& sum, const bpf::View<wire::Address6>& from,
                       const bpf::View<wire::Address6>& to, bpf::Loc loc = bpf::Loc::current())
{
    for (const auto word : {&wire::Address6::high, &wire::Address6::low})
        add_change_of_word(b, sum, from(word), to(word), loc);
}

/// check = ~(~check + delta). With `zero_is_none` (UDP): a check of 0 stays 0, and a computed 0 is written as
/// 0xffff.
void apply_delta(bpf::Dsl& b, const bpf::Field<be16>& check, const bpf::Field<u16>& delta, bool zero_is_none);

/// Writes an IPv4 header's checksum, of all its other members.
void write_header_sum(bpf::Dsl& b, const bpf::View<wire::Ipv4>& ip);

/// check = ~(~check + sum), for a folded sum of changes.
void apply_sum(bpf::Dsl& b, const bpf::Field<be16>& check, const bpf::Var<u64>& sum);

} // namespace lb::datapath
