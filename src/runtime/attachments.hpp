// The programs on the interfaces. Links are pinned, so they live on when the process is killed; the next run
// finds them by interface and puts its programs in their place without a gap. Taken off by detach_all(),
// never by a destructor.
#pragma once

#include "kernel/bpffs.hpp"
#include "kernel/interfaces.hpp"
#include "kernel/link.hpp"
#include "lb/base/kernel_features.hpp"
#include "model/config.hpp"
#include "runtime/state.hpp"

namespace lb::runtime {

struct AttachPlan {
    std::vector<kernel::Interface> ingress = {};
    std::vector<kernel::Interface> egress = {};
    std::vector<kernel::Interface> inside = {}; ///< on the targets' side; see inside.hpp
    model::XdpMode xdp_mode = model::XdpMode::automatic;
    bool needs_inside = false; ///< it is an error if `inside` is not to be had; else a warning
};

struct AttachedPrograms {
    const kernel::Program& ingress;
    const kernel::Program& egress;
    const kernel::Program& inside; ///< empty where the plan has no such interfaces
};

/// Puts the programs where the plan says, ingress last, so that no reply leaves untranslated; takes those of
/// an earlier run off interfaces that are no longer named. On an error, what this call attached anew is taken
/// off again, and what it replaced is put back.
Result<void> attach_all(const std::string& instance, State& state, const kernel::PinFolder& pins,
                        const AttachPlan& plan, const AttachedPrograms& programs,
                        const KernelFeatures& features);

struct AttachedMore {
    bool any = false;
    std::vector<u32> refused = {}; ///< indices of interfaces where it is not to be had, which is logged
};
/// Puts the program on those of `plan.inside` that it is not on yet.
AttachedMore attach_more(const std::string& instance, State& state, const kernel::PinFolder& pins,
                         const AttachPlan& plan, const kernel::Program& inside);

/// The pin's name of the link to an interface's XDP hook.
std::string xdp_pin(u32 ifindex);

/// Takes everything off that this instance has attached, in whichever run.
Result<void> detach_all(State& state, const kernel::PinFolder& pins);

} // namespace lb::runtime
