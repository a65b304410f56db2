// A TAP interface whose other side is the test: it sends frames as a client's network card would and reads
// what the host hands to the card, with the virtio header that says what is left for the card to do
// (checksum, segmentation).
#pragma once

#include <optional>
#include <string>

#include "lab/netns.hpp"
#include "lab/packet.hpp"
#include "lab/socket.hpp"

namespace lb::lab {

/// A frame as the host hands it over.
struct TapFrame {
    Bytes bytes = {};
    bool needs_checksum = false;
    PartialChecksum checksum = {};
    u16 segment_size = 0; ///< above 0: to be cut into segments with so much payload
};

class Tap {
public:
    /// Makes it in `where`, up. The host may hand over partial checksums, and with `segmentation` large TCP
    /// packets.
    Tap(const Namespace& where, const std::string& name, bool segmentation = false);

    /// A frame from the wire, its checksums complete.
    void send(const Bytes& frame) const;
    /// The next frame with IPv4; nothing after `limit`. Others (IPv6, ARP) are passed over.
    std::optional<TapFrame> receive(Milliseconds limit = std::chrono::seconds(2)) const;
    Mac mac() const { return mac_; }

private:
    Fd fd_;
    Mac mac_ = {};
};

} // namespace lb::lab
