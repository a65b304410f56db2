// TC programs by a clsact filter, for kernels without TCX (before 6.6). Filters outlive the process, so
// ownership is by name, handle and priority, which the caller fixes once; what a killed run left is found and
// replaced. Whether lb made the clsact qdisc is the caller's to record (has_clsact() before, add_clsact()
// after the record is written): a qdisc that others may use is never removed. One thread at a time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernel/program.hpp"
#include "lb/base/result.hpp"

namespace lb::kernel {

enum class TcDirection { ingress, egress };

/// Where a filter sits and how it is recognised as lb's own.
struct FilterId {
    TcDirection direction = TcDirection::egress;
    u16 priority = 49; ///< lower runs first; 1..65535
    u32 handle = 0x1b; ///< not 0
    std::string name =
        {}; ///< of the filter: TCA_BPF_NAME; a filter of another name at this place is a stranger's
};

struct FilterInfo {
    u16 priority = 0;
    u32 handle = 0;
    std::string kind = {}; ///< "bpf", "u32", ...
    std::string name = {}; ///< of a bpf filter
    u32 program_id = 0;    ///< of a bpf filter
};

Result<bool> has_clsact(u32 ifindex);
/// True: made it; false: it was there.
Result<bool> add_clsact(u32 ifindex);
/// Removes the qdisc where no filter is left on it. True: removed. Only for a qdisc that lb itself made.
Result<bool> remove_clsact_if_empty(u32 ifindex);

/// The filters in the order in which they run.
Result<std::vector<FilterInfo>> list_filters(u32 ifindex, TcDirection direction);
/// Adds the filter, or replaces the program of the one that an earlier run left. Needs clsact. Refuses a
/// stranger's filter at the same place, with its name.
Result<void> set_filter(u32 ifindex, const FilterId& id, const Program& program);
/// Removes this filter alone. False: it was not there (nor a clsact, nor the interface).
Result<bool> remove_filter(u32 ifindex, const FilterId& id);

} // namespace lb::kernel
