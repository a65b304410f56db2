// What the kernel's verifier would say late and in registers, said early and with the C++ line: registers and
// stack bytes that are read but not written on every path, unaligned stack accesses, and control that leaves
// a function. One use per Builder::finish().
#pragma once

#include <bitset>
#include <optional>
#include <vector>

#include "lb/asm/builder.hpp"

namespace lb::bpf {

class Checker {
public:
    explicit Checker(Builder& builder) : b_(builder) {}
    /// Needs pruned nodes with resolved labels. Keeps the first error in the builder.
    void run();

private:
    /// What is certainly written when control arrives at a node.
    struct State {
        u16 regs = 0;
        std::bitset<stack_bytes_max> stack = {}; // bit 0 is the byte at fp-512
        friend bool operator==(const State&, const State&) = default;
        State meet(const State& other) const
        {
            return {static_cast<u16>(regs & other.regs), stack & other.stack};
        }
    };

    void run_function(u32 first, u32 end, u32 arguments);
    bool check_reads(const Builder::Node& node, const State& state);
    bool check_stack_access(const Builder::Node& node, const State& state);
    bool check_in_frame(StackRange range, const Builder::Node& node);
    bool check_stack_bytes(StackRange range, const State& state, const Builder::Node& node);
    static State after(const Builder::Node& node, State state);

    Builder& b_;
};

/// Registers that an instruction reads and writes, as bit sets over r0-r10. Calls read nothing here: their
/// arguments depend on the callee. The checker knows those of the program's own functions, the kernel those
/// of helpers.
u16 registers_read(const Insn& insn);
u16 registers_written(const Insn& insn);

} // namespace lb::bpf
