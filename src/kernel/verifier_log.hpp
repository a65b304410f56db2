// Reads the text that the kernel's verifier writes (log level 1 or 2) and says it again for the person who
// wrote the DSL: the way to the failing instruction under the lines that made it, the registers in words, and
// what to change. Text in, values out: no system call, no fd. Pure; safe from any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lb/asm/program.hpp"

namespace lb::kernel {

/// The verifier's closing lines; what it did not print stays 0 or empty.
struct VerifierStats {
    u64 instructions = 0; ///< processed, over all paths
    u64 instructions_limit = 0;
    u64 max_states_per_insn = 0;
    u64 total_states = 0;
    u64 peak_states = 0;
    u64 mark_read = 0;
    std::vector<u32> stack_depth = {}; ///< bytes, one per function, the entry first
    std::optional<u64> microseconds = {};
};

/// The statistics in a log, which is there for accepted programs too (log level 4 gives only these).
std::optional<VerifierStats> parse_verifier_stats(std::string_view log);

/// One line of the way to the failure: an instruction, or (without slot) how many were left out.
struct PathStep {
    std::optional<u32> slot = {};
    std::string text = {};  ///< the instruction as the kernel prints it, and what is to be said about it
    std::string where = {}; ///< `ingress.cpp:34 (parse eth/ipv4/tcp)`
    bool failed = false;
};

/// Why a program was rejected.
struct VerifierReport {
    std::string complaint = {};              ///< the kernel's own sentence
    std::optional<u32> slot = {};            ///< of the instruction that it is about
    std::string where = {};                  ///< the DSL line of that instruction
    std::vector<PathStep> path = {};         ///< first to last; bounded
    std::vector<std::string> registers = {}; ///< `r6 is a packet pointer of which 14 bytes are checked`
    std::string cause = {};
    std::string advice = {};
    std::optional<VerifierStats> stats = {};
};

/// Reads the log of a rejected program. Any text is accepted: what cannot be understood leaves its part
/// empty.
VerifierReport explain_rejection(std::string_view log, const bpf::Program& program);

/// The report as text for a terminal, several lines, the last one ended.
std::string to_text(const VerifierReport& report);

/// `ingress.cpp:34 (parse eth/ipv4/tcp)`: the line that made this slot; empty where the program has no lines.
std::string source_of(const bpf::Program& program, u32 slot);

} // namespace lb::kernel
