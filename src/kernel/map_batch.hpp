// Whole maps at a time: thousands of entries per system call. A reader copes with buckets that are larger
// than its buffer (it grows) and with the map changing meanwhile (an entry may then be seen twice or not at
// all, which is the kernel's rule). Works one by one where the kernel has no batches for the map's type. One
// thread per reader.
#pragma once

#include <span>
#include <vector>

#include "kernel/map.hpp"

namespace lb::kernel {

inline constexpr u32 batch_default = 4096;

/// Reads a map from its first entry to its last, a batch at a time.
class BatchReader {
public:
    /// `map` must outlive the reader.
    explicit BatchReader(const Map& map, u32 batch = batch_default);

    /// The next entries: how many there are, 0 at the end. Some calls may return few.
    Result<u32> next();
    std::span<const u8> key(u32 index) const { return slice(keys_, index, key_size_); }
    std::span<const u8> value(u32 index) const { return slice(values_, index, value_size_); }
    template <class K> K key_as(u32 index) const { return copy<K>(key(index)); }
    template <class V> V value_as(u32 index) const { return copy<V>(value(index)); }
    /// The keys of this batch side by side, as remove_batch_raw takes them.
    const u8* keys() const { return keys_.data(); }

private:
    static std::span<const u8> slice(const std::vector<u8>& bytes, u32 index, std::size_t size)
    {
        return std::span(bytes).subspan(index * size, size);
    }
    template <class T> static T copy(std::span<const u8> bytes)
    {
        static_assert(std::is_trivially_copyable_v<T>);
        T out{};
        __builtin_memcpy(&out, bytes.data(), bytes.size() < sizeof(T) ? bytes.size() : sizeof(T));
        return out;
    }
    void resize(u32 batch);
    Result<u32> next_one_by_one();

    const Map& map_;
    std::size_t key_size_;
    std::size_t value_size_;
    u32 batch_;
    bool started_ = false;
    bool ended_ = false;
    bool single_ = false; ///< the kernel has no batches for this map
    std::vector<u8> cursor_, keys_, values_;
};

/// Writes `count` entries whose keys and values lie side by side.
Result<void> update_batch_raw(const Map& map, const void* keys, const void* values, u32 count);
/// Removes `count` keys; one that has gone meanwhile is no error. Returns how many were there.
Result<u32> remove_batch_raw(const Map& map, const void* keys, u32 count);
/// Reads and removes nothing: the number of entries, by reading all of them.
Result<u64> count_entries(const Map& map);

template <class K, class V> struct Entry {
    K key;
    V value;
};

template <class K, class V>
Result<std::vector<Entry<K, V>>> read_all(const Map& map, u32 batch = batch_default)
{
    std::vector<Entry<K, V>> entries;
    if (map.info().key_size != sizeof(K) || map.value_bytes() != sizeof(V))
        return std::unexpected(map.error("reading entries of another size from", 0));
    BatchReader reader(map, batch);
    for (;;) {
        auto count = reader.next();
        if (!count) return std::unexpected(count.error());
        if (*count == 0) return entries;
        for (u32 i = 0; i < *count; ++i)
            entries.push_back({reader.template key_as<K>(i), reader.template value_as<V>(i)});
    }
}

template <class K, class V>
Result<void> update_batch(const Map& map, std::span<const K> keys, std::span<const V> values)
{
    static_assert(std::is_trivially_copyable_v<K> && std::is_trivially_copyable_v<V>);
    if (map.info().key_size != sizeof(K) || map.value_bytes() != sizeof(V) || keys.size() != values.size())
        return std::unexpected(map.error("writing entries of another size to", 0));
    return update_batch_raw(map, keys.data(), values.data(), static_cast<u32>(keys.size()));
}

template <class K> Result<u32> remove_batch(const Map& map, std::span<const K> keys)
{
    static_assert(std::is_trivially_copyable_v<K>);
    if (map.info().key_size != sizeof(K))
        return std::unexpected(map.error("removing keys of another size from", 0));
    return remove_batch_raw(map, keys.data(), static_cast<u32>(keys.size()));
}

} // namespace lb::kernel
