// Maps in this process's memory, as programs and user space find them in the kernel: which key is found, what
// an update refuses and with which errno, what stands in which CPU's copy. For the interpreter. Elements keep
// their place until forget_dropped(): a pointer to one that was deleted or replaced is recognised as stale.
// Not exact where the kernel itself is not: an LRU map here evicts the least recently used element as soon as
// max_entries are there, while the kernel keeps lists per CPU. Pure memory; one thread.
#pragma once

#include <cassert>
#include <cstring>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lb/asm/map.hpp"

namespace lb::bpf {

class RingMemory;

class MapMemory {
public:
    using Bytes = std::span<const u8>;
    struct Entry {
        std::vector<u8> key = {};
        u32 element = 0;
    };

    /// Why not, where the type or the flags are not interpreted, or the kernel would refuse the sizes.
    static std::expected<std::unique_ptr<MapMemory>, std::string> create(const MapSpec& spec, u32 cpus);
    virtual ~MapMemory() = default;

    const MapSpec& spec() const { return spec_; }
    bool per_cpu() const { return spec_.type == MapType::percpu_array || spec_.type == MapType::percpu_hash; }
    u32 cpus() const { return cpus_; }
    virtual RingMemory* ring() { return nullptr; }

    // ---- as a program has it; numbers are 0 or a negative errno ----

    /// The element of a key. In an LRU map it has been used now.
    std::optional<u32> find(Bytes key)
    {
        const auto element = peek(key);
        if (element) touch(*element);
        return element;
    }
    virtual i64 update_raw(Bytes key, Bytes value, u64 flags, u32 cpu) = 0;
    virtual i64 remove_raw(Bytes key) = 0;
    /// The bytes of an element, of this CPU's copy where there are several; empty where it is no longer in
    /// the map.
    virtual std::span<u8> value(u32 element, u32 cpu) = 0;
    /// Deleted and replaced elements may be used anew. The machine does this before each run.
    virtual void forget_dropped() {}

    // ---- as user space has it ----

    /// Does not count as a use.
    virtual std::optional<u32> peek(Bytes key) const = 0;
    virtual std::vector<Entry> entries() const = 0;

    template <class K, class V> std::optional<V> lookup(const K& key, u32 cpu = 0);
    /// 0 or a negative errno. In a per-CPU map every CPU's copy is set.
    template <class K, class V> i64 update(const K& key, const V& value, UpdateFlag flag = UpdateFlag::any);
    template <class K> i64 remove(const K& key) { return remove_raw(bytes_of(key, spec_.key_size)); }
    template <class K, class V> std::vector<std::pair<K, V>> entries(u32 cpu = 0);

protected:
    MapMemory(MapSpec spec, u32 cpus) : spec_(std::move(spec)), cpus_(cpus) {}
    virtual void touch(u32) {}
    /// How many copies of each value there are.
    u32 copies() const { return per_cpu() ? cpus_ : 1; }
    /// The copy that a program on this CPU sees.
    u32 copy_of(u32 cpu) const { return per_cpu() ? cpu : 0; }

private:
    template <class T> static Bytes bytes_of(const T& object, [[maybe_unused]] u32 size)
    {
        static_assert(std::is_trivially_copyable_v<T>);
        assert(size == sizeof(T));
        return {reinterpret_cast<const u8*>(&object), sizeof(T)};
    }

    MapSpec spec_;
    u32 cpus_;
};

/// A ring buffer and its one consumer.
class RingMemory : public MapMemory {
public:
    RingMemory(const MapSpec& spec, u32 cpus) : MapMemory(spec, cpus) {}
    RingMemory* ring() override { return this; }

    /// A record of this size that the program fills and then submits or discards; nothing: no room.
    std::optional<u32> reserve(u64 size);
    std::span<u8> record(u32 id) { return records_[id].bytes; }
    /// A record's bytes are anything until they are written (here: 0).
    void set_written(u32 id, std::size_t at, u64 size);
    bool is_written(u32 id, std::size_t at, u64 size) const;
    void submit(u32 id) { commit(id, State::submitted); }
    void discard(u32 id) { commit(id, State::discarded); }
    bool is_reserved(u32 id) const { return records_[id].state == State::reserved; }
    /// 0, or -EAGAIN where there is no room.
    i64 output(Bytes data);
    /// What bpf_ringbuf_query answers: bytes that wait, size, consumer's and producer's position.
    u64 query(u64 what) const;
    /// What the consumer finds, in order, up to the first record that is reserved still.
    std::vector<std::vector<u8>> take();

    i64 update_raw(Bytes, Bytes, u64, u32) override;
    i64 remove_raw(Bytes) override;
    std::span<u8> value(u32, u32) override { return {}; }
    void forget_dropped() override;
    std::optional<u32> peek(Bytes) const override { return std::nullopt; }
    std::vector<Entry> entries() const override { return {}; }

private:
    enum class State : u8 { reserved, submitted, discarded };
    struct Record {
        std::vector<u8> bytes = {};
        std::vector<bool> written = {};
        State state = State::reserved;
    };
    static u64 space(u64 size) { return (size + 8 + 7) / 8 * 8; } // a header of 8 bytes, then the data
    void commit(u32 id, State state);

    std::vector<Record> records_ = {};
    std::size_t taken_ = 0; ///< records before this one have been consumed
    u64 producer_ = 0, consumer_ = 0;
};

template <class K, class V> std::optional<V> MapMemory::lookup(const K& key, u32 cpu)
{
    static_assert(std::is_trivially_copyable_v<V>);
    assert(spec_.value_size == sizeof(V) && cpu < cpus_);
    const auto element = peek(bytes_of(key, spec_.key_size));
    if (!element) return std::nullopt;
    V found{};
    std::memcpy(&found, value(*element, cpu).data(), sizeof(V));
    return found;
}

template <class K, class V> i64 MapMemory::update(const K& key, const V& new_value, UpdateFlag flag)
{
    const Bytes key_bytes = bytes_of(key, spec_.key_size);
    const Bytes value_bytes = bytes_of(new_value, spec_.value_size);
    const i64 result = update_raw(key_bytes, value_bytes, static_cast<u64>(flag), 0);
    for (u32 cpu = 1; result == 0 && cpu < copies(); ++cpu)
        std::memcpy(value(*peek(key_bytes), cpu).data(), value_bytes.data(), value_bytes.size());
    return result;
}

template <class K, class V> std::vector<std::pair<K, V>> MapMemory::entries(u32 cpu)
{
    static_assert(std::is_trivially_copyable_v<K> && std::is_trivially_copyable_v<V>);
    assert(spec_.key_size == sizeof(K) && spec_.value_size == sizeof(V) && cpu < cpus_);
    std::vector<std::pair<K, V>> all;
    for (const Entry& entry : entries()) {
        std::pair<K, V> pair{};
        std::memcpy(&pair.first, entry.key.data(), sizeof(K));
        std::memcpy(&pair.second, value(entry.element, cpu).data(), sizeof(V));
        all.push_back(pair);
    }
    return all;
}

} // namespace lb::bpf
