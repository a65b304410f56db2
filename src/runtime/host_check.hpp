// Whether this machine can run a plan, found by reading it; nothing is changed. What `lb check --host`
// prints. One thread.
#pragma once

#include <string>
#include <vector>

#include "lb/base/result.hpp"
#include "model/plan.hpp"

namespace lb::runtime {

struct Finding {
    enum class Weight {
        note,    ///< lb will see to it, or it is good to know
        warning, ///< some traffic may not get through
        error,   ///< lb would not start, or a target cannot be reached
    };
    Weight weight = Weight::note;
    std::string text = {};
};

/// Interfaces, routes and settings, held against what the plan needs. An error where they could not be read.
Result<std::vector<Finding>> check_host(const model::Plan& plan);

} // namespace lb::runtime
