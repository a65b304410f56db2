// Helpers that change the packet of an skb. After them its pointers have to be loaded again, whatever they
// did.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "asm/interpreter_run.hpp"

namespace lb::bpf {

namespace {

u64 error(i64 number) { return static_cast<u64>(-number); }

// One's complement sums as the kernel keeps them (include/net/checksum.h).
u32 sum_of(u32 a, u32 b) { return a + b + (a + b < a ? 1 : 0); }
u32 difference_of(u32 a, u32 b) { return sum_of(a, ~b); }
u16 folded(u32 sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<u16>(~sum);
}

/// Makes the first bytes of the packet linear, as __pskb_pull_tail does: exactly so many.
bool pull(Run::Packet& packet, u64 bytes)
{
    if (bytes > packet.length()) return false;
    packet.linear = std::max(packet.linear, static_cast<u32>(bytes));
    return true;
}

// Bits of bpf_l4_csum_replace's flags.
constexpr u64 size_mask = 0xf, pseudo_header = 1u << 4, mark_mangled_0 = 1u << 5, mark_enforce = 1u << 6,
              ipv6 = 1u << 7;
constexpr u16 mangled_0 = 0xffff;

/// What a checksum becomes: the whole of it, or the sum of the pseudo-header that stands there so far. That
/// is not complemented, and ports are no part of it. Without `minus`, `plus` is a difference.
u16 replaced(u16 check, ChecksumState state, std::optional<u32> minus, u32 plus, bool in_pseudo_header)
{
    const bool complete = state == ChecksumState::complete;
    if (!complete && !in_pseudo_header) return check;
    u32 sum = complete ? ~u32{check} : u32{check};
    if (minus) sum = difference_of(sum, *minus);
    const u16 result = folded(sum_of(sum, plus));
    return complete ? result : static_cast<u16>(~result);
}

} // namespace

bool skb_pull_data(Run& run)
{
    u64 bytes = 0;
    if (!run.context_argument(1) || !run.number(2, bytes)) return false;
    ++run.packet.generation;
    bytes = static_cast<u32>(bytes);
    return run.give(pull(run.packet, bytes) ? u64{0} : error(ENOMEM));
}

bool l4_csum_replace(Run& run)
{
    u64 offset = 0, from = 0, to = 0, flags = 0;
    if (!run.context_argument(1) || !run.number(2, offset) || !run.number(3, from) || !run.number(4, to) ||
        !run.number(5, flags))
        return false;
    ++run.packet.generation;
    offset = static_cast<u32>(offset);
    if (flags & ~(size_mask | pseudo_header | mark_mangled_0 | mark_enforce | ipv6))
        return run.give(error(EINVAL));
    if (offset > 0xffff || offset & 1 || !pull(run.packet, offset + 2)) return run.give(error(EFAULT));

    u16 check = 0;
    std::memcpy(&check, run.packet.data() + offset, 2);
    if (flags & mark_mangled_0 && !(flags & mark_enforce) && check == 0) return run.give(u64{0});
    std::optional<u32> minus;
    auto plus = static_cast<u32>(to);
    switch (flags & size_mask) {
    case 0:
        if (from != 0) return run.give(error(EINVAL));
        break;
    case 2:
        minus = static_cast<u16>(from);
        plus = static_cast<u16>(to);
        break;
    case 4:
        minus = static_cast<u32>(from);
        break;
    default:
        return run.give(error(EINVAL));
    }
    check = replaced(check, run.packet.checksum, minus, plus, flags & pseudo_header);
    if (flags & mark_mangled_0 && check == 0) check = mangled_0;
    std::memcpy(run.packet.data() + offset, &check, 2);
    return run.give(u64{0});
}

} // namespace lb::bpf
