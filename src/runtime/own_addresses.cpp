#include "runtime/own_addresses.hpp"

#include <algorithm>
#include <vector>

#include "kernel/map_batch.hpp"
#include "lb/base/wire.hpp"

namespace lb::runtime {

namespace {

// Makes the map's keys these.
template <class A> Result<void> set_keys(const kernel::Map& map, const std::vector<A>& wanted)
{
    const auto present = kernel::read_all<A, u32>(map);
    if (!present) return std::unexpected(present.error());
    for (const A& address : wanted)
        if (auto done = map.update(address, u32{1}); !done) return done;
    for (const auto& entry : *present)
        if (std::ranges::find(wanted, entry.key) == wanted.end())
            if (auto done = map.remove(entry.key); !done) return std::unexpected(done.error());
    return {};
}

} // namespace

Result<void> write_own_addresses(const kernel::Map* own4, const kernel::Map* own6,
                                 std::span<const kernel::HostAddress> addresses, bool with_loopback)
{
    std::vector<be32> v4;
    std::vector<wire::Address6> v6;
    for (const auto& each : addresses) {
        if (each.address.is_loopback() && !with_loopback) continue;
        if (each.address.is_v6())
            v6.push_back(each.address.address6());
        else
            v4.push_back(each.address.v4());
    }
    if (own4)
        if (auto done = set_keys(*own4, v4); !done) return done;
    if (own6)
        if (auto done = set_keys(*own6, v6); !done) return done;
    return {};
}

} // namespace lb::runtime
