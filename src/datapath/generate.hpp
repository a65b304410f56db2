// From a plan to programs: the one entry to this layer. The result depends on the plan and the kernel's
// features only.
#pragma once

#include <expected>

#include "datapath/maps.hpp"
#include "lb/asm/error.hpp"
#include "lb/asm/program.hpp"
#include "lb/base/kernel_features.hpp"
#include "model/plan.hpp"

namespace lb::datapath {

/// XDP: what comes in on a listener's interface; translates toward targets. The loader gives each
/// "ifindex:NAME".
std::expected<bpf::Program, bpf::Error> make_ingress(const model::Plan& plan, const Maps& maps,
                                                     const KernelFeatures& kernel);
/// XDP: what comes in on an interface toward targets, where no listener is; translates replies that arrive
/// there. For plans with expects_replies().
std::expected<bpf::Program, bpf::Error> make_inside(const model::Plan& plan, const Maps& maps,
                                                    const KernelFeatures& kernel);
/// XDP: goes on with what the two find to be of a connection between families, and attached to nothing. For
/// plans with goes_across().
std::expected<bpf::Program, bpf::Error> make_siit(const model::Plan& plan, const Maps& maps,
                                                  const KernelFeatures& kernel);
/// TC: what leaves by a listener's or egress interface; translates replies back.
std::expected<bpf::Program, bpf::Error> make_egress(const model::Plan& plan, const Maps& maps,
                                                    const KernelFeatures& kernel);
/// A program that returns the low 32 bits of jiffies64 when it is test-run: user space has no other way to
/// read them.
std::expected<bpf::Program, bpf::Error> make_clock();

/// How the loader is asked for an interface's index.
inline std::string ifindex_symbol(const std::string& interface) { return "ifindex:" + interface; }

} // namespace lb::datapath
