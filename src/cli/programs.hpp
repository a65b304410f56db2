// The programs that a configuration generates, for the commands that show or judge them.
#pragma once

#include <vector>

#include "cli/options.hpp"
#include "datapath/maps.hpp"
#include "lb/asm/program.hpp"
#include "lb/base/kernel_features.hpp"

namespace lb::cli {

Result<std::vector<bpf::Program>> generate(const model::Plan& plan, const datapath::Maps& maps, Which which,
                                           const KernelFeatures& features);

} // namespace lb::cli
