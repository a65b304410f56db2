// BPF maps: created from a description, found again by their pin, read and written one by one. Batches are in
// map_batch.hpp, mapped arrays in map_mmap.hpp. A Map owns its fd and nothing else: a pinned map outlives it.
// Reads and writes may come from any thread.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "kernel/fd.hpp"
#include "lb/asm/map.hpp"
#include "lb/base/result.hpp"

namespace lb::kernel {

/// How many CPUs this machine could ever have: per-CPU maps hold that many values.
Result<u32> possible_cpus();

/// What the kernel says of a map.
struct MapInfo {
    u32 id = 0;
    std::string name = {};
    bpf::MapType type = bpf::MapType::hash;
    u32 key_size = 0;
    u32 value_size = 0;
    u32 max_entries = 0;
    u32 flags = 0;
    u32 btf_id = 0; ///< 0: keys and values are not described
};

/// The kernel's BPF_ANY, BPF_NOEXIST and BPF_EXIST.
enum class Update : u64 { any = 0, only_new = 1, only_existing = 2 };

class Map {
public:
    Map() = default;

    /// Creates a map; keys and values that are described get BTF where the type takes it. A map of maps needs
    /// a map of the kind that it will hold as `inner`.
    static Result<Map> create(const bpf::MapSpec& spec, const Map* inner = nullptr);
    /// The same with a throw-away inner map made from `inner`.
    static Result<Map> create(const bpf::MapSpec& spec, const bpf::MapSpec& inner);
    static Result<Map> open_pinned(const std::string& path);
    /// Opens a pin and refuses it where it is not what `spec` describes.
    static Result<Map> open_pinned(const std::string& path, const bpf::MapSpec& spec);
    static Result<Map> open_id(u32 id);

    /// Nothing, or an error that names each of type, key size, value size, entries and flags that differs.
    Result<void> matches(const bpf::MapSpec& spec) const;
    Result<void> pin(const std::string& path) const;
    /// Another fd of the same map.
    Result<Map> duplicate() const;

    explicit operator bool() const { return static_cast<bool>(fd_); }
    int fd() const { return fd_.get(); }
    const MapInfo& info() const { return info_; }
    bool per_cpu() const;
    /// Bytes of one value as the system calls see it: all possible CPUs' values, each rounded up to 8, if
    /// per-CPU.
    std::size_t value_bytes() const;

    // Raw forms: `key` has key_size bytes, `value` has value_bytes(). False: no such key.
    Result<bool> lookup_raw(const void* key, void* value) const;
    Result<void> update_raw(const void* key, const void* value, Update mode = Update::any) const;
    Result<bool> remove_raw(const void* key) const;
    /// Removes the entry and reads it, in one step; of hash tables, from Linux 5.14.
    Result<bool> take_raw(const void* key, void* value) const;
    /// The key after `key`, or the first one where it is null or absent. False: there is none.
    Result<bool> next_key_raw(const void* key, void* next) const;

    template <class K, class V> Result<std::optional<V>> lookup(const K& key) const;
    template <class K, class V>
    Result<void> update(const K& key, const V& value, Update mode = Update::any) const;
    template <class K> Result<bool> remove(const K& key) const;
    template <class K, class V> Result<std::optional<V>> take(const K& key) const;
    /// One value per possible CPU; empty: no such key.
    template <class K, class V> Result<std::vector<V>> lookup_percpu(const K& key) const;
    template <class K, class V> Result<void> update_percpu(const K& key, std::span<const V> values) const;
    /// Puts a map into a map of maps.
    template <class K> Result<void> update_inner(const K& key, const Map& inner) const
    {
        return update(key, inner.fd());
    }

    /// An error of an operation on this map: "updating map 'flows4': ...".
    Error error(const char* doing, int sys_errno) const;

private:
    Map(Fd fd, MapInfo info, u32 cpus) : fd_(std::move(fd)), info_(std::move(info)), cpus_(cpus) {}
    static Result<Map> adopt(Fd fd, const std::string& what);
    Result<void> check_sizes(std::size_t key, std::size_t value) const;
    using RawRead = Result<bool> (Map::*)(const void* key, void* value) const;
    template <class K, class V> Result<std::optional<V>> read(const K& key, RawRead raw) const;

    Fd fd_;
    MapInfo info_;
    u32 cpus_ = 1;
};

template <class K, class V> Result<std::optional<V>> Map::read(const K& key, RawRead raw) const
{
    static_assert(std::is_trivially_copyable_v<K> && std::is_trivially_copyable_v<V>);
    if (auto sizes = check_sizes(sizeof(K), sizeof(V)); !sizes) return std::unexpected(sizes.error());
    V value{};
    auto found = (this->*raw)(&key, &value);
    if (!found) return std::unexpected(found.error());
    return *found ? std::optional<V>(value) : std::nullopt;
}

template <class K, class V> Result<std::optional<V>> Map::lookup(const K& key) const
{
    return read<K, V>(key, &Map::lookup_raw);
}

template <class K, class V> Result<std::optional<V>> Map::take(const K& key) const
{
    return read<K, V>(key, &Map::take_raw);
}

template <class K, class V> Result<void> Map::update(const K& key, const V& value, Update mode) const
{
    static_assert(std::is_trivially_copyable_v<K> && std::is_trivially_copyable_v<V>);
    if (auto sizes = check_sizes(sizeof(K), sizeof(V)); !sizes) return sizes;
    return update_raw(&key, &value, mode);
}

template <class K> Result<bool> Map::remove(const K& key) const
{
    static_assert(std::is_trivially_copyable_v<K>);
    if (auto sizes = check_sizes(sizeof(K), value_bytes()); !sizes) return std::unexpected(sizes.error());
    return remove_raw(&key);
}

/// The distance between two CPUs' values, or between two values of a mapped array.
template <class V> constexpr std::size_t value_stride = (sizeof(V) + 7) / 8 * 8;

template <class K, class V> Result<std::vector<V>> Map::lookup_percpu(const K& key) const
{
    static_assert(std::is_trivially_copyable_v<K> && std::is_trivially_copyable_v<V>);
    if (auto sizes = check_sizes(sizeof(K), value_stride<V> * cpus_); !sizes)
        return std::unexpected(sizes.error());
    std::vector<u8> bytes(value_bytes());
    auto found = lookup_raw(&key, bytes.data());
    if (!found) return std::unexpected(found.error());
    std::vector<V> values(*found ? cpus_ : 0);
    for (std::size_t cpu = 0; cpu < values.size(); ++cpu)
        __builtin_memcpy(&values[cpu], bytes.data() + cpu * value_stride<V>, sizeof(V));
    return values;
}

template <class K, class V> Result<void> Map::update_percpu(const K& key, std::span<const V> values) const
{
    static_assert(std::is_trivially_copyable_v<K> && std::is_trivially_copyable_v<V>);
    if (auto sizes = check_sizes(sizeof(K), value_stride<V> * values.size()); !sizes) return sizes;
    std::vector<u8> bytes(value_bytes());
    for (std::size_t cpu = 0; cpu < values.size(); ++cpu)
        __builtin_memcpy(bytes.data() + cpu * value_stride<V>, &values[cpu], sizeof(V));
    return update_raw(&key, bytes.data());
}

} // namespace lb::kernel
