#include "kernel/map_mmap.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace lb::kernel {

Result<MappedArray> MappedArray::open(const Map& map)
{
    if (map.info().type != bpf::MapType::array || (map.info().flags & bpf::map_mmapable) == 0)
        return std::unexpected(map.error("mapping into memory is for arrays made with map_mmapable, not", 0));
    MappedArray array;
    array.entries_ = map.info().max_entries;
    array.stride_ = (map.info().value_size + 7) / 8 * 8;
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const std::size_t size = (std::size_t{array.entries_} * array.stride_ + page - 1) / page * page;
    void* base = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, map.fd(), 0);
    if (base == MAP_FAILED) return std::unexpected(map.error("mapping into memory", errno));
    array.base_ = static_cast<u8*>(base);
    array.mapped_ = size;
    return array;
}

MappedArray::MappedArray(MappedArray&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)),
      mapped_(std::exchange(other.mapped_, 0)),
      entries_(std::exchange(other.entries_, 0)),
      stride_(std::exchange(other.stride_, 0))
{}

MappedArray& MappedArray::operator=(MappedArray&& other) noexcept
{
    std::swap(base_, other.base_);
    std::swap(mapped_, other.mapped_);
    std::swap(entries_, other.entries_);
    std::swap(stride_, other.stride_);
    return *this;
}

MappedArray::~MappedArray()
{
    if (base_) ::munmap(base_, mapped_);
}

} // namespace lb::kernel
