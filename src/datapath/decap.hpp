// The programs of `lb backend`. XDP: takes the tunnel's outer header off and leaves the inner packet to the
// host. TC: lowers the MSS that the host offers to clients of a VIP. What they depend on is the plan of the
// backend and the kernel's features only.
#pragma once

#include <expected>
#include <vector>

#include "datapath/maps.hpp"
#include "datapath/tunnel.hpp"
#include "lb/asm/error.hpp"
#include "lb/asm/map.hpp"
#include "lb/asm/program.hpp"
#include "lb/base/kernel_features.hpp"
#include "model/backend.hpp"

namespace lb::datapath {

struct BackendMaps {
    BackendMaps();
    bpf::Map<be32, u32> own4;           ///< the host's addresses, kept current; the value is not used
    bpf::Map<wire::Address6, u32> own6; ///< the same of IPv6
    bpf::Map<u32, u64> exits;           ///< by reason, per CPU

    std::vector<const bpf::MapSpec*> all() const { return {&own4, &own6, &exits}; }
};

/// XDP; not for Tunnel::l2, where there is nothing to take off.
std::expected<bpf::Program, bpf::Error> make_decap(const model::Backend& backend, const BackendMaps& maps,
                                                   const KernelFeatures& kernel);
/// TC egress.
std::expected<bpf::Program, bpf::Error> make_mss_clamp(const model::Backend& backend,
                                                       const model::MssLimits& limits,
                                                       const BackendMaps& maps, const KernelFeatures& kernel);

} // namespace lb::datapath
