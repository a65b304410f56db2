// A translated packet's way without the kernel's stack: where the kernel knows its way to the end and XDP can
// send by the interface, lb sends it, one hop less to live. Whatever is missing, or unusual, leaves it to the
// stack, which finds it as it always does. Emitted once.
#pragma once

#include "datapath/carry.hpp"

namespace lb::datapath {

/// Emits it, at `carrying.translated`.
void emit_fast_path(bpf::Dsl& b, const model::Plan& plan, const Maps& maps, Ways& ways,
                    const Carrying& carrying, const bpf::StackVar<u64>& context,
                    const bpf::StackVar<u64>& l3_offset);

} // namespace lb::datapath
