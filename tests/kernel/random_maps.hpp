// Programs at random that call helpers: on maps of every type that the interpreter has (but for LRU, whose
// choice of what to evict is the kernel's own), on a ring buffer, and on the packet of an skb. Pure.
#pragma once

#include "random_program.hpp"

namespace lb::test {

/// Key of the trie `routes`.
struct RouteKey {
    u32 length = 0;
    be32 address{};
    friend auto operator<=>(const RouteKey&, const RouteKey&) = default;
};

/// Small, so that they are full at times. All values are of 8 bytes; keys of 4, or RouteKey in a trie.
std::vector<bpf::MapSpec> random_maps();

/// An XDP program of `size` operations on these maps. What they gave is folded into one number, which the
/// program leaves in the first 8 bytes of its packet.
bpf::Program random_map_program(Source& random, u32 size);

/// A TC program that pulls and changes checksums; the number of its results is left in the map `words`.
bpf::Program random_skb_program(Source& random, u32 size);

} // namespace lb::test
