// What a run must leave behind for the next one, even after kill -9: ids given to proxies and targets, and
// every host setting changed with the value it had. One JSON file per instance, replaced atomically before
// the change it records.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "lb/base/result.hpp"
#include "model/plan.hpp"

namespace lb::runtime {

struct ChangedSetting {
    std::string before = {}; ///< what to put back
    std::string after = {};  ///< what lb set
};

struct State {
    model::Ids ids = {};
    std::map<std::string, ChangedSetting> settings = {}; ///< by name under /proc/sys
    std::vector<u32> clsact_made = {};                   ///< indices of interfaces on which lb made the qdisc
    bool bpffs_mounted = false;                          ///< lb mounted it
};

/// The folder of an instance: /run/lb/<instance>.
std::string run_folder(const std::string& instance);

/// The state that was saved, or an empty one where there is none.
Result<State> load_state(const std::string& instance);
Result<void> save_state(const std::string& instance, const State& state);
Result<void> remove_state(const std::string& instance);

} // namespace lb::runtime
