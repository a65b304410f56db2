// The packet that an ICMP error quotes, as far as its L4 header is certain to be there.
#pragma once

#include "datapath/checksum.hpp"

namespace lb::datapath {

/// The first 8 bytes of a TCP or UDP header: more is not quoted by all (RFC 792).
struct QuotedL4 {
    be16 sport{}, dport{};
    be16 udp_length{}; ///< in TCP: the sequence number's upper half
    be16 udp_checksum{};
};

/// A TCP header as far as its checksum.
struct QuotedTcp {
    QuotedL4 start{};
    be16 acknowledgment_high{}, acknowledgment_low{}, offset_flags{}, window{};
    be16 checksum{};
};
static_assert(sizeof(QuotedTcp) == 18);

/// Emits the change of a quoted L4 checksum, and adds what that changes in the sum of ICMP's.
template <class Flow>
void change_quoted_sum(bpf::Dsl& b, const bpf::Field<be16>& check, const bpf::View<Flow>& flow,
                       bpf::Var<u64>& sum)
{
    apply_delta(b, check, flow(&Flow::l4_delta), true);
    sum += 0xffff;
    sum -= flow(&Flow::l4_delta);
}

} // namespace lb::datapath
