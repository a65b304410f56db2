// What statements of the DSL become, as the kernel would print it: one instruction a line.
#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <sstream>
#include <string>

#include "lb/asm/disasm.hpp"
#include "lb/asm/dsl.hpp"

namespace lb::test {

/// A map value, and a key, with members of several widths.
struct Value {
    u64 count = 0;
    u32 number = 0;
    be32 address{};
    be16 port{};
    u8 flags = 0;
    u8 rest = 0;
    i32 balance = 0;
};
struct Key {
    be32 address{};
    be16 port{};
    u16 zero = 0;
};

using Body = std::function<void(bpf::Dsl&)>;

/// Lines without slot numbers, opcodes and the names of jumps' targets.
inline std::string lines_of(const bpf::Program& program)
{
    std::istringstream listing(bpf::disassemble(program, {.lines = false, .labels = false}));
    std::string all, line;
    std::getline(listing, line); // the function's name
    while (std::getline(listing, line)) {
        const auto opcode = line.find(") ");
        std::string text = opcode == std::string::npos ? line : line.substr(opcode + 2);
        if (const auto comment = text.find("; -> "); comment != std::string::npos)
            text.resize(text.find_last_not_of(' ', comment - 1) + 1);
        all += text + "\n";
    }
    return all;
}

/// The text of what `body` emits; `r0 = 0; exit` is put behind it and left out. An error as its text.
inline std::string emitted(const Body& body, bpf::ProgramType type = bpf::ProgramType::xdp)
{
    bpf::Dsl b("t", type, type == bpf::ProgramType::xdp ? bpf::AttachType::xdp : bpf::AttachType::none);
    body(b);
    b.emit(bpf::mov64(bpf::r0, i64{0}));
    b.exit(bpf::no_reason);
    const auto program = b.finish();
    if (!program) return "error: " + program.error().message + "\n";
    std::string text = lines_of(*program);
    const std::string tail = "r0 = 0\nexit\n";
    REQUIRE(text.ends_with(tail));
    return text.substr(0, text.size() - tail.size());
}

} // namespace lb::test
