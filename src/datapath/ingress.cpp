// The program on the way in, in the order in which a packet meets it.
#include "datapath/admission.hpp"
#include "datapath/carrier.hpp"
#include "datapath/dispatch.hpp"
#include "datapath/fast_path.hpp"
#include "datapath/flow.hpp"
#include "datapath/fragment.hpp"
#include "datapath/generate.hpp"
#include "datapath/icmp.hpp"
#include "datapath/live.hpp"
#include "datapath/martian.hpp"
#include "datapath/next_hop.hpp"
#include "datapath/pick.hpp"
#include "datapath/rate_limit.hpp"
#include "datapath/reply.hpp"
#include "datapath/ways.hpp"

namespace lb::datapath {

using namespace bpf;
using model::Limit;
using model::Reason;
using wire::Ipv4;

namespace {

// With route_localnet on (a target in 127/8 needs it), the kernel would take packets for 127/8 from the wire.
void guard_loopback(const Ingress& in, const View<Ipv4>& ip)
{
    if (!in.plan.loopback_targets && !in.plan.loopback_interface) return;
    Dsl& b = in.b;
    b.note("127/8 from the wire is nobody's");
    const Label fine = b.label("not loopback");
    {
        auto network = b.let<be32>("network", ip(&Ipv4::daddr));
        network &= model::loopback_mask;
        b.jump_if(network != model::loopback_network, fine);
    }
    if (in.plan.loopback_interface) {
        auto arrived = b.let<u32>("ifindex", in.ifindex());
        b.jump_if_symbol(Jmp::eq, arrived.reg(), ifindex_symbol("lo"), fine, Loc::current());
    }
    b.jump(in.ways.to(Reason::martian_loopback));
    b.bind(fine);
}

template <class F, class L4>
void rewrite(const Ingress& in, const Headers<F, L4>& headers, const Frame<F>& frame,
             const View<typename F::Flow>& flow)
{
    Dsl& b = in.b;
    if (in.plan.has_dsr()) {
        const Label translated = b.label("translated");
        b.note("carried as it is, or translated?");
        b.jump_if(flow(&F::Flow::carried) == u32{0}, translated);
        remember_fragment(b, in.maps, frame, headers.ip, flow, model::Direction::forward);
        hand_over(b, *in.carrying, flow);
        b.bind(translated);
    }
    b.note("rewrite the destination");
    write_headers(in, headers, flow);
    remember_fragment(b, in.maps, frame, headers.ip, flow, model::Direction::forward);
    if (in.plan.has_fast_nat()) {
        auto target = b.let<u32>("target", flow(&F::Flow::target));
        in.carrying->target() = target;
        target.release();
        return b.jump(in.carrying->translated);
    }
    if (in.carrying) return b.jump(in.ways.to(Reason::forwarded)); // the target's row counts others as well
    in.ways.leave(Reason::forwarded);
}

// The first packet of a connection: listener, admission, route, pick, both entries. Where its target is full,
// its source has spent a token all the same: it has tried.
template <class F, class L4>
void begin_connection(const Ingress& in, const Headers<F, L4>& headers, const Frame<F>& frame,
                      const NewFlowFrame<F>& fresh, const View<typename F::Flow>& flow, Label raced,
                      Label made)
{
    Dsl& b = in.b;
    if constexpr (std::is_same_v<L4, wire::Tcp>)
        b.jump_if(headers.l4(&wire::Tcp::flags).has(wire::tcp_rst), in.ways.to(Reason::stray_reset));
    const Label matched = b.label("matched");
    match_listener(b, in.plan, in.maps, headers, frame, fresh, in.ifindex, in.ways, matched);
    b.bind(matched);
    refuse_martians(b, in.plan, headers, in.ifindex, in.ways);
    if (in.maps.proxies) read_proxy(b, in.maps, fresh, in.ways);
    check_lists<F, L4>(b, in.plan, in.maps, frame, fresh, in.ways);
    const Limiter<F, L4> limiter{b, in.plan, in.maps, frame, fresh, in.ways};
    limiter.take({Limit::source_connections, Limit::source_packets});
    if (has_source_routes(in.plan, F::family)) route_by_source(b, in.maps, frame, fresh);
    hash_flow(b, frame.key, fresh.hash);
    pick_target(b, in.plan, in.maps, frame, fresh, in.ways);
    limiter.take({Limit::target_connections, Limit::target_packets});
    auto row = read_target(b, in.maps, frame, fresh, in.ways);
    if (in.plan.goes_across(F::family)) go_if_other_family(b, frame, row, *in.crossing);
    if (in.plan.has_dsr()) {
        const Label translated = b.label("new, translated");
        b.jump_if(row(&model::TargetRow::carried) == u32{0}, translated);
        insert_carried(b, in.maps, frame, fresh, headers, std::move(row), flow, in.ways, raced, made);
        b.bind(translated);
        row = View<model::TargetRow>(b, r0, 0, b.take(r0, "target's row")); // where it was before the jump
    }
    insert_flow(b, in.plan, in.maps, in.context, frame, fresh, headers, std::move(row), flow, in.ways, raced);
}

// One protocol's whole way; the other has its own, so that neither asks which it is.
template <class F, class L4>
void translate(const Ingress& in, const View<typename F::Header>& ip, PacketPointer& l4,
               const Frame<F>& frame, const NewFlowFrame<F>& fresh)
{
    using Flow = typename F::Flow;
    Dsl& b = in.b;
    b.note(std::is_same_v<L4, wire::Tcp> ? "TCP" : "UDP");
    const auto headers = parse_l4<F, L4>(in.parser, ip, l4);
    in.packet.release_end();
    gate_port(b, in.plan, headers, in.ways);
    b.note("the packet's tuple");
    make_key<F>(frame.key, headers);

    const auto flow = b.pointer<Flow>("flow");
    const Label missing = b.label("no flow"), known = b.label("known"), admitted = b.label("admitted"),
                apply = b.label("apply"), opening = b.label("opening");
    auto bytes = [&] { return ip_length(b, headers.ip); };
    find_flow(b, in.maps, frame, flow, missing);
    if (in.crossing) cross_if_known<F>(b, flow, *in.crossing);
    const Label back = b.label("a reply that is translated here");
    go_if_reply_here<F>(in, flow, back);
    b.if_(flow(&Flow::direction) == model::Direction::reply, [&] {
        // A reply goes where it says. Else this is the memory of an entry that another CPU has just taken
        // out, with another entry in it.
        jump_if_differs(b, headers.ip(&F::Header::daddr), flow(&Flow::daddr), missing);
        b.jump(in.ways.to(Reason::reply));
    });
    if constexpr (std::is_same_v<L4, wire::Tcp>)
        b.jump_if(headers.l4(&wire::Tcp::flags).has(wire::tcp_syn), opening);
    b.bind(known);
    Limiter<F, L4>{b, in.plan, in.maps, frame, fresh, in.ways}.take_known(flow);
    b.bind(admitted); // the first packet, too, where another CPU has made its entry meanwhile
    touch_flow(b, flow, headers.l4, bytes);
    count_end(b, in.maps, frame, flow, headers.l4, model::Direction::forward);
    b.bind(apply);
    check_next_hop(in, headers, flow, fresh.reply.range(), true);
    count_target(b, in.maps, frame, flow, &model::TargetCounters::forward_packets,
                 &model::TargetCounters::forward_bytes, bytes);
    rewrite<F>(in, headers, frame, flow);

    if (in.plan.translates_replies_early(F::family)) {
        b.bind(back);
        take_reply(in, headers, frame, flow, fresh.forward.range(), missing);
    }
    b.bind(opening);
    if constexpr (std::is_same_v<L4, wire::Tcp>) {
        b.jump_if(headers.l4(&wire::Tcp::flags).has(wire::tcp_ack), known);
        reopen_closed(b, in.maps, frame, fresh, flow, missing);
        // The entry may have been taken out meanwhile, by another CPU with the same SYN, and its place in
        // memory be another entry's.
        find_flow(b, in.maps, frame, flow, missing);
        b.jump(known);
    }

    b.bind(missing);
    if (in.crossing) find_across(b, in.maps, frame, *in.crossing);
    if (!listens(in.plan, F::family, protocol_of<L4>)) return b.jump(in.ways.to(Reason::no_listener));
    begin_connection(in, headers, frame, fresh, flow, admitted, apply);
    b.jump(apply);
}

// The packets of one family, from the IP header on.
template <class F> void take_family(const Ingress& in, const View<typename F::Header>& ip)
{
    Dsl& b = in.b;
    const Builder::StackScope scope(b);
    const Frame<F> frame(b);
    const NewFlowFrame<F> fresh(b, in.plan);
    b.note("the L4 header, where none but the plain IP header is before it");
    auto l4 = in.packet.fork("l4", sizeof(typename F::Header));
    const auto transports = go_by_protocol(in.parser, in.plan, frame, ip, l4, Reason::no_listener,
                                           [&]<class L4>() { translate<F, L4>(in, ip, l4, frame, fresh); });
    const Carrying* carried = in.plan.has_dsr() ? in.carrying : nullptr;
    b.bind(transports.icmp);
    translate_icmp_error(in.parser, in.maps, frame, ip, l4, model::Direction::forward,
                         in.ways.to(Reason::icmp_forwarded), in.ways.to(Reason::reply), carried,
                         known_across(in));
    b.bind(transports.later_fragment);
    follow_fragment(in.parser, in.maps, frame, ip, l4, model::Direction::forward,
                    in.ways.to(Reason::fragment_forwarded), carried, known_across(in));
}

void choose_family(const Ingress& in)
{
    go_by_family(in.parser, in.plan, [&]<class F>(const View<typename F::Header>& ip) {
        // First, because the kernel would take options and fragments, too.
        if constexpr (std::is_same_v<F, V4>) guard_loopback(in, ip);
        take_family<F>(in, ip);
    });
}

} // namespace

std::expected<bpf::Program, bpf::Error> make_ingress(const model::Plan& plan, const Maps& maps,
                                                     const KernelFeatures& kernel)
{
    Dsl b("lb_ingress", ProgramType::xdp, AttachType::xdp, {.gotol = kernel.isa_v4});
    Ways ways(b, maps);
    {
        const auto ifindex = b.local<u32>("ifindex");
        if (compares_interfaces(plan) || plan.loopback_interface) {
            b.note("where it came in");
            ifindex() = View<XdpMd>(b, r1, 0)(&XdpMd::ingress_ifindex);
        }
        std::optional<StackVar<u64>> context, l3_offset;
        const bool full_nat = plan.has_full_nat();
        if (kernel.xdp_frags || maps.carriers || full_nat) {
            b.note(maps.carriers || full_nat ? "the context, for the kernel's helpers"
                                             : "the context, for packets in several buffers");
            context = b.local<u64>("context");
            (*context)().store(r1);
            l3_offset = b.local<u64>("l3 offset");
        }
        std::optional<Carrying> carrying;
        if (maps.carriers) carrying.emplace(b);
        std::optional<TooLarge> too_large;
        if (has_too_large(plan)) too_large.emplace(b, *l3_offset);
        std::optional<Crossing> crossing;
        if (maps.across) crossing.emplace(b, carrying ? &*carrying : nullptr);
        {
            XdpPacket packet(b);
            const Parser parser{.b = b,
                                .packet = packet,
                                .leave = [&](Reason reason) { return ways.to(reason); },
                                .reasons = ingress_parse_reasons,
                                .too_short = ways.to(Reason::truncated),
                                .l3_offset = l3_offset,
                                .check_length = true,
                                .context = kernel.xdp_frags ? context : std::nullopt,
                                .not_unicast = plan.lb_sends() || plan.has_full_nat()
                                                   ? std::optional(ways.to(Reason::not_unicast))
                                                   : std::nullopt};
            choose_family({.b = b,
                           .plan = plan,
                           .maps = maps,
                           .ways = ways,
                           .parser = parser,
                           .packet = packet,
                           .ifindex = ifindex,
                           .carrying = carrying ? &*carrying : nullptr,
                           .crossing = crossing ? &*crossing : nullptr,
                           .context = context ? &*context : nullptr,
                           .l3_offset = l3_offset ? &*l3_offset : nullptr,
                           .too_large = too_large ? &*too_large : nullptr});
        }
        if (plan.has_dsr())
            emit_carrier(b, plan, maps, ways, *carrying, *context, *l3_offset, kernel.xdp_frags);
        if (plan.has_fast_nat()) emit_fast_path(b, plan, maps, ways, *carrying, *context, *l3_offset);
        if (too_large) emit_too_large(b, plan, maps, ways, *context, kernel.xdp_frags, *too_large);
        if (crossing) emit_crossing(b, maps, ways, *crossing, *context);
    }
    ways.emit();
    auto program = b.finish();
    if (program) program->frags = kernel.xdp_frags;
    return program;
}

} // namespace lb::datapath
