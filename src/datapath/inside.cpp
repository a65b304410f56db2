// The program on the targets' side: no connection begins here, and only replies are its business. Everything
// else passes as it is.
#include "datapath/dispatch.hpp"
#include "datapath/fib.hpp"
#include "datapath/flow.hpp"
#include "datapath/fragment.hpp"
#include "datapath/generate.hpp"
#include "datapath/icmp.hpp"
#include "datapath/next_hop.hpp"
#include "datapath/reply.hpp"

namespace lb::datapath {

using namespace bpf;
using model::Direction;
using model::Reason;

namespace {

template <class F, class L4>
void translate(const Ingress& in, const View<typename F::Header>& ip, PacketPointer& l4,
               const Frame<F>& frame)
{
    Dsl& b = in.b;
    const Builder::StackScope scope(b);
    b.note(std::is_same_v<L4, wire::Tcp> ? "TCP" : "UDP");
    const Label other = in.ways.to(Reason::not_a_reply), like = b.label("like a reply"),
                here = b.label("a reply");
    const auto headers = parse_l4<F, L4>(in.parser, ip, l4);
    in.packet.release_end();
    go_if_like_reply(b, in.plan, headers, like);
    b.jump(other);
    b.bind(like);
    b.note("the packet's tuple");
    make_key<F>(frame.key, headers);
    const auto flow = b.pointer<typename F::Flow>("flow");
    const Label missing = in.crossing ? b.label("no flow") : other;
    find_flow(b, in.maps, frame, flow, missing);
    if (in.crossing) cross_if_known<F>(b, flow, *in.crossing);
    go_if_reply_here<F>(in, flow, here);
    b.jump(other);
    if (in.crossing) {
        b.bind(missing);
        find_across(b, in.maps, frame, *in.crossing);
        b.jump(other);
    }
    b.bind(here);
    take_reply(in, headers, frame, flow, b.reserve_stack(sizeof(FibLookup4), "way"), other);
}

// Errors and later fragments of the fast path are the stack's, as it is with their connections' packets.
template <class F> void take_family(const Ingress& in, const View<typename F::Header>& ip)
{
    Dsl& b = in.b;
    const Builder::StackScope scope(b);
    const Frame<F> frame(b);
    const Label other = in.ways.to(Reason::not_a_reply);
    b.note("the L4 header, where none but the plain IP header is before it");
    auto l4 = in.packet.fork("l4", sizeof(typename F::Header));
    const auto transports = go_by_protocol(in.parser, in.plan, frame, ip, l4, Reason::not_a_reply,
                                           [&]<class L4>() { translate<F, L4>(in, ip, l4, frame); });
    const bool full_nat = in.plan.has_full_nat(F::family) || in.crossing;
    b.bind(transports.icmp);
    if (full_nat)
        translate_icmp_error(in.parser, in.maps, frame, ip, l4, Direction::forward,
                             in.ways.to(Reason::icmp_forwarded), other, nullptr, known_across(in));
    else
        b.jump(other);
    b.bind(transports.later_fragment);
    if (full_nat)
        follow_fragment(in.parser, in.maps, frame, ip, l4, Direction::forward,
                        in.ways.to(Reason::fragment_forwarded), nullptr, known_across(in));
    else
        b.jump(other);
}

} // namespace

std::expected<bpf::Program, bpf::Error> make_inside(const model::Plan& plan, const Maps& maps,
                                                    const KernelFeatures& kernel)
{
    Dsl b("lb_inside", ProgramType::xdp, AttachType::xdp, {.gotol = kernel.isa_v4});
    Ways ways(b, maps);
    {
        const auto ifindex = b.local<u32>("ifindex");
        std::optional<StackVar<u64>> context, l3_offset;
        if (kernel.xdp_frags || maps.carriers || plan.has_full_nat()) {
            b.note("the context, for the kernel's helpers");
            context = b.local<u64>("context");
            (*context)().store(r1);
            l3_offset = b.local<u64>("l3 offset");
        }
        std::optional<TooLarge> too_large;
        if (has_too_large(plan)) too_large.emplace(b, *l3_offset);
        std::optional<Crossing> crossing;
        if (maps.across) crossing.emplace(b, nullptr);
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
            const Ingress in{.b = b,
                             .plan = plan,
                             .maps = maps,
                             .ways = ways,
                             .parser = parser,
                             .packet = packet,
                             .ifindex = ifindex,
                             .carrying = nullptr,
                             .crossing = crossing ? &*crossing : nullptr,
                             .context = context ? &*context : nullptr,
                             .l3_offset = l3_offset ? &*l3_offset : nullptr,
                             .too_large = too_large ? &*too_large : nullptr};
            go_by_family(parser, plan,
                         [&]<class F>(const View<typename F::Header>& ip) { take_family<F>(in, ip); });
        }
        if (too_large) emit_too_large(b, plan, maps, ways, *context, kernel.xdp_frags, *too_large);
        if (crossing) emit_crossing(b, maps, ways, *crossing, *context);
    }
    ways.emit();
    auto program = b.finish();
    if (program) program->frags = kernel.xdp_frags;
    return program;
}

} // namespace lb::datapath
