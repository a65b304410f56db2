#include "datapath/reply.hpp"

#include "datapath/flow.hpp"
#include "datapath/fragment.hpp"
#include "datapath/live.hpp"
#include "datapath/next_hop.hpp"
#include "datapath/way.hpp"

namespace lb::datapath {

using namespace bpf;
using model::CarrierRow;
using model::Direction;
using model::Reason;
using model::TargetCounters;
using wire::Ethernet;

namespace {

template <class F, class L4>
void count_reply(const Ingress& in, const Headers<F, L4>& headers, const Frame<F>& frame,
                 const View<typename F::Flow>& flow)
{
    Dsl& b = in.b;
    const auto bytes = [&] { return ip_length(b, headers.ip); };
    touch_flow(b, flow, headers.l4, bytes);
    count_end(b, in.maps, frame, flow, headers.l4, Direction::reply);
    count_target(b, in.maps, frame, flow, &TargetCounters::reply_packets, &TargetCounters::reply_bytes,
                 bytes);
    b.note("rewrite source and destination");
    write_headers(in, headers, flow);
}

// Options, fragments and what has no hop left are the stack's work.
template <class L4> void only_plain(Dsl& b, const Headers<V4, L4>& headers, Label otherwise)
{
    b.jump_if(headers.ip(&wire::Ipv4::version_ihl) != wire::ipv4_version_ihl, otherwise);
    b.jump_if(headers.ip(&wire::Ipv4::fragment).has(wire::ipv4_more_fragments_or_offset), otherwise);
    b.jump_if(hops_left(headers.ip) <= u8{1}, otherwise);
}
template <class L4> void only_plain(Dsl& b, const Headers<V6, L4>& headers, Label otherwise)
{
    b.jump_if(headers.ip(&wire::Ipv6::next_header) != protocol_number<L4>, otherwise);
    b.jump_if(hops_left(headers.ip) <= u8{1}, otherwise);
}

void add(Dsl& b, Var<u64>& sum, const Field<be32>& address)
{
    const auto word = b.let_bits<u64>("word", address);
    sum += word.value();
}

void add(Dsl& b, Var<u64>& sum, const View<wire::Address6>& address)
{
    for (const auto part : {&wire::Address6::high, &wire::Address6::low}) {
        auto word = b.let_bits<u64>("word", address(part));
        auto half = b.let<u64>("half", word);
        half >>= 32;
        sum += half.value();
        word <<= 32;
        word >>= 32;
        sum += word.value();
    }
}

// RFC 768 and 793: what follows the IP header. In one's complement, adding ~20 takes 20 off.
void add_length(Dsl& b, Var<u64>& sum, const View<wire::Ipv4>& ip)
{
    const auto total = b.let_bits<u64>("length", ip(&wire::Ipv4::total_length));
    sum += total.value();
    sum += u64{0xffff ^ be16(u16{sizeof(wire::Ipv4)}).raw};
}
void add_length(Dsl& b, Var<u64>& sum, const View<wire::Ipv6>& ip)
{
    const auto length = b.let_bits<u64>("length", ip(&wire::Ipv6::payload_length));
    sum += length.value();
}

// A checksum that is left to the device (Linux's CHECKSUM_PARTIAL: the target is on this very machine) is the
// pseudo-header's sum alone. Only the kernel knows that it is, and how to finish it. One in 65,536 others
// looks the same, and goes its way.
template <class F, class L4> void leave_unfinished(Dsl& b, const Headers<F, L4>& headers, Label otherwise)
{
    b.note("is the checksum the device's to finish?");
    auto sum = b.let<u64>("sum", u64{be16(u16{protocol_number<L4>}).raw});
    add(b, sum, headers.ip(&F::Header::saddr));
    add(b, sum, headers.ip(&F::Header::daddr));
    add_length(b, sum, headers.ip);
    fold_sum(b, sum);
    const auto check = b.let_bits<u64>("checksum", headers.l4(&L4::checksum));
    b.jump_if(sum == check, otherwise);
}

// A reply goes to the client of its entry. Else this is the memory of an entry that another CPU has just
// taken out, with another entry in it. Full NAT has lb's address in the packet.
template <class F, class L4>
void compare_client(const Ingress& in, const Headers<F, L4>& headers, const View<typename F::Flow>& flow,
                    Label missing)
{
    Dsl& b = in.b;
    const Label full_nat = b.label("to lb's address");
    if (in.plan.has_full_nat(F::family))
        b.jump_if(flow(&F::Flow::direction) == Direction::reply_here, full_nat);
    jump_if_differs(b, headers.ip(&F::Header::daddr), flow(&F::Flow::daddr), missing);
    b.bind(full_nat);
}

// The way is asked for before a byte is changed; `goto slow` where anything of it is missing.
template <class F, class L4>
void send_reply(const Ingress& in, const Headers<F, L4>& headers, const Frame<F>& frame,
                const View<typename F::Flow>& flow, StackRange way, Label missing, Label slow)
{
    using Fib = std::conditional_t<F::header_sum, FibLookup4, FibLookup6>;
    Dsl& b = in.b;
    b.note("a reply: may lb send it itself?");
    const Builder::StackScope scope(b);
    compare_client(in, headers, flow, missing);
    b.jump_if((*in.l3_offset)() != u64{sizeof(Ethernet)}, slow);
    only_plain(b, headers, slow);
    leave_unfinished(b, headers, slow);
    const auto back = b.local<u8>("may send back");
    frame.index() = flow(&F::Flow::target);
    {
        auto row = b.lookup_brief(*in.maps.carriers, frame.index, slow);
        b.jump_if(row(&CarrierRow::sends) == u8{0}, slow);
        back() = row(&CarrierRow::sends);
    }
    const StackView<FibLookup4> fib(b, way);
    describe_translated(b, headers, flow, StackView<Fib>(b, way));
    ask_way(b, *in.context, fib, slow);
    take_device(b, in.maps, fib, slow);
    count_reply(in, headers, frame, flow);
    age(b, headers.ip);
    b.note("Ethernet addresses of the way, and off");
    write_macs(View<EthernetMacs>(b, in.packet.data(), -static_cast<i32>(sizeof(EthernetMacs))), fib);
    jump_unless_back(b, *in.context, fib, in.ways.to(Reason::reply_sent_on));
    b.jump_if(back().has(model::sends_tx), in.ways.to(Reason::reply_sent_back));
    b.jump(in.ways.to(Reason::reply_sent_on));
}

} // namespace

template <class F> void go_if_reply_here(const Ingress& in, const View<typename F::Flow>& flow, Label here)
{
    if (in.plan.has_full_nat(F::family))
        in.b.jump_if(flow(&F::Flow::direction) == Direction::reply_here, here);
    if (in.plan.has_fast_nat()) in.b.jump_if(flow(&F::Flow::direction) == Direction::reply_either, here);
}

template <class F, class L4>
void take_reply(const Ingress& in, const Headers<F, L4>& headers, const Frame<F>& frame,
                const View<typename F::Flow>& flow, StackRange way, Label missing)
{
    Dsl& b = in.b;
    if (in.plan.has_fast_nat()) {
        const Label slow = b.label("by the stack");
        send_reply(in, headers, frame, flow, way, missing, slow);
        b.bind(slow);
    }
    if (!in.plan.has_full_nat(F::family)) return b.jump(in.ways.to(Reason::reply));
    if (in.plan.has_fast_nat())
        b.jump_if(flow(&F::Flow::direction) == Direction::reply_either, in.ways.to(Reason::reply));
    check_next_hop(in, headers, flow, way, false);
    count_reply(in, headers, frame, flow);
    remember_fragment(b, in.maps, frame, headers.ip, flow, Direction::forward);
    b.jump(in.ways.to(Reason::reply_translated));
}

#define LB_INSTANTIATE(F)                                                                                    \
    template void go_if_reply_here<F>(const Ingress&, const View<F::Flow>&, Label);                          \
    template void take_reply(const Ingress&, const Headers<F, wire::Tcp>&, const Frame<F>&,                  \
                             const View<F::Flow>&, StackRange, Label);                                       \
    template void take_reply(const Ingress&, const Headers<F, wire::Udp>&, const Frame<F>&,                  \
                             const View<F::Flow>&, StackRange, Label);
LB_INSTANTIATE(V4)
LB_INSTANTIATE(V6)
#undef LB_INSTANTIATE

} // namespace lb::datapath
