// Comparisons with addresses that are known when the program is made: immediates instead of lookups.
#pragma once

#include "datapath/tunnel.hpp"
#include "lb/asm/dsl.hpp"
#include "model/backend.hpp"

namespace lb::datapath {

/// Emits `if the address is a VIP of this family goto found` for each; falls through where it is none.
void jump_if_vip(bpf::Dsl& b, const model::Backend& backend, const bpf::Field<be32>& address,
                 bpf::Label found);
void jump_if_vip(bpf::Dsl& b, const model::Backend& backend, const bpf::Field<be64>& high,
                 const bpf::Field<be64>& low, bpf::Label found);

/// The same for the prefixes that may send.
void jump_if_sender(bpf::Dsl& b, const model::Backend& backend, const bpf::Field<be32>& address,
                    bpf::Label found);
void jump_if_sender(bpf::Dsl& b, const model::Backend& backend, const bpf::Field<be64>& high,
                    const bpf::Field<be64>& low, bpf::Label found);

} // namespace lb::datapath
