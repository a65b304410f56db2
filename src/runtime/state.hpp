// What a run must leave behind for the next one of its instance, even after kill -9: ids given to proxies and
// targets, and what it made on the host. One JSON file per instance. Changed host settings are shared by all
// instances: see host_settings.hpp. One thread, under the instance's lock.
#pragma once

#include <string>
#include <vector>

#include "lb/base/result.hpp"
#include "model/plan.hpp"

namespace lb::runtime {

struct State {
    model::Ids ids = {};
    std::vector<u32> clsact_made = {}; ///< indices of interfaces on which lb made the qdisc
    bool bpffs_mounted = false;        ///< lb mounted it
};

/// The folder of an instance: /run/lb/<instance>.
std::string run_folder(const std::string& instance);

/// The state that was saved, or an empty one where there is none.
Result<State> load_state(const std::string& instance);
Result<void> save_state(const std::string& instance, const State& state);
Result<void> remove_state(const std::string& instance);

} // namespace lb::runtime
