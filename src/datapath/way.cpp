#include "datapath/way.hpp"

#include "datapath/checksum.hpp"

namespace lb::datapath {

using namespace bpf;
using wire::Ipv4;
using wire::Ipv6;

Var<i64> ask_kernel(Dsl& b, const StackVar<u64>& context, const StackView<FibLookup4>& fib)
{
    auto ctx = b.let<u64>("ctx", context());
    const View<XdpMd> md(b, ctx.reg(), 0);
    fib(&FibLookup4::ifindex) = md(&XdpMd::ingress_ifindex);
    return b.call<i64>(Helper::fib_lookup, {std::move(ctx), fib, u32{sizeof(FibLookup4)}, 0}, "fib result");
}

void ask_way(Dsl& b, const StackVar<u64>& context, const StackView<FibLookup4>& fib, Label unknown)
{
    const auto result = ask_kernel(b, context, fib);
    b.jump_if(result != fib_success, unknown);
}

void take_device(Dsl& b, const Maps& maps, const StackView<FibLookup4>& fib, Label cannot)
{
    auto ifindex = b.let<u32>("ifindex", fib(&FibLookup4::ifindex));
    constexpr u32 where_missing = static_cast<u32>(XdpAction::pass);
    auto verdict =
        b.call<u64>(Helper::redirect_map, {*maps.devices, std::move(ifindex), where_missing}, "verdict");
    b.jump_if(verdict != u64{static_cast<u32>(XdpAction::redirect)}, cannot);
}

// RFC 1624: the word that the time to live is the upper byte of becomes 0x0100 less.
void age(Dsl& b, const View<Ipv4>& ip)
{
    auto ttl = b.let<u32>("ttl", ip(&Ipv4::ttl));
    ttl -= 1;
    ip(&Ipv4::ttl).store(ttl.reg());
    ttl.release();
    const auto change = b.let<u64>("change", u64{be16(0xfeff).raw}); // ~0x0100
    apply_sum(b, ip(&Ipv4::checksum), change);
}

void age(Dsl& b, const View<Ipv6>& ip)
{
    auto hops = b.let<u32>("hops", ip(&Ipv6::hop_limit));
    hops -= 1;
    ip(&Ipv6::hop_limit).store(hops.reg());
}

void write_macs(const View<EthernetMacs>& ethernet, const StackView<FibLookup4>& fib)
{
    ethernet(&EthernetMacs::destination).copy_from(fib(&FibLookup4::destination));
    ethernet(&EthernetMacs::source).copy_from(fib(&FibLookup4::source));
}

void jump_unless_back(Dsl& b, const StackVar<u64>& context, const StackView<FibLookup4>& fib, Label another)
{
    auto ctx = b.let<u64>("ctx", context());
    const View<XdpMd> md(b, ctx.reg(), 0);
    auto arrived = b.let<u32>("arrived by", md(&XdpMd::ingress_ifindex));
    b.jump_if(arrived != fib(&FibLookup4::ifindex), another);
}

} // namespace lb::datapath
