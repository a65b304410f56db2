// Where a packet's steps go: how often each slot was executed, by note and by C++ line. Give it to a run as
// its trace. One thread.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "lb/asm/program.hpp"

namespace lb::bpf {

class Profile {
public:
    struct Row {
        std::string note = {};
        std::string file = {}; ///< of the row's first slot
        u32 line = 0;
        u64 steps = 0;
        std::vector<u32> calls = {}; ///< numbers of the helpers called, in the order of their slots
    };

    explicit Profile(const Program& program);

    /// For RunOptions. The profile must stay where it is meanwhile.
    std::function<void(u32)> trace();
    u64 steps() const;
    /// How often the instruction at a slot was executed.
    u64 at(u32 slot) const { return steps_[slot]; }

    /// Those that were executed, in the order of their first slots. One row per note, wherever it stands.
    std::vector<Row> by_note() const;
    /// One row per note and C++ line.
    std::vector<Row> by_line() const;

private:
    std::vector<Row> rows(bool lines) const;

    struct Slot {
        u32 line = 0; ///< index of the line record in force
        u32 helper = 0;
    };
    std::vector<LineInfo> lines_ = {};
    std::vector<Slot> slots_ = {};
    std::vector<u64> steps_ = {};
};

} // namespace lb::bpf
