#include "datapath/addresses.hpp"

#include <algorithm>

namespace lb::datapath {

using namespace bpf;

namespace {

/// The leading `length` bits of a word.
template <class W> W mask_of(u32 length)
{
    using Bits = typename W::Host;
    constexpr u32 bits = sizeof(Bits) * 8;
    if (length == 0) return W(Bits{0});
    if (length >= bits) return W(static_cast<Bits>(~Bits{0}));
    return W(static_cast<Bits>(~Bits{0} << (bits - length)));
}

// Emits `if (field & mask) != wanted goto differs`; nothing where no bit counts.
template <class W> void jump_unless_prefix(Dsl& b, const Field<W>& field, W wanted, u32 length, Label differs)
{
    if (length == 0) return;
    auto word = b.let<W>("word", field);
    if (length < sizeof(W) * 8) word &= mask_of<W>(length);
    b.jump_if(word != wanted, differs);
}

} // namespace

void jump_if_vip(Dsl& b, const model::Backend& backend, const Field<be32>& address, Label found)
{
    for (const auto& vip : backend.vips)
        if (vip.is_v4()) b.jump_if(address == vip.v4(), found);
}

void jump_if_vip(Dsl& b, const model::Backend& backend, const Field<be64>& high, const Field<be64>& low,
                 Label found)
{
    for (const auto& vip : backend.vips) {
        if (vip.is_v4()) continue;
        const Label other = b.label("another VIP");
        b.jump_if(low != vip.address6().low, other); // the half that VIPs differ in
        b.jump_if(high == vip.address6().high, found);
        b.bind(other);
    }
}

void jump_if_sender(Dsl& b, const model::Backend& backend, const Field<be32>& address, Label found)
{
    for (const auto& sender : backend.senders) {
        if (sender.address.is_v6()) continue;
        const Label other = b.label("another sender");
        jump_unless_prefix(b, address, sender.address.v4(), sender.length, other);
        b.jump(found);
        b.bind(other);
    }
}

void jump_if_sender(Dsl& b, const model::Backend& backend, const Field<be64>& high, const Field<be64>& low,
                    Label found)
{
    constexpr u32 half = 64;
    for (const auto& sender : backend.senders) {
        if (sender.address.is_v4()) continue;
        const Label other = b.label("another sender");
        const u32 length = sender.length;
        jump_unless_prefix(b, high, sender.address.address6().high, std::min(length, half), other);
        jump_unless_prefix(b, low, sender.address.address6().low, length > half ? length - half : 0, other);
        b.jump(found);
        b.bind(other);
    }
}

} // namespace lb::datapath
