#include "datapath/fast_path.hpp"

#include "datapath/carrier.hpp"
#include "datapath/parse.hpp"

namespace lb::datapath {

using namespace bpf;
using model::CarrierRow;
using model::Reason;
using wire::Ethernet;
using wire::Ipv4;
using wire::Ipv6;
using wire::Udp;

namespace {

// What the kernel is to be asked about the packet, or `goto stack`: options, fragments and what has no hop
// left are its work.
void describe4(Dsl& b, XdpPacket& packet, const StackView<FibLookup4>& fib, Label stack)
{
    const auto [ethernet, ip, l4] = packet.claim<Ethernet, Ipv4, Udp>(stack);
    b.jump_if(ip(&Ipv4::version_ihl) != wire::ipv4_version_ihl, stack);
    b.jump_if(ip(&Ipv4::fragment).has(wire::ipv4_more_fragments_or_offset), stack);
    b.jump_if(hops_left(ip) <= u8{1}, stack);
    fib(&FibLookup4::family) = fib_inet;
    fib(&FibLookup4::l4_protocol) = ip(&Ipv4::protocol);
    fib(&FibLookup4::sport) = l4(&Udp::sport); // TCP has them in the same place
    fib(&FibLookup4::dport) = l4(&Udp::dport);
    fib(&FibLookup4::tos) = ip(&Ipv4::tos);
    fib(&FibLookup4::saddr) = ip(&Ipv4::saddr);
    fib(&FibLookup4::daddr) = ip(&Ipv4::daddr);
    const auto total = ip_length(b, ip);
    fib(&FibLookup4::total_length).store(total.reg());
}

void describe6(Dsl& b, XdpPacket& packet, const StackView<FibLookup6>& fib, Label stack)
{
    const Label plain = b.label("plain");
    const auto claimed = packet.claim<Ethernet, Ipv6, Udp>(stack);
    const auto& ip = std::get<1>(claimed);
    const auto& l4 = std::get<2>(claimed);
    b.jump_if(ip(&Ipv6::next_header) == wire::protocol_tcp, plain);
    b.jump_if(ip(&Ipv6::next_header) != wire::protocol_udp, stack);
    b.bind(plain);
    b.jump_if(hops_left(ip) <= u8{1}, stack);
    fib(&FibLookup6::family) = fib_inet6;
    fib(&FibLookup6::l4_protocol) = ip(&Ipv6::next_header);
    fib(&FibLookup6::sport) = l4(&Udp::sport);
    fib(&FibLookup6::dport) = l4(&Udp::dport);
    copy_address(fib(&FibLookup6::saddr), ip(&Ipv6::saddr));
    copy_address(fib(&FibLookup6::daddr), ip(&Ipv6::daddr));
    const auto total = ip_length(b, ip);
    fib(&FibLookup6::total_length).store(total.reg());
}

// By the packet's family, where there are two.
template <class Four, class Six>
void by_family(Dsl& b, const model::Plan& plan, const XdpPacket& packet, const Four& four, const Six& six)
{
    const bool has4 = plan.has(model::Family::ipv4), has6 = plan.has(model::Family::ipv6);
    const Label is_six = b.label("IPv6"), done = b.label("done");
    if (has4 && has6) {
        const View<Ethernet> ethernet(b, packet.data(), 0);
        b.jump_if(ethernet(&Ethernet::type) == wire::ethertype_ipv6, is_six);
    }
    if (has4) four();
    if (has4 && has6) b.jump(done);
    b.bind(is_six);
    if (has6) six();
    b.bind(done);
}

} // namespace

void emit_fast_path(Dsl& b, const model::Plan& plan, const Maps& maps, Ways& ways, const Carrying& carrying,
                    const StackVar<u64>& context, const StackVar<u64>& l3_offset)
{
    const Builder::StackScope scope(b);
    const Label stack = ways.to(Reason::forwarded);
    b.note("translated: may lb send it itself?");
    b.bind(carrying.translated);
    b.jump_if(l3_offset() != u64{sizeof(Ethernet)}, stack);
    const auto row = b.lookup(*maps.carriers, carrying.target, stack);
    b.jump_if(row(&CarrierRow::sends) == u8{0}, stack);
    const StackRange way = b.reserve_stack(sizeof(FibLookup4), "way");
    const auto none = b.local<u64>("not used");
    const Carrier c{.b = b,
                    .maps = maps,
                    .ways = ways,
                    .carrying = carrying,
                    .context = context,
                    .frags = false,
                    .row = row,
                    .fib4 = {b, way},
                    .fib6 = {b, way},
                    .length = none,
                    .overhead = none,
                    .inner6 = none,
                    .result = b.local<i64>("result"),
                    .tos = b.local<u8>("tos"),
                    .too_big = stack,
                    .failed = stack};
    c.fib4.fill(0);
    {
        auto packet = packet_anew(b, context);
        const auto [ethernet] = packet.claim<Ethernet>(stack);
        by_family(
            b, plan, packet, [&] { describe4(b, packet, c.fib4, stack); },
            [&] { describe6(b, packet, c.fib6, stack); });
    }
    b.note("the way to the target, to its end");
    ask_way(b, context, c.fib4, stack);
    take_device(b, maps, c.fib4, stack);
    {
        auto packet = packet_anew(b, context);
        const auto [ethernet] = packet.claim<Ethernet>(stack);
        by_family(
            b, plan, packet, [&] { age(b, packet.claim_at<Ipv4>(sizeof(Ethernet), stack)); },
            [&] { age(b, packet.claim_at<Ipv6>(sizeof(Ethernet), stack)); });
    }
    send(c);
}

} // namespace lb::datapath
