// Instructions as text, in the words of the kernel's own verifier log, so that a listing and a log can be
// laid side by side. What the kernel would print as an address or a bare number (maps, functions, values that
// the loader fills) is named as `bpftool prog dump xlated` names it. Pure; safe from any thread.
#pragma once

#include <span>
#include <string>

#include "lb/asm/insn.hpp"
#include "lb/asm/program.hpp"

namespace lb::bpf {

/// `r1 = *(u64 *)(r6 +0)`. An instruction that does not exist gives `invalid instruction (8d)`.
std::string disassemble(const Insn& insn);
/// The same with the opcode in front, as in the verifier's log: `(79) r1 = *(u64 *)(r6 +0)`.
std::string disassemble_with_opcode(const Insn& insn);

struct ListingOptions {
    bool lines = true;  ///< `; note @ file.cpp:34` above the instructions of each line record
    bool labels = true; ///< `L3:` above the targets of jumps, `; -> L3` at the jumps
    bool bytes = false; ///< the eight bytes of each slot in front of its text
    /// Slot numbers, distances of jumps, C++ lines. Without these, which shift when one statement is put in,
    /// two listings compare by what was changed: notes stand once, where they begin, and jumps name their
    /// labels.
    bool positions = true;
};

/// The whole program, slots numbered as the verifier numbers them:
///
///     lb_ingress:
///     ; parse the headers @ ingress.cpp:34
///        5: (69) r0 = *(u16 *)(r6 +12)
///        6: (56) if w0 != 0x8 goto pc+95       ; -> L7
std::string disassemble(const Program& program, const ListingOptions& options = {});

} // namespace lb::bpf
