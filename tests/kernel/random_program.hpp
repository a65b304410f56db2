// Programs at random that the verifier accepts: arithmetic, jumps, loops, calls, loads, stores and atomics on
// numbers that it cannot know, as they come from the packet. What they compute is left in the packet and in a
// map's value. The same seed gives the same program. Pure.
#pragma once

#include <random>

#include "lb/asm/program.hpp"

namespace lb::test {

class Source {
public:
    explicit Source(u64 seed) : engine_(seed) {}
    u64 bits() { return engine_(); }
    u32 below(u32 end) { return static_cast<u32>(engine_() % end); }
    bool one_in(u32 n) { return below(n) == 0; }
    template <class T, std::size_t N> const T& of(const T (&values)[N]) { return values[below(N)]; }
    /// Numbers at which things change, and any others.
    u64 number();
    i32 immediate() { return static_cast<i32>(static_cast<u32>(number())); }

private:
    std::mt19937_64 engine_;
};

/// The map whose value the programs of random_program() work on: `words`, an array of one.
bpf::MapSpec words_map();
inline constexpr u32 words_bytes = 64;
/// What they need of a packet, and write back to it.
inline constexpr u32 random_packet_bytes = 176;

/// An XDP program of about `size` random steps.
bpf::Program random_program(Source& random, u32 size);

} // namespace lb::test
