// The hash by which a connection's slot is chosen. The generated program computes the same; a test holds the
// two together. It depends on the tuple alone, so that two balancers with one configuration pick the same
// target.
#pragma once

#include "model/layout.hpp"

namespace lb::model {

// Odd constants from the digits of the golden ratio, sqrt(3) and sqrt(5): multiplication by them spreads low
// bits upward.
inline constexpr u64 hash_multiplier_1 = 0x9e3779b97f4a7c15;
inline constexpr u64 hash_multiplier_2 = 0xbb67ae8584caa73b;
inline constexpr u64 hash_multiplier_3 = 0x3c6ef372fe94f82b;

constexpr u64 hash_first_mix(u64 hash)
{
    hash *= hash_multiplier_1;
    return hash ^ hash >> 32;
}
constexpr u32 hash_last_mixes(u64 hash)
{
    hash *= hash_multiplier_2;
    hash ^= hash >> 29;
    hash *= hash_multiplier_3;
    return static_cast<u32>(hash >> 32);
}

/// 32 well-mixed bits of a tuple as it is on the wire.
constexpr u32 flow_hash(const FlowKey4& key)
{
    const u64 hash = hash_first_mix(u64{key.saddr.raw} << 32 | u64{key.sport.raw} << 16 | key.dport.raw);
    return hash_last_mixes(hash + (u64{key.daddr.raw} << 8 | key.protocol));
}

/// The same of IPv6: a word of each address at a time.
constexpr u32 flow_hash(const FlowKey6& key)
{
    u64 hash = 0;
    for (const be64 word : {key.saddr.high, key.saddr.low, key.daddr.high, key.daddr.low})
        hash = hash_first_mix(hash + word.raw);
    return hash_last_mixes(hash + (u64{key.sport.raw} << 32 | u64{key.dport.raw} << 16 | key.protocol));
}

/// The same of a client's address alone.
constexpr u32 source_hash(be32 client) { return hash_last_mixes(hash_first_mix(client.raw)); }
constexpr u32 source_hash(const Address6& client)
{
    return hash_last_mixes(hash_first_mix(hash_first_mix(client.high.raw) + client.low.raw));
}

/// The slot of a group's table: hash/2^32 of the table's length, without a division.
constexpr u32 slot_of(u32 hash, u32 slots) { return static_cast<u32>(u64{hash} * slots >> 32); }

} // namespace lb::model
