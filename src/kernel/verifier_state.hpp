// What the verifier's log says of the registers: followed along a path, and put in words. The views point
// into the log, which must outlive them. Not safe from several threads.
#pragma once

#include <array>
#include <map>
#include <string>
#include <string_view>

#include "lb/asm/insn.hpp"

namespace lb::kernel {

/// Whether the text is a state: `R1=ctx() R10=fp0`, `frame1: R0_w=5`.
bool is_state(std::string_view text);

/// The registers of each frame, as the log's states and annotations change them.
class RegisterStates {
public:
    /// A state that may be complete: then what it does not name holds nothing.
    void apply(std::string_view state, bool is_annotation);
    /// A helper was called: r1-r5 hold nothing.
    void forget_arguments();
    /// The kernel's text of a register in the frame that runs, `pkt(r=54)`; empty where it holds nothing.
    std::string_view of(bpf::Reg reg) const;

private:
    using Frame = std::array<std::string_view, bpf::registers_count>;
    std::map<u32, Frame> frames_ = {};
    u32 current_ = 0;
};

/// A register's state in words: `pkt(r=14)` is `a packet pointer of which 14 bytes are checked`.
std::string in_words(std::string_view state);

} // namespace lb::kernel
