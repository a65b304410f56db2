// What the assembler hands over: slots, and what is still open in them (relocations), and where each came
// from. A Program holds no fd, no address and nothing of this machine: the same input gives the same bytes
// everywhere. Pure values; safe from any thread.
#pragma once

#include <source_location>
#include <string>
#include <vector>

#include "lb/asm/insn.hpp"
#include "lb/asm/map.hpp"

namespace lb::bpf {

/// The kernel's numbers (bpf_prog_type), of those that lb generates and tests with.
enum class ProgramType : u32 { socket_filter = 1, sched_cls = 3, xdp = 6, syscall = 31 };
/// The kernel's numbers (bpf_attach_type). An XDP program that a link shall update must say `xdp` at load.
enum class AttachType : u32 { none = 0, xdp = 37, tcx_ingress = 46, tcx_egress = 47 };

/// A place that the loader fills: `symbol` is a map's name, or for `value32` any name both sides agree on.
struct Reloc {
    enum class Kind { map_fd, map_value, value32 };
    Kind kind = Kind::map_fd;
    u32 slot = 0;
    std::string symbol = {};
};

/// From this slot on, instructions came from this line; `text` is the note in force there.
struct LineInfo {
    u32 slot = 0;
    std::string file = {}; ///< base name
    u32 line = 0;
    u32 column = 0;
    std::string text = {};
};

/// A function of the program: the first is the entry, at slot 0; the others are called by it.
struct Function {
    std::string name = {};
    u32 slot = 0;
    u32 arguments = 1; ///< scalars in r1.., at most 5; the entry has one, its context
};

/// One way out of the program: why, and what the program returns there.
struct ExitInfo {
    u32 reason = 0;
    std::string name = {};
    i32 verdict = 0;
};

struct Program {
    std::string name = {};
    ProgramType type = ProgramType::xdp;
    AttachType attach = AttachType::none;
    bool frags = false; ///< XDP programs only: BPF_F_XDP_HAS_FRAGS
    std::vector<RawInsn> code = {};
    std::vector<Reloc> relocs = {};
    std::vector<LineInfo> lines = {};
    std::vector<Function> functions = {};
    std::vector<ExitInfo> exits = {};
    std::vector<MapSpec> maps = {}; ///< those that the code names, each once, by first use
};

} // namespace lb::bpf
