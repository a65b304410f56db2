// The verifier's log as steps: which instruction followed which, over the branches that it came back to. The
// views point into the log, which must outlive the trace. Not safe from several threads.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "kernel/verifier_state.hpp"

namespace lb::kernel {

/// One instruction that the verifier looked at.
struct TraceStep {
    u32 slot = 0;
    std::string_view text = {};                ///< as the kernel prints it
    std::optional<std::size_t> parent = {};    ///< the step before it on its path
    std::vector<std::string_view> before = {}; ///< states that hold before it
    std::string_view annotation = {};          ///< what it changed
    std::vector<std::string_view> after = {};  ///< states printed behind it
};

struct Trace {
    std::vector<TraceStep> steps = {};
    std::vector<std::string_view> messages = {}; ///< what follows the last step: the complaint
};

Trace read_trace(std::string_view log);

/// The steps from the program's start (or as far back as the log goes) to the last one.
std::vector<const TraceStep*> path_to_last(const Trace& trace);

/// The registers as they are when the last step of the path is looked at.
RegisterStates states_at_end(const std::vector<const TraceStep*>& path);

} // namespace lb::kernel
