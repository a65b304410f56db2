// Steps of the hashes in model/flow_hash.hpp, as generated code does them.
#pragma once

#include "lb/asm/dsl.hpp"

namespace lb::datapath {

/// Emits `hash *= multiplier; hash ^= hash >> shift`.
inline void mix(bpf::Dsl& b, bpf::Var<u64>& hash, u64 multiplier, u32 shift)
{
    {
        auto factor = b.let<u64>("multiplier", multiplier);
        hash *= factor.value();
    }
    auto high = b.let<u64>("high", hash);
    high >>= shift;
    hash ^= high.value();
}

/// Emits `hash = (hash * multiplier) >> 32`, the last step.
inline void finish_hash(bpf::Dsl& b, bpf::Var<u64>& hash, u64 multiplier)
{
    auto factor = b.let<u64>("multiplier", multiplier);
    hash *= factor.value();
    hash >>= 32;
}

} // namespace lb::datapath
