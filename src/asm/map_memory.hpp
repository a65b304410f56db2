// The kinds of maps that the interpreter has, and the store of values that those with keys of any kind share.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>

#include "lb/asm/map_memory.hpp"

namespace lb::bpf {

/// Values by element, in one block. A dropped element keeps its place until it is forgotten.
class Elements {
public:
    Elements(u32 value_size, u32 copies) : value_size_(value_size), copies_(copies) {}
    /// A live element whose bytes are 0.
    u32 make(MapMemory::Bytes key);
    void drop(u32 element);
    void forget_dropped();
    std::span<u8> value(u32 element, u32 copy);
    const std::vector<u8>& key(u32 element) const { return keys_[element]; }
    std::vector<MapMemory::Entry> entries() const;

private:
    u32 value_size_, copies_;
    std::vector<u8> values_ = {};
    std::vector<std::vector<u8>> keys_ = {};
    std::vector<bool> live_ = {};
    std::vector<u32> free_ = {}, dropped_ = {};
};

struct BytesHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
using ByKey = std::unordered_map<std::string, u32, BytesHash, std::equal_to<>>;

class ArrayMemory : public MapMemory {
public:
    ArrayMemory(const MapSpec& spec, u32 cpus);
    i64 update_raw(Bytes key, Bytes value, u64 flags, u32 cpu) override;
    i64 remove_raw(Bytes key) override;
    std::span<u8> value(u32 element, u32 cpu) override;
    std::optional<u32> peek(Bytes key) const override;
    std::vector<Entry> entries() const override;

private:
    std::vector<u8> values_;
};

/// Hash maps: plain, per CPU, LRU.
class HashMemory : public MapMemory {
public:
    HashMemory(const MapSpec& spec, u32 cpus);
    i64 update_raw(Bytes key, Bytes value, u64 flags, u32 cpu) override;
    i64 remove_raw(Bytes key) override;
    std::span<u8> value(u32 element, u32 cpu) override { return elements_.value(element, copy_of(cpu)); }
    void forget_dropped() override { elements_.forget_dropped(); }
    std::optional<u32> peek(Bytes key) const override;
    std::vector<Entry> entries() const override { return elements_.entries(); }

private:
    void touch(u32 element) override;
    void drop(u32 element);

    Elements elements_;
    ByKey by_key_ = {};
    std::list<u32> uses_ = {}; ///< LRU: the oldest first
    std::unordered_map<u32, std::list<u32>::iterator> use_ = {};
};

/// Longest prefix match. The key is a prefix length in host order and then bits, the most significant first.
class TrieMemory : public MapMemory {
public:
    TrieMemory(const MapSpec& spec, u32 cpus);
    i64 update_raw(Bytes key, Bytes value, u64 flags, u32 cpu) override;
    i64 remove_raw(Bytes key) override;
    std::span<u8> value(u32 element, u32) override { return elements_.value(element, 0); }
    void forget_dropped() override { elements_.forget_dropped(); }
    std::optional<u32> peek(Bytes key) const override;
    std::vector<Entry> entries() const override { return elements_.entries(); }

private:
    u32 bits_max() const { return (spec().key_size - 4) * 8; }

    Elements elements_;
    std::map<u32, ByKey, std::greater<>> by_length_ = {}; ///< of each length, by the bits that count
    u32 size_ = 0;
};

} // namespace lb::bpf
