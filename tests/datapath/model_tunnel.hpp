// A client's packet on its way to a target that answers by itself: what is around it, written from RFC 2003,
// RFC 2473, RFC 6040 and the draft of GUE (variant 1), apart from src/datapath. Pure.
#pragma once

#include "model_parse.hpp"

namespace lb::test {

enum class ModelMode { nat, l2, ipip, gue };

/// What a connection's packets have around them. The first one shows which target was chosen, and which
/// number tells the connection apart; both stay.
struct ModelTunnel {
    ModelMode mode = ModelMode::nat;
    u16 gue_port = 6080;
    Address source4 = {}, source6 = {}; ///< of this host
    bool known = false;
    Address target = {};
    u16 number = 0; ///< GUE's source port, and the flow label by IPv6; 0: not seen yet

    /// Reads off `out` what has not been seen; what is wrong with it, or nothing.
    std::string learn(const Bytes& out);
};

/// The frame with the tunnel's header in it, all lengths and sums right.
Bytes encapsulated(const Bytes& frame, const ModelTunnel& tunnel);

/// The answer to a packet that does not fit: what is left for its sender is `mtu`.
Bytes too_big_answer(const Bytes& frame, u16 mtu, bool sent_back);

} // namespace lb::test
