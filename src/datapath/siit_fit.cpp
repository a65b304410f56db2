// Whether a packet fits on its way when it is of the other version.
#include "datapath/parse.hpp"
#include "datapath/siit.hpp"
#include "datapath/too_big.hpp"
#include "datapath/way.hpp"

namespace lb::datapath {

using namespace bpf;
using model::Reason;
using wire::Ipv4;
using wire::Ipv6;

namespace {

// The header that the packet gets.
template <class Out, class F> View<Out> new_header(const Siit& in, const Rewriting<F>& to)
{
    return {in.b, fp, to.headers.offset()};
}

// Small IPv6 packets fit everywhere, and IPv4 packets that may be fragmented are.
void skip_if_small(Dsl& b, const View<Ipv6>& out, Label fits)
{
    const auto total = ip_length(b, out);
    b.jump_if(total <= least_mtu6, fits);
}
void skip_if_small(Dsl& b, const View<Ipv4>& out, Label fits)
{
    b.jump_unless(out(&Ipv4::fragment).has(wire::ipv4_dont_fragment), fits);
}

void tell_mtu(const Siit& in, const Var<u64>& mtu, const View<Ipv6>&, u32 header)
{
    auto left = in.b.let<u64>("left", mtu);
    left -= u64{header - sizeof(Ipv4)};
    in.too_large.mtu() = left;
    left.release();
    in.b.jump(in.too_large.four);
}
void tell_mtu(const Siit& in, const Var<u64>& mtu, const View<Ipv4>&, u32)
{
    auto left = in.b.let<u64>("left", mtu);
    left += u64{sizeof(Ipv6) - sizeof(Ipv4)};
    in.b.if_(left < least_mtu6, [&] { left = least_mtu6; });
    in.too_large.mtu() = left;
    left.release();
    in.b.jump(in.too_large.six);
}

} // namespace

template <class F> void check_fit(const Siit& in, const Rewriting<F>& to, u8 protocol, u32 header)
{
    using Fib = std::conditional_t<F::header_sum, FibLookup6, FibLookup4>;
    using Out = std::conditional_t<F::header_sum, Ipv6, Ipv4>;
    Dsl& b = in.b;
    const Label fits = b.label("fits");
    const View<Out> out = new_header<Out>(in, to);
    b.note("does it fit on its way?");
    skip_if_small(b, out, fits);
    b.jump_if(in.l3_offset() != u64{sizeof(wire::Ethernet)}, fits);
    const StackView<Fib> fib(b, in.way);
    fib.fill(0);
    fib(&Fib::family) = F::header_sum ? fib_inet6 : fib_inet;
    fib(&Fib::l4_protocol) = protocol;
    copy_address(fib(&Fib::saddr), out(&Out::saddr));
    copy_address(fib(&Fib::daddr), out(&Out::daddr));
    {
        const auto total = ip_length(b, out);
        fib(&Fib::total_length).store(total.reg());
    }
    b.jump_if(ask_kernel(b, in.context, StackView<FibLookup4>(b, in.way)) != fib_too_big, fits);
    tell_mtu(in, b.let<u64>("mtu", fib(&Fib::total_length)), out, header);
    b.bind(fits);
}

template void check_fit(const Siit&, const Rewriting<V4To6>&, u8, u32);
template void check_fit(const Siit&, const Rewriting<V6To4>&, u8, u32);

} // namespace lb::datapath
