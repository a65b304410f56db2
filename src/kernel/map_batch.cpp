#include "kernel/map_batch.hpp"

#include "kernel/errors.hpp"

#include <algorithm>
#include <bpf/bpf.h>
#include <cerrno>

namespace lb::kernel {

namespace {

constexpr int enotsupp = 524;               // the kernel's, for a map type without batches
constexpr u32 batch_max = 1u << 22;         // entries; a bucket with more is not one of lb's maps
constexpr u32 interrupted_retries_max = 64; // readings of an entry that was removed under the kernel's hands

bool no_batches(int sys_errno) { return sys_errno == enotsupp || sys_errno == EOPNOTSUPP; }

} // namespace

BatchReader::BatchReader(const Map& map, u32 batch)
    : map_(map),
      key_size_(map.info().key_size),
      value_size_(map.value_bytes()),
      // Hash maps keep a 32-bit bucket number in the cursor, the others a key.
      cursor_(std::max<std::size_t>(map.info().key_size, sizeof(u32)))
{
    resize(std::max(batch, 1u));
}

void BatchReader::resize(u32 batch)
{
    batch_ = batch;
    keys_.resize(batch * key_size_);
    values_.resize(batch * value_size_);
}

Result<u32> BatchReader::next()
{
    u32 interrupted = 0;
    while (!ended_ && !single_) {
        u32 count = batch_;
        std::vector<u8> following(cursor_.size());
        int failed = bpf_map_lookup_batch(map_.fd(), started_ ? cursor_.data() : nullptr, following.data(),
                                          keys_.data(), values_.data(), &count, nullptr);
        int why = failed ? errno : 0;
        if (why == ENOSPC && batch_ < batch_max) {
            // One bucket holds more than the buffer: nothing was returned, ask for the same with more room.
            resize(batch_ * 2);
            continue;
        }
        if (!started_ && no_batches(why)) {
            single_ = true;
            break;
        }
        if (why == EINTR && count == 0 && ++interrupted < interrupted_retries_max) continue;
        if (why != 0 && why != ENOENT && why != EINTR) return std::unexpected(map_.error("reading", why));
        if (why == ENOENT) ended_ = true;
        started_ = true;
        cursor_ = std::move(following);
        if (count > 0) return count;
        if (why == EINTR) return std::unexpected(map_.error("reading", why));
    }
    return ended_ ? Result<u32>(0) : next_one_by_one();
}

Result<u32> BatchReader::next_one_by_one()
{
    u32 count = 0;
    while (count < batch_) {
        u8* key = keys_.data() + count * key_size_;
        auto there = map_.next_key_raw(started_ ? cursor_.data() : nullptr, key);
        if (!there) return std::unexpected(there.error());
        if (!*there) {
            ended_ = true;
            break;
        }
        started_ = true;
        std::copy_n(key, key_size_, cursor_.begin());
        auto found = map_.lookup_raw(key, values_.data() + count * value_size_);
        if (!found) return std::unexpected(found.error());
        if (*found) ++count; // else it was removed meanwhile
    }
    return count;
}

Result<void> update_batch_raw(const Map& map, const void* keys, const void* values, u32 count)
{
    const u8* key = static_cast<const u8*>(keys);
    const u8* value = static_cast<const u8*>(values);
    if (count == 0) return {};
    u32 done = count;
    if (bpf_map_update_batch(map.fd(), key, value, &done, nullptr) == 0) return {};
    if (!no_batches(errno)) {
        Error error = map.error("updating", errno);
        error.message += " (entry " + std::to_string(done) + " of " + std::to_string(count) + ")";
        return std::unexpected(std::move(error));
    }
    for (u32 i = 0; i < count; ++i) {
        auto updated =
            map.update_raw(key + std::size_t{i} * map.info().key_size, value + i * map.value_bytes());
        if (!updated) return updated;
    }
    return {};
}

Result<u32> remove_batch_raw(const Map& map, const void* keys, u32 count)
{
    const u8* key = static_cast<const u8*>(keys);
    const std::size_t size = map.info().key_size;
    u32 removed = 0;
    u32 at = 0;
    bool single = false;
    while (at < count && !single) {
        u32 done = count - at;
        if (bpf_map_delete_batch(map.fd(), key + at * size, &done, nullptr) == 0) return removed + done;
        if (errno != ENOENT && !no_batches(errno))
            return std::unexpected(map.error("removing keys from", errno));
        if (no_batches(errno)) {
            single = true;
        } else {
            // The kernel stops at a key that is not there: go on behind it.
            removed += done;
            at += done + 1;
        }
    }
    for (; at < count; ++at) {
        auto gone = map.remove_raw(key + at * size);
        if (!gone) return std::unexpected(gone.error());
        if (*gone) ++removed;
    }
    return removed;
}

Result<u64> count_entries(const Map& map)
{
    BatchReader reader(map);
    u64 entries = 0;
    for (;;) {
        auto count = reader.next();
        if (!count) return std::unexpected(count.error());
        if (*count == 0) return entries;
        entries += *count;
    }
}

} // namespace lb::kernel
