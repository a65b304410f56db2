// What every kind of instance does at its start and end: its lock, its interfaces, its programs. No state;
// one thread per instance.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "kernel/interfaces.hpp"
#include "kernel/lock.hpp"
#include "kernel/program.hpp"
#include "lb/asm/error.hpp"
#include "runtime/state.hpp"

namespace lb::runtime {

Result<kernel::InstanceLock> lock_instance(const std::string& instance);
/// Asks the process that runs the instance to end and to detach, whatever its on-exit says; waits for that.
void end_holder(const std::string& instance);
/// Makes sure that a bpffs is there, and notes in the state whether it was before.
Result<void> mount_bpffs(State& state);
/// Each by its name; an error where one is not there, or has no Ethernet frames.
Result<std::vector<kernel::Interface>> find_interfaces(const std::vector<std::string>& names);
/// Loads what was generated; the verifier's refusal comes back in our own lines.
Result<kernel::Program> load_program(const std::expected<bpf::Program, bpf::Error>& made,
                                     const kernel::Resolver& resolver);

} // namespace lb::runtime
