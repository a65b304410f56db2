#include "lb/asm/opcodes.hpp"

#include <algorithm>
#include <limits>

#include "lb/asm/helpers.hpp"

namespace lb::bpf {
namespace {

using Kind = Rule::Kind;
constexpr i64 i32_min = std::numeric_limits<i32>::min(), i32_max = std::numeric_limits<i32>::max();

constexpr Rule is(i64 value) { return {.kind = Kind::is, .values = {value}}; }
constexpr Rule range(i64 low, i64 high) { return {.kind = Kind::range, .values = {low, high}}; }
constexpr Rule upto(i64 high) { return range(0, high); }

constexpr Rule none{.kind = Kind::zero};
constexpr Rule from{.kind = Kind::reg};
constexpr Rule to{.kind = Kind::writable};
constexpr Rule half = range(std::numeric_limits<i16>::min(), std::numeric_limits<i16>::max());
constexpr Rule word = range(i32_min, i32_max);
constexpr Rule any64 = range(std::numeric_limits<i64>::min(), std::numeric_limits<i64>::max());
constexpr Rule nonzero{.kind = Kind::nonzero};
constexpr Rule sizes{.kind = Kind::one_of, .values = {16, 32, 64}};
/// The kernel casts between address spaces 0 and 1 only, either way.
constexpr Rule spaces{.kind = Kind::one_of, .values = {0x1, 0x10000}};
constexpr Rule helper = range(1, helpers_max);
/// A file descriptor, an index of one, a BTF id: 0 stands for one that the loader fills in.
constexpr Rule fd = upto(i32_max);
constexpr Rule id = upto(i32_max);
constexpr Rule module = upto(std::numeric_limits<i16>::max());

// opcode, text, dst, src, off, imm, first Linux; 3.18 stands for the beginning.
// clang-format off
constexpr Form table[] = {
    // alu64: 64-bit arithmetic
    {0x07, "r{dst} += {imm}",                                  to, none, none, word, {3, 18}},
    {0x0f, "r{dst} += r{src}",                                 to, from, none, none, {3, 18}},
    {0x17, "r{dst} -= {imm}",                                  to, none, none, word, {3, 18}},
    {0x1f, "r{dst} -= r{src}",                                 to, from, none, none, {3, 18}},
    {0x27, "r{dst} *= {imm}",                                  to, none, none, word, {3, 18}},
    {0x2f, "r{dst} *= r{src}",                                 to, from, none, none, {3, 18}},
    {0x37, "r{dst} /= {imm}",                                  to, none, is(0), nonzero, {3, 18}},
    {0x37, "r{dst} s/= {imm}",                                 to, none, is(1), nonzero, {6, 6}},
    {0x3f, "r{dst} /= r{src}",                                 to, from, is(0), none, {3, 18}},
    {0x3f, "r{dst} s/= r{src}",                                to, from, is(1), none, {6, 6}},
    {0x47, "r{dst} |= {imm}",                                  to, none, none, word, {3, 18}},
    {0x4f, "r{dst} |= r{src}",                                 to, from, none, none, {3, 18}},
    {0x57, "r{dst} &= {imm}",                                  to, none, none, word, {3, 18}},
    {0x5f, "r{dst} &= r{src}",                                 to, from, none, none, {3, 18}},
    {0x67, "r{dst} <<= {imm}",                                 to, none, none, upto(63), {3, 18}},
    {0x6f, "r{dst} <<= r{src}",                                to, from, none, none, {3, 18}},
    {0x77, "r{dst} >>= {imm}",                                 to, none, none, upto(63), {3, 18}},
    {0x7f, "r{dst} >>= r{src}",                                to, from, none, none, {3, 18}},
    {0x87, "r{dst} = -r{dst}",                                 to, none, none, none, {3, 18}},
    {0x97, "r{dst} %= {imm}",                                  to, none, is(0), nonzero, {3, 18}},
    {0x97, "r{dst} s%= {imm}",                                 to, none, is(1), nonzero, {6, 6}},
    {0x9f, "r{dst} %= r{src}",                                 to, from, is(0), none, {3, 18}},
    {0x9f, "r{dst} s%= r{src}",                                to, from, is(1), none, {6, 6}},
    {0xa7, "r{dst} ^= {imm}",                                  to, none, none, word, {3, 18}},
    {0xaf, "r{dst} ^= r{src}",                                 to, from, none, none, {3, 18}},
    {0xb7, "r{dst} = {imm}",                                   to, none, none, word, {3, 18}},
    {0xbf, "r{dst} = r{src}",                                  to, from, is(0), none, {3, 18}},
    {0xbf, "r{dst} = (s8)r{src}",                              to, from, is(8), none, {6, 6}},
    {0xbf, "r{dst} = (s16)r{src}",                             to, from, is(16), none, {6, 6}},
    {0xbf, "r{dst} = (s32)r{src}",                             to, from, is(32), none, {6, 6}},
    {0xbf, "r{dst} = addr_space_cast(r{src}, {high}, {low})",  to, from, is(1), spaces, {6, 9}},
    {0xbf, "r{dst} = &(void __percpu *)(r{src})",              to, from, is(-1), none, {6, 10}},
    {0xc7, "r{dst} s>>= {imm}",                                to, none, none, upto(63), {3, 18}},
    {0xcf, "r{dst} s>>= r{src}",                               to, from, none, none, {3, 18}},
    {0xd7, "r{dst} = bswap{imm} r{dst}",                       to, none, none, sizes, {6, 6}},
    // alu: 32-bit arithmetic, the upper half becomes 0
    {0x04, "w{dst} += {imm}",                                  to, none, none, word, {3, 18}},
    {0x0c, "w{dst} += w{src}",                                 to, from, none, none, {3, 18}},
    {0x14, "w{dst} -= {imm}",                                  to, none, none, word, {3, 18}},
    {0x1c, "w{dst} -= w{src}",                                 to, from, none, none, {3, 18}},
    {0x24, "w{dst} *= {imm}",                                  to, none, none, word, {3, 18}},
    {0x2c, "w{dst} *= w{src}",                                 to, from, none, none, {3, 18}},
    {0x34, "w{dst} /= {imm}",                                  to, none, is(0), nonzero, {3, 18}},
    {0x34, "w{dst} s/= {imm}",                                 to, none, is(1), nonzero, {6, 6}},
    {0x3c, "w{dst} /= w{src}",                                 to, from, is(0), none, {3, 18}},
    {0x3c, "w{dst} s/= w{src}",                                to, from, is(1), none, {6, 6}},
    {0x44, "w{dst} |= {imm}",                                  to, none, none, word, {3, 18}},
    {0x4c, "w{dst} |= w{src}",                                 to, from, none, none, {3, 18}},
    {0x54, "w{dst} &= {imm}",                                  to, none, none, word, {3, 18}},
    {0x5c, "w{dst} &= w{src}",                                 to, from, none, none, {3, 18}},
    {0x64, "w{dst} <<= {imm}",                                 to, none, none, upto(31), {3, 18}},
    {0x6c, "w{dst} <<= w{src}",                                to, from, none, none, {3, 18}},
    {0x74, "w{dst} >>= {imm}",                                 to, none, none, upto(31), {3, 18}},
    {0x7c, "w{dst} >>= w{src}",                                to, from, none, none, {3, 18}},
    {0x84, "w{dst} = -w{dst}",                                 to, none, none, none, {3, 18}},
    {0x94, "w{dst} %= {imm}",                                  to, none, is(0), nonzero, {3, 18}},
    {0x94, "w{dst} s%= {imm}",                                 to, none, is(1), nonzero, {6, 6}},
    {0x9c, "w{dst} %= w{src}",                                 to, from, is(0), none, {3, 18}},
    {0x9c, "w{dst} s%= w{src}",                                to, from, is(1), none, {6, 6}},
    {0xa4, "w{dst} ^= {imm}",                                  to, none, none, word, {3, 18}},
    {0xac, "w{dst} ^= w{src}",                                 to, from, none, none, {3, 18}},
    {0xb4, "w{dst} = {imm}",                                   to, none, none, word, {3, 18}},
    {0xbc, "w{dst} = w{src}",                                  to, from, is(0), none, {3, 18}},
    {0xbc, "w{dst} = (s8)w{src}",                              to, from, is(8), none, {6, 6}},
    {0xbc, "w{dst} = (s16)w{src}",                             to, from, is(16), none, {6, 6}},
    {0xc4, "w{dst} s>>= {imm}",                                to, none, none, upto(31), {3, 18}},
    {0xcc, "w{dst} s>>= w{src}",                               to, from, none, none, {3, 18}},
    {0xd4, "r{dst} = le{imm} r{dst}",                          to, none, none, sizes, {3, 18}},
    {0xdc, "r{dst} = be{imm} r{dst}",                          to, none, none, sizes, {3, 18}},
    // jmp: 64-bit comparisons
    {0x15, "if r{dst} == {hex} goto pc{off}",                  from, none, half, word, {3, 18}},
    {0x1d, "if r{dst} == r{src} goto pc{off}",                 from, from, half, none, {3, 18}},
    {0x25, "if r{dst} > {hex} goto pc{off}",                   from, none, half, word, {3, 18}},
    {0x2d, "if r{dst} > r{src} goto pc{off}",                  from, from, half, none, {3, 18}},
    {0x35, "if r{dst} >= {hex} goto pc{off}",                  from, none, half, word, {3, 18}},
    {0x3d, "if r{dst} >= r{src} goto pc{off}",                 from, from, half, none, {3, 18}},
    {0x45, "if r{dst} & {hex} goto pc{off}",                   from, none, half, word, {3, 18}},
    {0x4d, "if r{dst} & r{src} goto pc{off}",                  from, from, half, none, {3, 18}},
    {0x55, "if r{dst} != {hex} goto pc{off}",                  from, none, half, word, {3, 18}},
    {0x5d, "if r{dst} != r{src} goto pc{off}",                 from, from, half, none, {3, 18}},
    {0x65, "if r{dst} s> {hex} goto pc{off}",                  from, none, half, word, {3, 18}},
    {0x6d, "if r{dst} s> r{src} goto pc{off}",                 from, from, half, none, {3, 18}},
    {0x75, "if r{dst} s>= {hex} goto pc{off}",                 from, none, half, word, {3, 18}},
    {0x7d, "if r{dst} s>= r{src} goto pc{off}",                from, from, half, none, {3, 18}},
    {0xa5, "if r{dst} < {hex} goto pc{off}",                   from, none, half, word, {4, 14}},
    {0xad, "if r{dst} < r{src} goto pc{off}",                  from, from, half, none, {4, 14}},
    {0xb5, "if r{dst} <= {hex} goto pc{off}",                  from, none, half, word, {4, 14}},
    {0xbd, "if r{dst} <= r{src} goto pc{off}",                 from, from, half, none, {4, 14}},
    {0xc5, "if r{dst} s< {hex} goto pc{off}",                  from, none, half, word, {4, 14}},
    {0xcd, "if r{dst} s< r{src} goto pc{off}",                 from, from, half, none, {4, 14}},
    {0xd5, "if r{dst} s<= {hex} goto pc{off}",                 from, none, half, word, {4, 14}},
    {0xdd, "if r{dst} s<= r{src} goto pc{off}",                from, from, half, none, {4, 14}},
    // jmp32: 32-bit comparisons
    {0x16, "if w{dst} == {hex} goto pc{off}",                  from, none, half, word, {5, 1}},
    {0x1e, "if w{dst} == w{src} goto pc{off}",                 from, from, half, none, {5, 1}},
    {0x26, "if w{dst} > {hex} goto pc{off}",                   from, none, half, word, {5, 1}},
    {0x2e, "if w{dst} > w{src} goto pc{off}",                  from, from, half, none, {5, 1}},
    {0x36, "if w{dst} >= {hex} goto pc{off}",                  from, none, half, word, {5, 1}},
    {0x3e, "if w{dst} >= w{src} goto pc{off}",                 from, from, half, none, {5, 1}},
    {0x46, "if w{dst} & {hex} goto pc{off}",                   from, none, half, word, {5, 1}},
    {0x4e, "if w{dst} & w{src} goto pc{off}",                  from, from, half, none, {5, 1}},
    {0x56, "if w{dst} != {hex} goto pc{off}",                  from, none, half, word, {5, 1}},
    {0x5e, "if w{dst} != w{src} goto pc{off}",                 from, from, half, none, {5, 1}},
    {0x66, "if w{dst} s> {hex} goto pc{off}",                  from, none, half, word, {5, 1}},
    {0x6e, "if w{dst} s> w{src} goto pc{off}",                 from, from, half, none, {5, 1}},
    {0x76, "if w{dst} s>= {hex} goto pc{off}",                 from, none, half, word, {5, 1}},
    {0x7e, "if w{dst} s>= w{src} goto pc{off}",                from, from, half, none, {5, 1}},
    {0xa6, "if w{dst} < {hex} goto pc{off}",                   from, none, half, word, {5, 1}},
    {0xae, "if w{dst} < w{src} goto pc{off}",                  from, from, half, none, {5, 1}},
    {0xb6, "if w{dst} <= {hex} goto pc{off}",                  from, none, half, word, {5, 1}},
    {0xbe, "if w{dst} <= w{src} goto pc{off}",                 from, from, half, none, {5, 1}},
    {0xc6, "if w{dst} s< {hex} goto pc{off}",                  from, none, half, word, {5, 1}},
    {0xce, "if w{dst} s< w{src} goto pc{off}",                 from, from, half, none, {5, 1}},
    {0xd6, "if w{dst} s<= {hex} goto pc{off}",                 from, none, half, word, {5, 1}},
    {0xde, "if w{dst} s<= w{src} goto pc{off}",                from, from, half, none, {5, 1}},
    // jumps without a condition, calls, exit
    {0x05, "goto pc{off}",                                     none, none, half, none, {3, 18}},
    {0x06, "gotol pc{far}",                                    none, none, none, word, {6, 6}},
    {0xe5, "may_goto pc{off}",                                 none, none, half, none, {6, 9}},
    {0x85, "call {name}#{imm}",                                none, is(0), none, helper, {3, 18}},
    {0x85, "call {name}",                                      none, is(1), none, word, {4, 16}},
    {0x85, "call {name}#{imm}",                                none, is(2), module, id, {5, 13}},
    {0x95, "exit",                                             none, none, none, none, {3, 18}},
    // ld_imm64: two slots; what the immediate stands for is in src
    {0x18, "r{dst} = {hex}",                                   to, is(0), none, any64, {3, 18}},
    {0x18, "r{dst} = {name}",                                  to, is(1), none, fd, {3, 18}},
    {0x18, "r{dst} = {name}",                                  to, is(2), none, any64, {5, 2}},
    {0x18, "r{dst} = {name}",                                  to, is(3), none, any64, {5, 10}},
    {0x18, "r{dst} = {name}",                                  to, is(4), none, word, {5, 13}},
    {0x18, "r{dst} = {name}",                                  to, is(5), none, fd, {5, 14}},
    {0x18, "r{dst} = {name}",                                  to, is(6), none, any64, {5, 14}},
    // ld: packet loads of classic BPF, for skb programs; they use r6 and write r0
    {0x20, "r0 = *(u32 *)skb[{imm}]",                          none, none, none, word, {3, 18}},
    {0x28, "r0 = *(u16 *)skb[{imm}]",                          none, none, none, word, {3, 18}},
    {0x30, "r0 = *(u8 *)skb[{imm}]",                           none, none, none, word, {3, 18}},
    {0x40, "r0 = *(u32 *)skb[r{src} + {imm}]",                 none, from, none, word, {3, 18}},
    {0x48, "r0 = *(u16 *)skb[r{src} + {imm}]",                 none, from, none, word, {3, 18}},
    {0x50, "r0 = *(u8 *)skb[r{src} + {imm}]",                  none, from, none, word, {3, 18}},
    // ldx, st, stx: loads and stores
    {0x61, "r{dst} = *(u32 *)(r{src} {off})",                  to, from, half, none, {3, 18}},
    {0x69, "r{dst} = *(u16 *)(r{src} {off})",                  to, from, half, none, {3, 18}},
    {0x71, "r{dst} = *(u8 *)(r{src} {off})",                   to, from, half, none, {3, 18}},
    {0x79, "r{dst} = *(u64 *)(r{src} {off})",                  to, from, half, none, {3, 18}},
    {0x81, "r{dst} = *(s32 *)(r{src} {off})",                  to, from, half, none, {6, 6}},
    {0x89, "r{dst} = *(s16 *)(r{src} {off})",                  to, from, half, none, {6, 6}},
    {0x91, "r{dst} = *(s8 *)(r{src} {off})",                   to, from, half, none, {6, 6}},
    {0x62, "*(u32 *)(r{dst} {off}) = {imm}",                   from, none, half, word, {3, 18}},
    {0x6a, "*(u16 *)(r{dst} {off}) = {imm}",                   from, none, half, word, {3, 18}},
    {0x72, "*(u8 *)(r{dst} {off}) = {imm}",                    from, none, half, word, {3, 18}},
    {0x7a, "*(u64 *)(r{dst} {off}) = {imm}",                   from, none, half, word, {3, 18}},
    {0x63, "*(u32 *)(r{dst} {off}) = r{src}",                  from, from, half, none, {3, 18}},
    {0x6b, "*(u16 *)(r{dst} {off}) = r{src}",                  from, from, half, none, {3, 18}},
    {0x73, "*(u8 *)(r{dst} {off}) = r{src}",                   from, from, half, none, {3, 18}},
    {0x7b, "*(u64 *)(r{dst} {off}) = r{src}",                  from, from, half, none, {3, 18}},
    // stx: atomic operations; those with fetch write the old value to src, cmpxchg to r0
    {0xdb, "lock *(u64 *)(r{dst} {off}) += r{src}",            from, from, half, is(0x00), {3, 18}},
    {0xdb, "r{src} = atomic64_fetch_add((u64 *)(r{dst} {off}), r{src})", from, to, half, is(0x01), {5, 12}},
    {0xdb, "lock *(u64 *)(r{dst} {off}) |= r{src}",            from, from, half, is(0x40), {5, 12}},
    {0xdb, "r{src} = atomic64_fetch_or((u64 *)(r{dst} {off}), r{src})", from, to, half, is(0x41), {5, 12}},
    {0xdb, "lock *(u64 *)(r{dst} {off}) &= r{src}",            from, from, half, is(0x50), {5, 12}},
    {0xdb, "r{src} = atomic64_fetch_and((u64 *)(r{dst} {off}), r{src})", from, to, half, is(0x51), {5, 12}},
    {0xdb, "lock *(u64 *)(r{dst} {off}) ^= r{src}",            from, from, half, is(0xa0), {5, 12}},
    {0xdb, "r{src} = atomic64_fetch_xor((u64 *)(r{dst} {off}), r{src})", from, to, half, is(0xa1), {5, 12}},
    {0xdb, "r{src} = atomic64_xchg((u64 *)(r{dst} {off}), r{src})", from, to, half, is(0xe1), {5, 12}},
    {0xdb, "r0 = atomic64_cmpxchg((u64 *)(r{dst} {off}), r0, r{src})", from, from, half, is(0xf1), {5, 12}},
    {0xc3, "lock *(u32 *)(r{dst} {off}) += r{src}",            from, from, half, is(0x00), {3, 18}},
    {0xc3, "r{src} = atomic_fetch_add((u32 *)(r{dst} {off}), r{src})", from, to, half, is(0x01), {5, 12}},
    {0xc3, "lock *(u32 *)(r{dst} {off}) |= r{src}",            from, from, half, is(0x40), {5, 12}},
    {0xc3, "r{src} = atomic_fetch_or((u32 *)(r{dst} {off}), r{src})", from, to, half, is(0x41), {5, 12}},
    {0xc3, "lock *(u32 *)(r{dst} {off}) &= r{src}",            from, from, half, is(0x50), {5, 12}},
    {0xc3, "r{src} = atomic_fetch_and((u32 *)(r{dst} {off}), r{src})", from, to, half, is(0x51), {5, 12}},
    {0xc3, "lock *(u32 *)(r{dst} {off}) ^= r{src}",            from, from, half, is(0xa0), {5, 12}},
    {0xc3, "r{src} = atomic_fetch_xor((u32 *)(r{dst} {off}), r{src})", from, to, half, is(0xa1), {5, 12}},
    {0xc3, "r{src} = atomic_xchg((u32 *)(r{dst} {off}), r{src})", from, to, half, is(0xe1), {5, 12}},
    {0xc3, "r0 = atomic_cmpxchg((u32 *)(r{dst} {off}), r0, r{src})", from, from, half, is(0xf1), {5, 12}},
    // stx: loads that acquire, stores that release; the base of such a load is in src
    {0xc3, "r{dst} = load_acquire((u32 *)(r{src} {off}))",     to, from, half, is(0x100), {6, 15}},
    {0xcb, "r{dst} = load_acquire((u16 *)(r{src} {off}))",     to, from, half, is(0x100), {6, 15}},
    {0xd3, "r{dst} = load_acquire((u8 *)(r{src} {off}))",      to, from, half, is(0x100), {6, 15}},
    {0xdb, "r{dst} = load_acquire((u64 *)(r{src} {off}))",     to, from, half, is(0x100), {6, 15}},
    {0xc3, "store_release((u32 *)(r{dst} {off}), r{src})",     from, from, half, is(0x110), {6, 15}},
    {0xcb, "store_release((u16 *)(r{dst} {off}), r{src})",     from, from, half, is(0x110), {6, 15}},
    {0xd3, "store_release((u8 *)(r{dst} {off}), r{src})",      from, from, half, is(0x110), {6, 15}},
    {0xdb, "store_release((u64 *)(r{dst} {off}), r{src})",     from, from, half, is(0x110), {6, 15}},
};
// clang-format on

} // namespace

const char* field_name(InsnField field)
{
    switch (field) {
    case InsnField::dst:
        return "dst";
    case InsnField::src:
        return "src";
    case InsnField::off:
        return "off";
    case InsnField::imm:
        return "imm";
    }
    return "";
}

bool Rule::allows(i64 value) const
{
    switch (kind) {
    case Kind::is:
        return value == values[0];
    case Kind::zero:
        return value == 0;
    case Kind::reg:
        return value >= 0 && value <= fp.index;
    case Kind::writable:
        return value >= 0 && value < fp.index;
    case Kind::range:
        return value >= values[0] && value <= values[1];
    case Kind::nonzero:
        return value != 0 && value >= i32_min && value <= i32_max;
    case Kind::one_of:
        return value != 0 && std::ranges::find(values, value) != values.end();
    }
    return false;
}

std::span<const Form> forms() { return table; }

const Form* find_form(const Insn& insn)
{
    for (const Form& form : table) {
        const auto agrees = [&](InsnField field) {
            const Rule& rule = form.rule(field);
            return !rule.selects() || rule.allows(field_value(insn, field));
        };
        if (form.opcode == insn.opcode && std::ranges::all_of(all_fields, agrees)) return &form;
    }
    return nullptr;
}

i64 field_value(const Insn& insn, InsnField field)
{
    switch (field) {
    case InsnField::dst:
        return insn.dst.index;
    case InsnField::src:
        return insn.src.index;
    case InsnField::off:
        return insn.off;
    case InsnField::imm:
        return insn.imm;
    }
    return 0;
}

} // namespace lb::bpf
