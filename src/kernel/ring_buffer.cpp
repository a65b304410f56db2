#include "kernel/ring_buffer.hpp"

#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <utility>

namespace lb::kernel {

namespace {

std::size_t page_bytes() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

u64 load_acquire(const u8* at)
{
    return __atomic_load_n(reinterpret_cast<const u64*>(static_cast<const void*>(at)), __ATOMIC_ACQUIRE);
}

void store_release(u8* at, u64 value)
{
    __atomic_store_n(reinterpret_cast<u64*>(static_cast<void*>(at)), value, __ATOMIC_RELEASE);
}

} // namespace

Result<RingBuffer> RingBuffer::open(const Map& map)
{
    if (map.info().type != bpf::MapType::ringbuf)
        return std::unexpected(map.error("reading records is for ring buffers, not", 0));
    auto own = map.duplicate();
    if (!own) return std::unexpected(own.error());
    RingBuffer ring;
    ring.data_bytes_ = map.info().max_entries;
    void* consumer = ::mmap(nullptr, page_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, map.fd(), 0);
    if (consumer == MAP_FAILED) return std::unexpected(map.error("mapping into memory", errno));
    ring.consumer_ = static_cast<u8*>(consumer);
    // The data is mapped twice in a row, so that a record that wraps around is in one piece.
    void* producer = ::mmap(nullptr, page_bytes() + 2 * ring.data_bytes_, PROT_READ, MAP_SHARED, map.fd(),
                            static_cast<off_t>(page_bytes()));
    if (producer == MAP_FAILED) return std::unexpected(map.error("mapping into memory", errno));
    ring.producer_ = static_cast<const u8*>(producer);
    ring.map_ = std::move(*own);
    return ring;
}

u32 RingBuffer::consume(const std::function<void(std::span<const u8>)>& each, u32 records_max)
{
    const u8* data = producer_ + page_bytes();
    u64 at = load_acquire(consumer_);
    u32 records = 0;
    while (records < records_max && at < load_acquire(producer_)) {
        const u8* header = data + (at & (data_bytes_ - 1));
        u32 length =
            __atomic_load_n(reinterpret_cast<const u32*>(static_cast<const void*>(header)), __ATOMIC_ACQUIRE);
        // A program has reserved this record and not yet submitted it; those behind it wait.
        if ((length & BPF_RINGBUF_BUSY_BIT) != 0) break;
        const u32 bytes = length & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
        if ((length & BPF_RINGBUF_DISCARD_BIT) == 0) {
            each({header + BPF_RINGBUF_HDR_SZ, bytes});
            ++records;
        }
        at += (u64{bytes} + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
        store_release(consumer_, at);
    }
    return records;
}

RingBuffer::RingBuffer(RingBuffer&& other) noexcept
    : map_(std::move(other.map_)),
      consumer_(std::exchange(other.consumer_, nullptr)),
      producer_(std::exchange(other.producer_, nullptr)),
      data_bytes_(std::exchange(other.data_bytes_, 0))
{}

RingBuffer& RingBuffer::operator=(RingBuffer&& other) noexcept
{
    std::swap(map_, other.map_);
    std::swap(consumer_, other.consumer_);
    std::swap(producer_, other.producer_);
    std::swap(data_bytes_, other.data_bytes_);
    return *this;
}

RingBuffer::~RingBuffer()
{
    if (consumer_) ::munmap(consumer_, page_bytes());
    if (producer_) ::munmap(const_cast<u8*>(producer_), page_bytes() + 2 * data_bytes_);
}

} // namespace lb::kernel
