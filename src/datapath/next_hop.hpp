// Whether a packet of full NAT gets as far as to the next hop. Of one that does not, the kernel would tell
// its source, which is lb itself once it is translated; so lb looks before, and tells its sender.
#pragma once

#include "datapath/ingress.hpp"

namespace lb::datapath {

/// Whether packets of full NAT keep their family.
inline bool has_too_large(const model::Plan& plan)
{
    return plan.has_full_nat(model::Family::ipv4) || plan.has_full_nat(model::Family::ipv6);
}

/// Emits the answers to those of them that are too large.
inline void emit_too_large(bpf::Dsl& b, const model::Plan& plan, const Maps& maps, Ways& ways,
                           const bpf::StackVar<u64>& context, bool frags, const TooLarge& too_large)
{
    emit_too_large(b, maps, ways, context, frags, too_large, plan.has_full_nat(model::Family::ipv4),
                   plan.has_full_nat(model::Family::ipv6), model::Reason::too_big_unsaid);
}

/// Emits the checks of a packet that is to be translated by `flow`, where some of the family's are of full
/// NAT; it leaves, or goes to `in.too_large`, as it came. `memory`: 64 bytes for the question. `with_nat`:
/// whether it may be of NAT, whose client the kernel tells.
template <class F, class L4>
void check_next_hop(const Ingress& in, const Headers<F, L4>& headers, const bpf::View<typename F::Flow>& flow,
                    bpf::StackRange memory, bool with_nat);

} // namespace lb::datapath
