// Programs for the interpreter's tests, made of single instructions, and their runs.
#pragma once

#include <catch2/catch.hpp>
#include <cstring>

#include "lb/asm/interpreter.hpp"

#include "../insns.hpp"

namespace lb::bpf::test {

/// The instructions as a program. The immediate of a load of a map (or of its value) is an index into `maps`
/// (in its low half), which becomes a relocation.
inline Program program_of(ProgramType type, const Insns& insns, std::vector<MapSpec> maps = {})
{
    Program program{.name = "test", .type = type, .maps = std::move(maps)};
    for (Insn insn : insns) {
        const auto kind = static_cast<Pseudo>(insn.src.index);
        if (insn.opcode == opcode_ld_imm64 && (kind == Pseudo::map_fd || kind == Pseudo::map_value)) {
            const auto index = static_cast<u32>(insn.imm);
            insn.imm -= index;
            program.relocs.push_back(
                {.kind = kind == Pseudo::map_fd ? Reloc::Kind::map_fd : Reloc::Kind::map_value,
                 .slot = static_cast<u32>(program.code.size()),
                 .symbol = program.maps.at(index).name});
        }
        const auto result = encode(insn, program.code);
        INFO((result ? "" : result.error().message));
        REQUIRE(result);
    }
    return program;
}

/// `r1 = map`, the one at this index.
inline Insn load_map(Reg reg, u64 index = 0) { return ld_imm64(reg, index, Pseudo::map_fd); }
inline Insns call(Helper helper) { return {call_helper(static_cast<i64>(helper))}; }

inline std::expected<Outcome, Fault> interpret(const Program& program, Input input,
                                               const Environment& environment = {},
                                               const RunOptions& options = {})
{
    Machine machine;
    const auto loaded = machine.load(program);
    if (!loaded) return std::unexpected(loaded.error());
    return machine.run(*loaded, std::move(input), environment, options);
}

inline Outcome must(const std::expected<Outcome, Fault>& outcome)
{
    INFO((outcome ? "" : to_string(outcome.error())));
    REQUIRE(outcome);
    return *outcome;
}
inline LoadedProgram must_load(Machine& machine, const Program& program)
{
    auto loaded = machine.load(program);
    INFO((loaded ? "" : to_string(loaded.error())));
    REQUIRE(loaded);
    return *loaded;
}
inline Fault must_fail(const std::expected<Outcome, Fault>& outcome)
{
    REQUIRE_FALSE(outcome);
    return outcome.error();
}

/// The same as in the kernel's tests: `body` between operands and results.
inline Context run(const Insns& body, u64 a = 0, u64 b = 0, const Insns& functions = {})
{
    Context context{.a = a, .b = b};
    std::vector<u8> bytes(sizeof context);
    std::memcpy(bytes.data(), &context, sizeof context);
    const Program program = program_of(ProgramType::syscall, around(body, functions));
    const Outcome outcome = must(interpret(program, SyscallInput{bytes}));
    CHECK(outcome.result == 0);
    std::memcpy(&context, outcome.context.data(), sizeof context);
    return context;
}

/// r0 after `body`, whose r1 is a context of no bytes.
inline u64 result_of(const Insns& body, const Environment& environment = {})
{
    return must(interpret(program_of(ProgramType::syscall, join({body, {exit()}})), SyscallInput{},
                          environment))
        .result;
}

/// An array of one element of 16 bytes.
inline MapSpec words_map() { return Map<u32, std::array<u64, 2>>("words", MapType::array, 1); }

// ---- faults

inline constexpr auto tc = ProgramType::sched_cls, xdp = ProgramType::xdp;

struct FaultCase {
    const char* name = "";
    ProgramType type = xdp;
    Insns insns = {};
    FaultKind kind = FaultKind::bad_program;
    u32 slot = 0;
    const char* message = "";
};

inline Input input_for(ProgramType type)
{
    const std::vector<u8> frame(64, 0x55);
    if (type == xdp) return XdpInput{.frame = frame};
    if (type == ProgramType::syscall) return SyscallInput{std::vector<u8>(16)};
    return SkbInput{.frame = frame, .linear = 40};
}

/// `words`, `ring` and `numbers`.
inline std::vector<MapSpec> maps()
{
    return {words_map(),
            {.name = "ring", .type = MapType::ringbuf, .max_entries = 4096},
            Map<u64, u64>("numbers", MapType::hash, 4)};
}

inline Fault fault_of(ProgramType type, const Insns& insns, const RunOptions& options = {})
{
    return must_fail(interpret(program_of(type, insns, maps()), input_for(type), {}, options));
}

inline void check_faults(std::span<const FaultCase> cases)
{
    for (const auto& [name, type, insns, kind, slot, message] : cases) {
        INFO(name);
        const Fault fault = fault_of(type, insns);
        CHECK(fault.message == message);
        CHECK(fault.kind == kind);
        CHECK(fault.slot == slot);
    }
}

} // namespace lb::bpf::test
