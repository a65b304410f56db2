#include "datapath/next_hop.hpp"

#include "datapath/way.hpp"

namespace lb::datapath {

using namespace bpf;
using model::Reason;
using wire::Ipv4;
using wire::Ipv6;

namespace {

// What fits everywhere. IPv4: what every host takes (RFC 791, 3.1); links below that are not asked about.
template <class F> inline constexpr u64 fits_everywhere = F::header_sum ? 576 : least_mtu6;

// IPv4 that may be fragmented is, by the kernel.
void skip_fragmentable(Dsl& b, const View<Ipv4>& ip, Label fits)
{
    b.jump_unless(ip(&Ipv4::fragment).has(wire::ipv4_dont_fragment), fits);
}
void skip_fragmentable(Dsl&, const View<Ipv6>&, Label) {}

// With a tag in the frame the way is that of another interface, which is not known here.
template <class F, class L4>
void check_fit(const Ingress& in, const Headers<F, L4>& headers, const View<typename F::Flow>& flow,
               StackRange memory, Label fits)
{
    using Fib = std::conditional_t<F::header_sum, FibLookup4, FibLookup6>;
    Dsl& b = in.b;
    skip_fragmentable(b, headers.ip, fits);
    b.jump_if((*in.l3_offset)() != u64{sizeof(wire::Ethernet)}, fits);
    const StackView<FibLookup4> fib(b, memory);
    describe_translated(b, headers, flow, StackView<Fib>(b, memory));
    b.jump_if(ask_kernel(b, *in.context, fib) != fib_too_big, fits);
    auto mtu = b.let<u64>("mtu", fib(&FibLookup4::total_length));
    in.too_large->mtu() = mtu;
    mtu.release();
    b.jump(F::header_sum ? in.too_large->four : in.too_large->six);
}

} // namespace

template <class F, class L4>
void check_next_hop(const Ingress& in, const Headers<F, L4>& headers, const View<typename F::Flow>& flow,
                    StackRange memory, bool with_nat)
{
    if (!in.plan.has_full_nat(F::family)) return;
    Dsl& b = in.b;
    const Label look = b.label("last hop, or large"), fits = b.label("fits"),
                full_nat = b.label("of full NAT");
    b.note("does it get to the next hop?");
    b.jump_if(hops_left(headers.ip) <= u8{1}, look);
    {
        const auto total = ip_length(b, headers.ip);
        b.jump_if(total <= fits_everywhere<F>, fits);
    }
    b.bind(look);
    if (with_nat) {
        jump_if_differs(b, headers.ip(&F::Header::saddr), flow(&F::Flow::saddr), full_nat);
        b.jump(fits);
        b.bind(full_nat);
    }
    b.jump_if(hops_left(headers.ip) <= u8{1}, in.ways.to(Reason::last_hop));
    check_fit(in, headers, flow, memory, fits);
    b.bind(fits);
}

#define LB_INSTANTIATE(F, L4)                                                                                \
    template void check_next_hop(const Ingress&, const Headers<F, L4>&, const View<F::Flow>&, StackRange,    \
                                 bool);
LB_INSTANTIATE(V4, wire::Tcp)
LB_INSTANTIATE(V4, wire::Udp)
LB_INSTANTIATE(V6, wire::Tcp)
LB_INSTANTIATE(V6, wire::Udp)
#undef LB_INSTANTIATE

} // namespace lb::datapath
