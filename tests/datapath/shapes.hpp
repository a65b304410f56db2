// Frames of every shape that is translated, and judges that know a target for each family.
#pragma once

#include "judge.hpp"

namespace lb::test {

/// A connection and what stands between Ethernet and L4 in its frames.
struct FrameShape {
    std::string name = {};
    bool six = false;
    u8 protocol = 6;
    std::vector<u16> tags = {};
    Bytes options = {};
    std::vector<lab::Extension> extensions = {};
};

/// Both families, TCP and UDP, no tag to two, options of each length, one extension header to six.
std::vector<FrameShape> every_shape();

Address shape_client(const FrameShape&shape), shape_vip(const FrameShape&shape),
    shape_target(const FrameShape&shape);
/// The client's packet to the VIP, and the target's answer as it leaves.
Packet shape_request(const FrameShape& shape, std::size_t payload = 16, u16 port = 4000);
Packet shape_reply(const FrameShape& shape, std::size_t payload = 16, u16 port = 4000);

/// A proxy for each family on port 80, TCP and UDP, with one target each.
Judge judge_of_both_families();

} // namespace lb::test
