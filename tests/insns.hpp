// Programs made of single instructions, for the kernel's tests and the interpreter's: operands come in the
// context, which is plain memory in programs of type `syscall`, and results go back in it.
#pragma once

#include <catch2/catch.hpp>
#include <initializer_list>
#include <vector>

#include "lb/asm/encode.hpp"
#include "lb/asm/insn.hpp"

namespace lb::bpf::test {

using Insns = std::vector<Insn>;

inline Insns join(std::initializer_list<Insns> parts)
{
    Insns all;
    for (const Insns& part : parts) all.insert(all.end(), part.begin(), part.end());
    return all;
}

inline std::vector<RawInsn> encoded(const Insns& insns)
{
    std::vector<RawInsn> code;
    for (const Insn& insn : insns) {
        const auto result = encode(insn, code);
        INFO((result ? "" : result.error().message));
        REQUIRE(result);
    }
    return code;
}

/// The context of a program that is run: what it was given and what it answers.
struct Context {
    u64 result = 0;
    u64 memory = 0; ///< what the eight bytes at fp-8 hold in the end; `a` at first
    u64 a = 0;      ///< in r1
    u64 b = 0;      ///< in r2
    friend bool operator==(const Context&, const Context&) = default;
};

/// Puts the operands into place, runs `body`, which leaves its result in r0 and r6 alone, and `functions`
/// follow.
inline Insns around(const Insns& body, const Insns& functions = {})
{
    return join({{mov64(r6, r1), load(Width::w64, r1, r6, 16), load(Width::w64, r2, r6, 24),
                  store(Width::w64, fp, -8, r1), mov64(r0, 0)},
                 body,
                 {load(Width::w64, r1, fp, -8), store(Width::w64, r6, 8, r1), store(Width::w64, r6, 0, r0),
                  mov64(r0, 0), exit()},
                 functions});
}

} // namespace lb::bpf::test
