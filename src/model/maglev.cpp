#include "model/maglev.hpp"

#include <algorithm>
#include <cassert>

#include "model/weights.hpp"

namespace lb::model {
namespace {

// FNV-1a of 64 bits (offset basis and prime of its authors), then the finalizer of splitmix64, which spreads
// the last bytes over all bits. Written out here because tables must be the same on every machine and with
// every library.
u64 hash(std::string_view key, u64 seed)
{
    u64 h = 0xcbf29ce484222325u ^ seed;
    for (const char c : key) h = (h ^ static_cast<u8>(c)) * 0x100000001b3u;
    h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
    h = (h ^ h >> 27) * 0x94d049bb133111ebu;
    return h ^ h >> 31;
}

constexpr u64 offset_seed = 0;
constexpr u64 step_seed = 0x9e3779b97f4a7c15u;

struct Candidate {
    std::string_view key = {};
    u32 target = 0;
    u32 weight = 0;
    u32 quota = 0; // slots that it gets
    u32 next = 0;  // the slot that it wants next
    u32 step = 0;  // the distance to the one after
};

std::vector<Candidate> candidates(std::span<const GroupMember> members, std::span<const std::string> keys,
                                  u32 size)
{
    std::vector<Candidate> out;
    for (std::size_t i = 0; i < members.size(); ++i) {
        if (members[i].weight == 0) continue;
        const auto next = static_cast<u32>(hash(keys[i], offset_seed) % size);
        const auto step = size == 1 ? 1 : static_cast<u32>(hash(keys[i], step_seed) % (size - 1)) + 1;
        out.push_back({keys[i], members[i].target, members[i].weight, 0, next, step});
    }
    std::ranges::sort(out, {}, &Candidate::key); // the order of the members must not matter
    return out;
}

void set_quotas(std::vector<Candidate>& all, u32 size)
{
    std::vector<u32> weights;
    for (const Candidate& c : all) weights.push_back(c.weight);
    const std::vector<u32> quotas = shares_of(size, weights);
    for (std::size_t i = 0; i < all.size(); ++i) all[i].quota = quotas[i];
}

struct Turn {
    u64 time = 0;
    u32 candidate = 0;
};

// The order of choosing: the n-th turn of a candidate is at (n + 1/2) / weight. That depends on its own
// weight alone, so a change of one candidate leaves the order of all others as it was.
std::vector<Turn> turns(const std::vector<Candidate>& all, u32 size)
{
    constexpr u32 time_shift = 44; // n is below 2^17, so the times are below 2^62
    static_assert(maglev_table_size_max <= 1u << 17);
    std::vector<Turn> out;
    out.reserve(size);
    for (u32 i = 0; i < all.size(); ++i) {
        for (u64 n = 0; n < all[i].quota; ++n)
            out.push_back({((2 * n + 1) << time_shift) / all[i].weight, i});
    }
    std::ranges::sort(out, {}, [](const Turn& turn) { return std::pair(turn.time, turn.candidate); });
    return out;
}

} // namespace

u32 slots_for(std::size_t members) { return members <= 1 ? 1 : members <= 8 ? slots_small : slots_large; }

u32 table_size(const ProxyConfig& proxy, const Settings& settings, std::size_t members)
{
    const u32 configured = proxy.maglev_table_size.value_or(settings.maglev_table_size);
    const bool holds = configured != 0 && members > 1 && picks_by_hash(proxy.algorithm);
    return holds ? configured : slots_for(members);
}

std::vector<u32> make_slots(std::span<const GroupMember> members, std::span<const std::string> keys, u32 size)
{
    assert(members.size() == keys.size() && size > 0);
    std::vector<Candidate> all = candidates(members, keys, size);
    if (all.empty()) return {};
    set_quotas(all, size);
    std::vector<u32> slots(size);
    std::vector<bool> taken(size);
    for (const Turn& turn : turns(all, size)) {
        Candidate& c = all[turn.candidate];
        while (taken[c.next]) c.next = c.next >= size - c.step ? c.next - (size - c.step) : c.next + c.step;
        taken[c.next] = true;
        slots[c.next] = c.target;
    }
    return slots;
}

} // namespace lb::model
