// What this machine's kernel can do, found by trying: each feature is a tiny program that is loaded, never
// attached. Needs the rights to load programs. The value struct is lb/base/kernel_features.hpp. Any thread.
#pragma once

#include <string>
#include <string_view>

#include "lb/base/kernel_features.hpp"

namespace lb::kernel {

/// "6.18.44" as uname says it.
Result<std::string> kernel_release();
/// Tries everything; host_not_ready where programs cannot be loaded at all.
Result<KernelFeatures> probe_features();
/// What a plain kernel of that version has.
inline Result<KernelFeatures> features_of_version(std::string_view version)
{
    return KernelFeatures::from_version(version);
}
/// "Linux 6.18: jiffies64 coarse_clock ... ; without tcx".
std::string to_text(const KernelFeatures& features);

} // namespace lb::kernel
