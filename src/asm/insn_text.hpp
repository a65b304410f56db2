// The text of one instruction, with names for what it refers to put in by who knows them: the listing of a
// program does, a single instruction doesn't. Pure; safe from any thread.
#pragma once

#include <string>

#include "lb/asm/insn.hpp"

namespace lb::bpf {

/// Replacements in the text of an instruction; an empty one leaves the number that is encoded.
struct InsnNames {
    std::string name = {}; ///< of the map, the function or the kernel function
    std::string imm = {};  ///< of the value that the loader puts in the immediate
};

std::string insn_text(const Insn& insn, const InsnNames& names);

} // namespace lb::bpf
