// What every program must be, whatever its statements were.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <optional>
#include <span>
#include <string>

#include "lb/asm/encode.hpp"
#include "lb/asm/program.hpp"

namespace lb::test {

/// Slots where instructions start, with the instructions.
inline std::vector<std::optional<bpf::Insn>> starts_of(const bpf::Program& program)
{
    std::vector<std::optional<bpf::Insn>> starts(program.code.size());
    for (u32 slot = 0; slot < program.code.size();) {
        const auto insn = bpf::decode_one(std::span(program.code).subspan(slot));
        REQUIRE(insn.has_value());
        starts[slot] = *insn;
        slot += bpf::slots(*insn);
    }
    return starts;
}

/// It decodes completely, jumps and calls lead to where instructions and functions start, no function runs on
/// into the next, and records stand where the kernel wants them.
inline void check_shape(const bpf::Program& program)
{
    using namespace bpf;
    const auto starts = starts_of(program);
    const auto starts_at = [&](i64 slot) {
        return slot >= 0 && slot < static_cast<i64>(starts.size()) && starts[static_cast<std::size_t>(slot)];
    };
    const auto function_at = [&](i64 slot) {
        return std::ranges::any_of(program.functions, [&](const auto& each) { return each.slot == slot; });
    };
    const auto line_at = [&](i64 slot) {
        return std::ranges::any_of(program.lines, [&](const auto& each) { return each.slot == slot; });
    };
    for (u32 slot = 0; slot < starts.size(); ++slot) {
        if (!starts[slot]) continue;
        const Insn& insn = *starts[slot];
        const u32 next = slot + slots(insn);
        if (is_goto(insn) || is_conditional(insn))
            CHECK(starts_at(i64{next} + (insn.opcode == opcode_gotol ? insn.imm : i64{insn.off})));
        if (is_call(insn) && insn.src.index == static_cast<u8>(CallKind::local))
            CHECK(function_at(i64{next} + insn.imm));
        if (next == starts.size() || function_at(next)) CHECK((is_exit(insn) || is_goto(insn)));
    }
    for (const auto& reloc : program.relocs) CHECK(starts_at(reloc.slot));
    CHECK(function_at(0));
    for (const auto& function : program.functions) CHECK(line_at(function.slot));
    for (std::size_t i = 0; i < program.lines.size(); ++i) {
        CHECK(starts_at(program.lines[i].slot));
        if (i > 0) CHECK(program.lines[i].slot > program.lines[i - 1].slot);
    }
}

/// All of a program as text, for comparing two of them.
inline std::string whole_text(const bpf::Program& program)
{
    std::string text = program.name + "\n";
    const auto add = [&](auto... parts) { text += ((std::string() + parts + " ") + ...) + "\n"; };
    for (const auto& raw : program.code)
        add(std::to_string(raw.opcode), std::to_string(raw.registers), std::to_string(raw.off),
            std::to_string(raw.imm));
    for (const auto& reloc : program.relocs)
        add("reloc", std::to_string(static_cast<int>(reloc.kind)), std::to_string(reloc.slot), reloc.symbol);
    for (const auto& line : program.lines)
        add("line", std::to_string(line.slot), line.file, std::to_string(line.line),
            std::to_string(line.column), line.text);
    for (const auto& function : program.functions)
        add("function", function.name, std::to_string(function.slot), std::to_string(function.arguments));
    for (const auto& exit : program.exits)
        add("exit", std::to_string(exit.reason), exit.name, std::to_string(exit.verdict));
    for (const auto& map : program.maps) add("map", map.name);
    return text;
}

} // namespace lb::test
