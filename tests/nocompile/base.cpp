// What the types of the base layer refuse.
#include "lb/base/address.hpp"
#include "lb/base/bytes.hpp"
#include "lb/base/result.hpp"

using namespace lb;

namespace {

Result<u16> port() { return u16{80}; }

[[maybe_unused]] u32 all()
{
#ifdef WRONG_NUMBER_BECOMES_NETWORK_ORDER
    const be16 wire = u16{80};
#else
    const be16 wire{u16{80}};
#endif
#ifdef WRONG_NETWORK_ORDER_BECOMES_NUMBER
    const u16 number = wire;
#else
    const u16 number = wire.host();
#endif
#ifdef WRONG_WIDTHS_MEET
    const bool same = wire == be32{80};
#else
    const bool same = wire == be16{80};
#endif
#ifdef WRONG_RESULT_AS_VALUE
    const u16 value = port();
#else
    const u16 value = port().value_or(0);
#endif
#ifdef WRONG_NUMBER_AS_ADDRESS
    const IpAddress address = u32{1};
#else
    const IpAddress address(be32{1});
#endif
    return u32{number} + (same ? 1 : 0) + value + (address.is_v4() ? 1 : 0);
}

} // namespace
