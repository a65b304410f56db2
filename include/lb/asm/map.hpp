// Maps as the assembler knows them: a typed description, without an fd. The same structs describe keys and
// values to the generated code, to user space and, through their Fields, to BTF. Pure values; safe from any
// thread.
#pragma once

#include <string>
#include <type_traits>
#include <vector>

#include "lb/asm/fields.hpp"
#include "lb/base/bytes.hpp"

namespace lb::bpf {

/// The kernel's numbers (bpf_map_type), of those that have been needed.
enum class MapType : u32 {
    hash = 1,
    array = 2,
    prog_array = 3,
    percpu_hash = 5,
    percpu_array = 6,
    lru_hash = 9,
    lpm_trie = 11,
    array_of_maps = 12,
    hash_of_maps = 13,
    devmap_hash = 25,
    ringbuf = 27,
};

/// The kernel's numbers (BPF_F_*).
inline constexpr u32 map_no_prealloc = 1u << 0;
inline constexpr u32 map_mmapable = 1u << 10;

/// The kernel's numbers (BPF_ANY, BPF_NOEXIST, BPF_EXIST).
enum class UpdateFlag : u32 { any = 0, no_exist = 1, exist = 2 };

/// All that is needed to create a map.
struct MapSpec {
    std::string name = {}; ///< at most 15 bytes: [A-Za-z0-9_.]
    MapType type = MapType::hash;
    u32 key_size = 0;
    u32 value_size = 0;
    u32 max_entries = 0;
    u32 flags = 0;
    StructInfo key = {};   ///< empty name: not described
    StructInfo value = {}; ///< empty name: not described
};

/// A map with keys of K and values of V; they are plain structs, the same for generated code and user space.
template <class K, class V> struct Map : MapSpec {
    using Key = K;
    using Value = V;
    static_assert(std::is_trivially_copyable_v<K> && std::is_trivially_copyable_v<V>);
    static_assert(std::has_unique_object_representations_v<K>,
                  "the key has padding, whose bytes would be compared: name every byte");

    Map(std::string map_name, MapType map_type, u32 entries, u32 map_flags = 0)
        : MapSpec{.name = std::move(map_name),
                  .type = map_type,
                  .key_size = sizeof(K),
                  .value_size = sizeof(V),
                  .max_entries = entries,
                  .flags = map_flags,
                  .key = struct_info<K>(),
                  .value = struct_info<V>()}
    {}
};

} // namespace lb::bpf
