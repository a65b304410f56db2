// An interpreter: runs a Program with its maps in this process, without a kernel and without privileges. What
// it computes is what the kernel computes; what depends on the world (time, random numbers, the CPU) is given
// as values, so that a run is repeatable. It trusts no program: every pointer knows its object, every access
// is checked against it, and whatever the kernel would not have let through, or would have answered with a
// number that nobody can know (an address, bytes never written), ends the run with a Fault. It is no
// verifier: it judges the path taken, not the program.
//
//     Machine machine;
//     auto program = machine.load(*made, {{"ifindex:eth0", 1}});
//     machine.map("flows4").update(key, flow);
//     auto outcome = machine.run(*program, XdpInput{.frame = frame});
//
// A Machine is used by one thread. Pure: no system calls, no clock.
#pragma once

#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lb/asm/contexts.hpp"
#include "lb/asm/helpers.hpp"
#include "lb/asm/map_memory.hpp"
#include "lb/asm/program.hpp"

namespace lb::bpf {

enum class FaultKind {
    bad_program,            ///< an instruction, a relocation or a map that there is no meaning for
    bad_input,              ///< not what this type of program is run on
    bad_jump,               ///< control leaves the program, or enters the middle of an instruction
    step_limit,             ///< more steps than RunOptions allows
    call_depth,             ///< more frames than the kernel has
    uninitialised_register, ///< read before it was set
    uninitialised_memory,   ///< stack bytes read before they were written
    not_a_pointer,          ///< an access through a number
    out_of_bounds,          ///< an access outside of the object that the pointer is for
    misaligned,             ///< an access that the kernel demands to be aligned
    read_only,              ///< a store to what programs may only read
    stale_pointer,          ///< the object has gone, moved or been replaced since
    pointer_arithmetic,     ///< a pointer where only numbers are computed with
    pointer_comparison,     ///< pointers of different objects, or a pointer and a number
    pointer_leak,           ///< an address would become a number, or be stored outside of the stack
    bad_argument,           ///< not what the helper takes
    unreleased,             ///< a reserved ring buffer record at the end
    unsupported,            ///< a helper, a kernel function or an instruction that is not interpreted
};

/// Why a run ended without a result, and where.
struct Fault {
    FaultKind kind = FaultKind::bad_program;
    std::string message = {};
    u32 slot = 0;
    std::string insn = {}; ///< its text; empty where no instruction is to blame
    std::string file = {}; ///< of the C++ line that emitted it, where the program says
    u32 line = 0;
    std::string note = {};
};
/// `slot 5: (69) r0 = *(u16 *)(r6 +12) @ parse.cpp:34 (parse the headers): 2 bytes at 12 of the packet, ...`
std::string to_string(const Fault& fault);

/// What a program can learn of the world. Time stands still during a run.
struct Environment {
    u32 cpu = 0; ///< below the machine's number of CPUs
    u64 jiffies = 0;
    u64 monotonic_ns = 0;            ///< bpf_ktime_get_ns
    u64 coarse_ns = 0;               ///< bpf_ktime_get_coarse_ns
    std::vector<u32> random = {};    ///< what bpf_get_prandom_u32 gives, in order; then a fault
    u64 loops_max = 8 * 1024 * 1024; ///< may_goto leaves after so many rounds of one function
};

struct XdpInput {
    std::vector<u8> frame = {};
    XdpMd context = {};             ///< but for the packet's pointers
    u32 meta_bytes = 0;             ///< the first bytes of `frame` are metadata
    std::optional<u32> linear = {}; ///< bytes before data_end, where a frame has several parts
};
/// Whether the L4 checksum is all there, or the sum of the pseudo-header only.
enum class ChecksumState { complete, partial };
struct SkbInput {
    std::vector<u8> frame = {};     ///< from the Ethernet header on
    SkBuff context = {};            ///< but for the packet's length and pointers
    std::optional<u32> linear = {}; ///< bytes before data_end; the rest is in pages
    ChecksumState checksum = ChecksumState::complete;
};
/// A program of type `syscall`: its context is plain memory.
struct SyscallInput {
    std::vector<u8> context = {};
};
using Input = std::variant<XdpInput, SkbInput, SyscallInput>;

struct Outcome {
    u64 result = 0; ///< r0
    i32 verdict() const { return static_cast<i32>(static_cast<u32>(result)); }
    std::vector<u8> frame = {};   ///< of a packet program
    SkBuff skb = {};              ///< of an skb program: as it left it
    std::vector<u8> context = {}; ///< of a syscall program
    u64 steps = 0;                ///< instructions executed
    std::vector<Helper> calls = {};
};

struct RunOptions {
    u64 steps_max = 1'000'000;
    std::function<void(u32 slot)> trace = {}; ///< before each step; Profile is one
};

/// A program that a machine has taken in: decoded, its relocations resolved to this machine's maps.
class LoadedProgram {
public:
    const Program& program() const { return program_; }

private:
    friend class Machine;
    friend class Run;
    struct Slot {
        Insn insn = {};
        bool starts = false; ///< an instruction begins here
        std::optional<u16> map = {};
    };
    std::optional<Fault> decode(const std::map<std::string, u32>& symbols);

    Program program_ = {};
    std::vector<Slot> slots_ = {};
};

class Machine {
public:
    static constexpr u32 cpus_max = 256;
    /// With up to cpus_max CPUs: per-CPU maps have as many copies.
    explicit Machine(u32 cpus = 1);

    /// Takes a program in, and makes those of its maps that are not there. `symbols`: the numbers that its
    /// relocations ask for.
    std::expected<LoadedProgram, Fault> load(const Program& program,
                                             const std::map<std::string, u32>& symbols = {});
    bool has_map(std::string_view name) const { return index_of(name).has_value(); }
    /// One that a program has brought.
    MapMemory& map(std::string_view name) const;
    RingMemory& ring(std::string_view name) const;

    std::expected<Outcome, Fault> run(const LoadedProgram& program, Input input,
                                      const Environment& environment = {}, const RunOptions& options = {});

private:
    std::optional<u16> index_of(std::string_view name) const;
    std::optional<Fault> add_map(const MapSpec& spec);

    u32 cpus_;
    std::vector<std::unique_ptr<MapMemory>> maps_ = {};
};

} // namespace lb::bpf
