// What a translated frame looks like, sums included. A sum that was right is computed from scratch; one that
// was wrong, or covers bytes that are not there (a fragment, a cut quotation), changes by what changed (RFC
// 1624), so that it stays as wrong or as right as it was. Pure.
#pragma once

#include "model_parse.hpp"

namespace lb::test {

/// RFC 1624, equation 3: the checksum of data of which `before` became `after` (both of even length).
u16 updated_checksum(u16 checksum, std::span<const u8> before, std::span<const u8> after);

/// TCP or UDP with these addresses and ports.
Bytes rewritten(const Bytes& frame, const Parsed& parsed, const ModelTuple& to);
/// A later fragment: addresses only.
Bytes rewritten_fragment(const Bytes& frame, const Parsed& parsed, const Address& saddr,
                         const Address& daddr);
/// An ICMP error from `saddr` to `daddr` that quotes `inner`.
Bytes rewritten_error(const Bytes& frame, const Parsed& parsed, const Quoted& quoted, const Address& saddr,
                      const Address& daddr, const ModelTuple& inner);

} // namespace lb::test
