// An array map (BPF_F_MMAPABLE) as memory of this process: programs and user space see each other's stores at
// once, without a system call. Values lie value_stride apart. Unmapped at destruction; the map itself lives
// on. Any thread may read and write; use std::atomic_ref where a program does so too.
#pragma once

#include <span>

#include "kernel/map.hpp"

namespace lb::kernel {

class MappedArray {
public:
    MappedArray() = default;
    static Result<MappedArray> open(const Map& map);
    MappedArray(MappedArray&& other) noexcept;
    MappedArray& operator=(MappedArray&& other) noexcept;
    MappedArray(const MappedArray&) = delete;
    MappedArray& operator=(const MappedArray&) = delete;
    ~MappedArray();

    u32 size() const { return entries_; }
    std::span<u8> bytes() const { return {base_, static_cast<std::size_t>(entries_) * stride_}; }
    /// The values; sizeof(T) must be a multiple of 8 and the map's value size.
    template <class T> std::span<T> as() const
    {
        static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % 8 == 0);
        if (sizeof(T) != stride_) return {};
        return {reinterpret_cast<T*>(base_), entries_};
    }

private:
    u8* base_ = nullptr;
    std::size_t mapped_ = 0;
    u32 entries_ = 0;
    u32 stride_ = 0;
};

} // namespace lb::kernel
