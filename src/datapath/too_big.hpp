// A packet that does not fit on the way to its target, once a tunnel's header is around it: its sender is
// told what fits (RFC 1191, RFC 8201), in the VIP's name, by a packet made in the place of its own.
//
// IPv4 senders are told whether they forbid fragments or not: lb makes none, and a tunnel's fragments would
// have to be put together before the target sees what is inside.
#pragma once

namespace lb::datapath {

struct Carrier;

/// Emits the answer, at `c.too_big`, for the families that clients may have.
void emit_too_big(const Carrier& c, bool ipv4, bool ipv6);

} // namespace lb::datapath
