// From nodes to slots: labels resolved, unreachable nodes dropped, far jumps lengthened, relocations and line
// records placed. One use per Builder::finish().
#pragma once

#include <vector>

#include "lb/asm/builder.hpp"

namespace lb::bpf {

class Linker {
public:
    explicit Linker(Builder& builder) : b_(builder) {}

    /// Refuses labels and functions that are used but nowhere.
    void resolve();
    /// Refuses control that goes where it must not. Drops what no path reaches (the kernel refuses
    /// "unreachable insn", even for root), and gotos to the next instruction, which structured statements
    /// leave behind.
    void prune();
    /// The program; the builder's nodes must be pruned and checked.
    Program link();

private:
    std::vector<bool> reachable() const;
    bool check_flow(const std::vector<bool>& reached);
    bool goes_nowhere(u32 index, const std::vector<bool>& live) const;
    std::vector<bool> choose_long_jumps(std::vector<u32>& slot);
    void place_slots(const std::vector<bool>& is_long, std::vector<u32>& slot) const;
    i64 distance(u32 node, const std::vector<u32>& slot, u32 from_slot) const;
    void append(Program& program, const Insn& insn, const Builder::Node& node);
    void append_node(Program& program, u32 index, bool is_long, const std::vector<u32>& slot);
    void append_line(Program& program, const Builder::Node& node, u32 slot, bool first_of_function) const;

    Builder& b_;
};

} // namespace lb::bpf
