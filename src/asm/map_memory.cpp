#include "asm/map_memory.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>

namespace lb::bpf {

namespace {

constexpr u64 no_exist = static_cast<u64>(UpdateFlag::no_exist), exist = static_cast<u64>(UpdateFlag::exist);

std::string_view text_of(MapMemory::Bytes bytes)
{
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <class T> T number_at(MapMemory::Bytes bytes)
{
    T number{};
    std::memcpy(&number, bytes.data(), sizeof(T));
    return number;
}

/// What is wrong with the sizes, in the kernel's eyes.
std::string fault_of(const MapSpec& spec)
{
    const std::string what = "map '" + spec.name + "': ";
    const auto bytes = [](const char* name, u32 size) { return name + (" of " + std::to_string(size)); };
    if (const u32 unknown = spec.flags & ~(map_no_prealloc | map_mmapable); unknown != 0)
        return what + "flags " + std::to_string(unknown) + " are not interpreted";
    if (spec.type == MapType::ringbuf) {
        if (spec.key_size == 0 && spec.value_size == 0 && std::has_single_bit(spec.max_entries)) return "";
        return what + "a ring buffer has no keys or values, and a size that is a power of two";
    }
    if (spec.max_entries == 0 || spec.value_size == 0) return what + "needs entries and a value size";
    const bool is_array = spec.type == MapType::array || spec.type == MapType::percpu_array;
    if (is_array && spec.key_size != 4)
        return what + bytes("an array has keys of 4 bytes, not", spec.key_size);
    if (spec.type == MapType::lpm_trie) {
        if (spec.key_size < 5 || spec.key_size > 4 + 256)
            return what + bytes("a trie has keys of 5 to 260 bytes, not", spec.key_size);
        if (!(spec.flags & map_no_prealloc)) return what + "a trie is not preallocated";
    }
    if (spec.key_size == 0) return what + "needs a key size";
    return "";
}

} // namespace

std::expected<std::unique_ptr<MapMemory>, std::string> MapMemory::create(const MapSpec& spec, u32 cpus)
{
    if (std::string fault = fault_of(spec); !fault.empty()) return std::unexpected(std::move(fault));
    switch (spec.type) {
    case MapType::array:
    case MapType::percpu_array:
        return std::make_unique<ArrayMemory>(spec, cpus);
    case MapType::hash:
    case MapType::percpu_hash:
    case MapType::lru_hash:
        return std::make_unique<HashMemory>(spec, cpus);
    case MapType::lpm_trie:
        return std::make_unique<TrieMemory>(spec, cpus);
    case MapType::ringbuf:
        return std::make_unique<RingMemory>(spec, cpus);
    case MapType::prog_array:
    case MapType::array_of_maps:
    case MapType::hash_of_maps:
    case MapType::devmap_hash:
        break;
    }
    return std::unexpected("map '" + spec.name + "': type " + std::to_string(static_cast<u32>(spec.type)) +
                           " is not interpreted");
}

// ---- the store of elements

u32 Elements::make(MapMemory::Bytes key)
{
    u32 element = static_cast<u32>(live_.size());
    if (!free_.empty()) {
        element = free_.back();
        free_.pop_back();
    } else {
        live_.push_back(false);
        keys_.emplace_back();
        values_.resize(values_.size() + std::size_t{value_size_} * copies_);
    }
    live_[element] = true;
    keys_[element].assign(key.begin(), key.end());
    for (u32 copy = 0; copy < copies_; ++copy) std::ranges::fill(value(element, copy), u8{0});
    return element;
}

void Elements::drop(u32 element)
{
    live_[element] = false;
    dropped_.push_back(element);
}

void Elements::forget_dropped()
{
    free_.insert(free_.end(), dropped_.begin(), dropped_.end());
    dropped_.clear();
}

std::span<u8> Elements::value(u32 element, u32 copy)
{
    if (!live_[element]) return {};
    const std::size_t at = (std::size_t{element} * copies_ + copy) * value_size_;
    return std::span(values_).subspan(at, value_size_);
}

std::vector<MapMemory::Entry> Elements::entries() const
{
    std::vector<MapMemory::Entry> all;
    for (u32 i = 0; i < live_.size(); ++i)
        if (live_[i]) all.push_back({keys_[i], i});
    return all;
}

// ---- arrays

ArrayMemory::ArrayMemory(const MapSpec& spec, u32 cpus)
    : MapMemory(spec, cpus),
      values_(std::size_t{spec.max_entries} * copies() * spec.value_size)
{}

i64 ArrayMemory::update_raw(Bytes key, Bytes bytes, u64 flags, u32 cpu)
{
    if (flags > exist) return -EINVAL;
    const u32 index = number_at<u32>(key);
    if (index >= spec().max_entries) return -E2BIG;
    if (flags == no_exist) return -EEXIST;
    std::ranges::copy(bytes, value(index, cpu).begin());
    return 0;
}

i64 ArrayMemory::remove_raw(Bytes) { return -EINVAL; }

std::span<u8> ArrayMemory::value(u32 element, u32 cpu)
{
    const std::size_t at = (std::size_t{element} * copies() + copy_of(cpu)) * spec().value_size;
    return std::span(values_).subspan(at, spec().value_size);
}

std::optional<u32> ArrayMemory::peek(Bytes key) const
{
    const u32 index = number_at<u32>(key);
    return index < spec().max_entries ? std::optional(index) : std::nullopt;
}

std::vector<MapMemory::Entry> ArrayMemory::entries() const
{
    std::vector<Entry> all;
    for (u32 i = 0; i < spec().max_entries; ++i) {
        Entry entry{std::vector<u8>(4), i};
        std::memcpy(entry.key.data(), &i, 4);
        all.push_back(std::move(entry));
    }
    return all;
}

// ---- hash maps

HashMemory::HashMemory(const MapSpec& spec, u32 cpus)
    : MapMemory(spec, cpus),
      elements_(spec.value_size, copies())
{}

i64 HashMemory::update_raw(Bytes key, Bytes bytes, u64 flags, u32 cpu)
{
    if (flags > exist) return -EINVAL;
    const auto old = peek(key);
    if (old && flags == no_exist) return -EEXIST;
    if (!old && flags == exist) return -ENOENT;
    if (old && per_cpu()) {
        std::ranges::copy(bytes, value(*old, cpu).begin());
        return 0;
    }
    const bool lru = spec().type == MapType::lru_hash;
    if (!old && by_key_.size() >= spec().max_entries) {
        if (!lru) return -E2BIG;
        drop(uses_.front());
    }
    // An element is replaced, never written over: who holds a pointer to the old one does not see the new
    // value.
    if (old) drop(*old);
    const u32 made = elements_.make(key);
    by_key_.emplace(text_of(key), made);
    std::ranges::copy(bytes, value(made, cpu).begin());
    if (lru) use_[made] = uses_.insert(uses_.end(), made);
    return 0;
}

i64 HashMemory::remove_raw(Bytes key)
{
    const auto element = peek(key);
    if (!element) return -ENOENT;
    drop(*element);
    return 0;
}

std::optional<u32> HashMemory::peek(Bytes key) const
{
    const auto found = by_key_.find(text_of(key));
    return found == by_key_.end() ? std::nullopt : std::optional(found->second);
}

void HashMemory::touch(u32 element)
{
    if (const auto use = use_.find(element); use != use_.end()) uses_.splice(uses_.end(), uses_, use->second);
}

void HashMemory::drop(u32 element)
{
    by_key_.erase(by_key_.find(text_of(elements_.key(element))));
    elements_.drop(element);
    if (const auto use = use_.find(element); use != use_.end()) {
        uses_.erase(use->second);
        use_.erase(use);
    }
}

// ---- longest prefix match

namespace {

/// The first `length` bits after the prefix length, the rest 0.
std::string bits_of(MapMemory::Bytes key, u32 length)
{
    std::string bits(text_of(key.subspan(4)));
    for (std::size_t i = 0; i < bits.size(); ++i) {
        const u32 first = static_cast<u32>(i) * 8;
        if (length >= first + 8) continue;
        const u32 kept = length > first ? length - first : 0;
        bits[i] = static_cast<char>(static_cast<u8>(bits[i]) & static_cast<u8>(0xff00u >> kept));
    }
    return bits;
}

} // namespace

TrieMemory::TrieMemory(const MapSpec& spec, u32 cpus) : MapMemory(spec, cpus), elements_(spec.value_size, 1)
{}

i64 TrieMemory::update_raw(Bytes key, Bytes bytes, u64 flags, u32)
{
    const u32 length = number_at<u32>(key);
    if (flags > exist || length > bits_max()) return -EINVAL;
    ByKey& same_length = by_length_[length];
    std::string bits = bits_of(key, length);
    const auto old = same_length.find(bits);
    if (old != same_length.end()) {
        if (flags == no_exist) return -EEXIST;
        elements_.drop(old->second);
        same_length.erase(old);
        --size_;
    } else {
        if (flags == exist) return -ENOENT;
        if (size_ >= spec().max_entries) return -ENOSPC;
    }
    const u32 made = elements_.make(key);
    same_length.emplace(std::move(bits), made);
    ++size_;
    std::ranges::copy(bytes, elements_.value(made, 0).begin());
    return 0;
}

i64 TrieMemory::remove_raw(Bytes key)
{
    const u32 length = number_at<u32>(key);
    if (length > bits_max()) return -EINVAL;
    ByKey& same_length = by_length_[length];
    const auto found = same_length.find(bits_of(key, length));
    if (found == same_length.end()) return -ENOENT;
    elements_.drop(found->second);
    same_length.erase(found);
    --size_;
    return 0;
}

// A key of N bits finds no prefix that is longer than N.
std::optional<u32> TrieMemory::peek(Bytes key) const
{
    const u32 length = number_at<u32>(key);
    if (length > bits_max()) return std::nullopt;
    for (auto same_length = by_length_.lower_bound(length); same_length != by_length_.end(); ++same_length) {
        const auto found = same_length->second.find(bits_of(key, same_length->first));
        if (found != same_length->second.end()) return found->second;
    }
    return std::nullopt;
}

// ---- ring buffers

namespace {

constexpr u64 record_bytes_max = 0xffffffff / 4; // the kernel's RINGBUF_MAX_RECORD_SZ
constexpr i64 not_supported = 524;               // the kernel's ENOTSUPP, which errno.h does not have

} // namespace

std::optional<u32> RingMemory::reserve(u64 size)
{
    if (size > record_bytes_max || space(size) > spec().max_entries) return std::nullopt;
    // The producer stays one byte short of a whole turn ahead.
    if (producer_ + space(size) - consumer_ > spec().max_entries - 1) return std::nullopt;
    producer_ += space(size);
    records_.push_back({.bytes = std::vector<u8>(size), .written = std::vector<bool>(size)});
    return static_cast<u32>(records_.size() - 1);
}

void RingMemory::set_written(u32 id, std::size_t at, u64 size)
{
    const auto first = records_[id].written.begin() + static_cast<std::ptrdiff_t>(at);
    std::fill_n(first, size, true);
}

bool RingMemory::is_written(u32 id, std::size_t at, u64 size) const
{
    const auto first = records_[id].written.begin() + static_cast<std::ptrdiff_t>(at);
    return std::all_of(first, first + static_cast<std::ptrdiff_t>(size), [](bool each) { return each; });
}

void RingMemory::commit(u32 id, State state) { records_[id].state = state; }

i64 RingMemory::output(Bytes data)
{
    const auto id = reserve(data.size());
    if (!id) return -EAGAIN;
    std::ranges::copy(data, records_[*id].bytes.begin());
    submit(*id);
    return 0;
}

u64 RingMemory::query(u64 what) const
{
    switch (what) {
    case 0: // BPF_RB_AVAIL_DATA
        return producer_ - consumer_;
    case 1: // BPF_RB_RING_SIZE
        return spec().max_entries;
    case 2: // BPF_RB_CONS_POS
        return consumer_;
    case 3: // BPF_RB_PROD_POS
        return producer_;
    default:
        return 0;
    }
}

std::vector<std::vector<u8>> RingMemory::take()
{
    std::vector<std::vector<u8>> all;
    for (; taken_ < records_.size() && records_[taken_].state != State::reserved; ++taken_) {
        Record& record = records_[taken_];
        consumer_ += space(record.bytes.size());
        if (record.state == State::submitted) all.push_back(std::move(record.bytes));
        record.bytes.clear();
    }
    return all;
}

void RingMemory::forget_dropped()
{
    records_.erase(records_.begin(), records_.begin() + static_cast<std::ptrdiff_t>(taken_));
    taken_ = 0;
}

i64 RingMemory::update_raw(Bytes, Bytes, u64, u32) { return -not_supported; }
i64 RingMemory::remove_raw(Bytes) { return -not_supported; }

} // namespace lb::bpf
