// The reading side of a BPF ring buffer: records that programs reserve and submit, read in place from mapped
// memory. Poll fd() for reading, then consume(). Owns its mappings, not the map; `map` may be closed after
// open(). One thread.
#pragma once

#include <functional>
#include <span>

#include "kernel/map.hpp"

namespace lb::kernel {

class RingBuffer {
public:
    RingBuffer() = default;
    static Result<RingBuffer> open(const Map& map);
    RingBuffer(RingBuffer&& other) noexcept;
    RingBuffer& operator=(RingBuffer&& other) noexcept;
    RingBuffer(const RingBuffer&) = delete;
    RingBuffer& operator=(const RingBuffer&) = delete;
    ~RingBuffer();

    /// Becomes readable when records have come (a descriptor for poll or epoll).
    int fd() const { return map_.fd(); }
    /// Hands over the records that are complete, oldest first, at most `records_max`; returns how many. The
    /// bytes are valid during the call only.
    u32 consume(const std::function<void(std::span<const u8>)>& each, u32 records_max = 65536);

private:
    Map map_;
    u8* consumer_ = nullptr;       ///< one page, ours to write
    const u8* producer_ = nullptr; ///< one page and the data twice over, read only
    std::size_t data_bytes_ = 0;
};

} // namespace lb::kernel
