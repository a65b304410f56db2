#include "datapath/siit.hpp"

#include <array>

#include "datapath/carrier.hpp"
#include "datapath/crossing.hpp"
#include "datapath/dispatch.hpp"
#include "datapath/flow.hpp"
#include "datapath/fragment.hpp"
#include "datapath/generate.hpp"
#include "datapath/live.hpp"
#include "datapath/pick.hpp"
#include "datapath/rate_limit.hpp"

namespace lb::datapath {

using namespace bpf;
using model::Direction;
using model::Reason;
using model::TargetCounters;
using wire::Ipv4;
using wire::Ipv6;
using wire::Ipv6Fragment;

namespace {

/// The packets of F as long as nobody asks where they go.
template <class F> using Plain = std::conditional_t<F::header_sum, V4, V6>;

// What the program before has left: it does so each time.
void take_given(Dsl& b, const Maps& maps, Ways& ways, const StackVar<u32>& given)
{
    const Builder::StackScope scope(b);
    const auto index = b.local<u32>("handover row");
    index() = 0;
    auto row = b.lookup_brief(maps.across->handover, index, ways.to(Reason::internal));
    given() = b.let<u32>("given", row.value());
}

template <class F> Addresses addresses_of(const View<typename F::Flow>& flow)
{
    return {flow(&F::Flow::saddr), flow(&F::Flow::daddr)};
}

// IPv6 asks for UDP's checksum, and it cannot be made from one part of a packet (RFC 7915, 4.5). What comes
// without is nothing that IPv6 allows (RFC 8200, 8.1), and is not to become something that IPv4 does.
template <class F, class L4> void refuse_no_checksum(const Siit& in, const Headers<F, L4>& headers)
{
    if constexpr (std::is_same_v<L4, wire::Udp>)
        in.b.jump_if(headers.l4(&wire::Udp::checksum) == be16{0}, in.ways.to(Reason::siit_no_checksum));
}

// What is behind the new header.
template <class Header> Var<u64> rest_of(const Siit& in, const View<Header>& ip, const StackVar<u64>& cut)
{
    auto rest = ip_length(in.b, ip);
    rest -= cut();
    return rest;
}

// A header of IPv6 in place of the IPv4 header. `ready` emits what is left to do with either kind, and goes.
template <class Ready>
void rewrite(const Siit& in, const View<Ipv4>& ip, std::optional<u8> protocol, const Addresses& addresses,
             const Rewriting<V4To6>& to, const Ready& ready)
{
    Dsl& b = in.b;
    const Label fragment = b.label("a fragment, to IPv6");
    b.jump_if(ip(&Ipv4::fragment).has(wire::ipv4_more_fragments_or_offset), fragment);
    {
        const auto out = to.headers(&NewHeaders<V4To6>::ip);
        write_ipv6(b, out, ip, rest_of(in, ip, to.cut), addresses);
        out(&tunnel::Ipv6::next_header) = protocol.value_or(0); // without, it is a fragment
        ready(to.plain, sizeof(Ipv6));
    }
    b.bind(fragment);
    auto rest = rest_of(in, ip, to.cut);
    rest += u64{sizeof(Ipv6Fragment)};
    const View<NewFragment> out(b, fp, to.headers.offset());
    write_ipv6(b, out(&NewFragment::ip), ip, std::move(rest), addresses);
    out (&NewFragment::ip)(&tunnel::Ipv6::next_header) = wire::ipv6_fragment;
    write_fragment(b, out(&NewFragment::fragment), ip);
    ready(to.fragment, sizeof(NewFragment));
}

// The other way round. A later fragment is of what its fragment header says.
template <class Ready>
void rewrite(const Siit& in, const View<Ipv6>& ip, std::optional<u8> protocol, const Addresses& addresses,
             const Rewriting<V6To4>& to, const Ready& ready)
{
    Dsl& b = in.b;
    const Label whole = b.label("whole, to IPv4"), done = b.label("header written");
    const auto out = to.headers(&NewHeaders<V6To4>::ip);
    const auto& fragment = *in.parser.fragment_header;
    auto total = rest_of(in, ip, to.cut);
    total += u64{sizeof(Ipv4)};
    b.jump_if(total > u64{65535}, in.ways.to(Reason::siit_failed));
    write_ipv4(b, out, ip.as<tunnel::Ipv6>(), std::move(total), addresses);
    if (protocol)
        out(&Ipv4::protocol) = *protocol;
    else
        out(&Ipv4::protocol) = fragment(&Ipv6Fragment::next_header);
    b.jump_if(fragment(&Ipv6Fragment::reserved) != u8{0}, whole);
    write_ipv4_fragment(b, out, fragment);
    b.jump(done);
    b.bind(whole);
    write_ipv4_whole(b, out, false);
    b.bind(done);
    write_header_sum(b, out);
    ready(to.plain, sizeof(Ipv4));
}

// What is told of its size instead has not gone to the target.
template <class F, class L4>
void count_crossed(const Siit& in, const Headers<F, L4>& headers, const Frame<F>& frame,
                   const View<typename F::Flow>& flow, const Rewriting<F>& to)
{
    const auto bytes = [&] { return ip_length(in.b, headers.ip); };
    in.b.if_(to.how() == static_cast<u32>(Crossed::forward),
             [&] {
                 count_target(in.b, in.maps, frame, flow, &TargetCounters::forward_packets,
                              &TargetCounters::forward_bytes, bytes);
             })
        .else_([&] {
            count_target(in.b, in.maps, frame, flow, &TargetCounters::reply_packets,
                         &TargetCounters::reply_bytes, bytes);
        });
}

// Ports and checksum are written where they are, the header is made anew.
template <class F, class L4>
void cross(const Siit& in, const Headers<F, L4>& headers, const Frame<F>& frame,
           const View<typename F::Flow>& flow, PacketPointer& l4, const Rewriting<F>& to)
{
    Dsl& b = in.b;
    remember_fragment(b, in.maps, frame, headers.ip, flow, Direction::forward);
    b.note("a header of the other version");
    {
        auto cut = l4.distance_from(in.packet, "cut");
        to.cut() = cut;
    }
    rewrite(in, headers.ip, protocol_number<L4>, addresses_of<F>(flow), to, [&](Label write, u32 header) {
        check_fit(in, to, protocol_number<L4>, header);
        count_crossed(in, headers, frame, flow, to);
        b.note("ports, and off");
        apply_delta(b, headers.l4(&L4::checksum), flow(&F::Flow::l4_delta), std::is_same_v<L4, wire::Udp>);
        headers.l4(&L4::sport) = flow(&F::Flow::sport);
        headers.l4(&L4::dport) = flow(&F::Flow::dport);
        b.jump(write);
    });
}

// One protocol's whole way: as in the program that the packet comes from, from the connection's table on.
template <class F, class L4>
void translate(const Siit& in, const View<typename F::Header>& ip, PacketPointer& l4, const Frame<F>& frame,
               const NewFlowFrame<F>& fresh, const Rewriting<F>& to)
{
    using Flow = typename F::Flow;
    Dsl& b = in.b;
    b.note(std::is_same_v<L4, wire::Tcp> ? "TCP" : "UDP");
    auto parsed = parse_l4<Plain<F>, L4>(in.parser, ip, l4);
    const Headers<F, L4> headers{std::move(parsed.ip), std::move(parsed.l4)};
    in.packet.release_end();
    refuse_no_checksum(in, headers);
    make_key<F>(frame.key, headers);

    const auto flow = b.pointer<Flow>("flow");
    const Label missing = b.label("no flow"), known = b.label("known"), admitted = b.label("admitted"),
                apply = b.label("apply"), opening = b.label("opening"), back = b.label("back"),
                ended = b.label("ended"), write = b.label("write");
    const auto bytes = [&] { return ip_length(b, headers.ip); };
    find_flow(b, in.maps, frame, flow, missing);
    // The tables may have changed since the program before has looked.
    if constexpr (!F::header_sum)
        b.jump_if(flow(&Flow::carried) != model::carried_across, in.ways.to(Reason::siit_lost));
    b.jump_if(flow(&Flow::direction) != Direction::forward, back);
    if constexpr (std::is_same_v<L4, wire::Tcp>)
        b.jump_if(headers.l4(&wire::Tcp::flags).has(wire::tcp_syn), opening);
    b.bind(known);
    Limiter<F, L4>{b, in.plan, in.maps, frame, fresh, in.ways}.take_known(flow);
    b.bind(admitted);
    touch_flow(b, flow, headers.l4, bytes);
    count_end(b, in.maps, frame, flow, headers.l4, Direction::forward);
    b.bind(apply);
    to.how() = static_cast<u32>(Crossed::forward);
    b.jump(write);

    b.bind(back);
    to.how() = static_cast<u32>(Crossed::reply);
    touch_flow(b, flow, headers.l4, bytes);
    count_end(b, in.maps, frame, flow, headers.l4, Direction::reply);
    b.bind(write);
    cross(in, headers, frame, flow, l4, to);

    b.bind(opening);
    if constexpr (std::is_same_v<L4, wire::Tcp>) {
        b.jump_if(headers.l4(&wire::Tcp::flags).has(wire::tcp_ack), known);
        reopen_closed(b, in.maps, frame, fresh, flow, ended);
        find_flow(b, in.maps, frame, flow, missing);
        b.jump(known);
        b.bind(ended);
        b.jump_if(in.given() != u32{0}, missing);
        b.note("the connection has ended, and another one begins: it is to be given a target");
        go_on(b, in.maps, in.context, Follower::ingress);
        b.jump(in.ways.to(Reason::siit_lost));
    }

    b.bind(missing);
    {
        auto given = b.let<u32>("given", in.given());
        b.jump_if(given == 0, in.ways.to(Reason::siit_lost));
        given -= 1;
        frame.index() = given;
    }
    hash_flow(b, frame.key, fresh.hash);
    auto row = read_target(b, in.maps, frame, fresh, in.ways);
    insert_flow(b, in.plan, in.maps, &in.context, frame, fresh, headers, std::move(row), flow, in.ways,
                admitted);
    b.jump(apply);
}

// A later fragment has a header only.
template <class F>
void cross_fragment(const Siit& in, const View<typename F::Header>& ip, PacketPointer& l4,
                    const Frame<F>& frame, const Rewriting<F>& to)
{
    using Row = typename F::Fragment;
    Dsl& b = in.b;
    const Builder::StackScope scope(b);
    const auto row = recall_fragment(in.parser, in.maps, frame, ip, l4, Direction::forward,
                                     in.ways.to(Reason::fragment_early));
    b.note("a header of the other version");
    {
        auto cut = l4.distance_from(in.packet, "cut");
        if constexpr (!F::header_sum) cut += u64{sizeof(Ipv6Fragment)};
        to.cut() = cut;
    }
    to.how() = static_cast<u32>(Crossed::fragment);
    rewrite(in, ip, std::nullopt, Addresses{row(&Row::saddr), row(&Row::daddr)}, to,
            [&](Label write, u32) { b.jump(write); });
}

template <class F>
void take_family(const Siit& in, const View<typename F::Header>& ip, const StackRange& entries,
                 const Rewriting<F>& to)
{
    Dsl& b = in.b;
    const Builder::StackScope scope(b);
    const Frame<Plain<F>> plain(b);
    const Frame<F> frame(b, plain);
    const NewFlowFrame<F> fresh(b, in.plan, entries);
    if constexpr (!F::header_sum) {
        in.parser.fragment_header->fill(0);
        (*in.parser.fragment_header)(&Ipv6Fragment::reserved) = u8{1}; // there is none: else it is 0
    }
    if constexpr (F::header_sum) check_ipv4_header(in, ip);
    b.jump_if(hops_left(ip) <= u8{1}, in.ways.to(Reason::last_hop));
    auto l4 = in.packet.fork("l4", sizeof(typename F::Header));
    const auto transports =
        go_by_protocol(in.parser, in.plan, plain, ip, l4, Reason::no_listener,
                       [&]<class L4>() { translate<F, L4>(in, ip, l4, frame, fresh, to); });
    b.bind(transports.icmp);
    cross_icmp_error(in, frame, ip, l4, to);
    b.bind(transports.later_fragment);
    cross_fragment(in, ip, l4, frame, to);
}

template <class F>
Rewriting<F> make_rewriting(Dsl& b, StackRange headers, const StackVar<u64>& cut, const StackVar<u32>& how)
{
    return {.headers = {b, headers},
            .cut = cut,
            .how = how,
            .plain = b.label("write the header"),
            .fragment = b.label("write the header of a fragment"),
            .error = b.label("write the headers of an error"),
            .error_fragment = b.label("write the headers of an error about a fragment")};
}

// Two entries, which the first packet of a connection needs until they are in the tables, or the new headers:
// these begin where the second entry does, since the first one is read until the end. A packet that is no
// error has short ones, and the question for its way behind them.
struct Memory {
    model::Flow6 forward{}, reply{};
    std::array<u64, 3> more{};
};
constexpr u32 headers_at = sizeof(model::Flow6), way_at = headers_at + sizeof(NewFragment);
static_assert(sizeof(Memory) >= headers_at + sizeof(NewHeaders<V4To6>));
static_assert(sizeof(Memory) >= way_at + sizeof(FibLookup6));

StackRange part_of(const StackRange& memory, u32 at, u32 size)
{
    return {memory.off + static_cast<i32>(at), size};
}

} // namespace

std::expected<bpf::Program, bpf::Error> make_siit(const model::Plan& plan, const Maps& maps,
                                                  const KernelFeatures& kernel)
{
    Dsl b("lb_siit", ProgramType::xdp, AttachType::xdp, {.gotol = kernel.isa_v4});
    Ways ways(b, maps);
    {
        b.note("the context, for the kernel's helpers");
        const auto context = b.local<u64>("context"), l3_offset = b.local<u64>("l3 offset"),
                   cut = b.local<u64>("cut");
        const auto how = b.local<u32>("how it leaves"), given = b.local<u32>("given target");
        const StackRange memory = b.reserve_stack(sizeof(Memory), "entries or headers");
        const StackRange headers = part_of(memory, headers_at, sizeof(NewHeaders<V4To6>)),
                         way = part_of(memory, way_at, sizeof(FibLookup6));
        const auto to6 = make_rewriting<V4To6>(b, headers, cut, how);
        const auto to4 = make_rewriting<V6To4>(b, headers, cut, how);
        const TooLarge too_large(b, b.local<u64>("mtu"));
        context().store(r1);
        b.release_context();
        take_given(b, maps, ways, given);
        {
            const auto fragment_header = b.stack<Ipv6Fragment>("fragment header");
            auto packet = packet_anew(b, context);
            const Parser parser{.b = b,
                                .packet = packet,
                                .leave = [&](Reason reason) { return ways.to(reason); },
                                .reasons = ingress_parse_reasons,
                                .too_short = ways.to(Reason::truncated),
                                .l3_offset = l3_offset,
                                .check_length = true,
                                .context = kernel.xdp_frags ? std::optional(context) : std::nullopt,
                                .fragment_header = &fragment_header};
            const Siit in{.b = b,
                          .plan = plan,
                          .maps = maps,
                          .ways = ways,
                          .parser = parser,
                          .packet = packet,
                          .context = context,
                          .l3_offset = l3_offset,
                          .given = given,
                          .way = way,
                          .too_large = too_large};
            go_by_family(parser, plan, [&]<class F>(const View<typename F::Header>& ip) {
                if constexpr (std::is_same_v<F, V4>)
                    take_family<V4To6>(in, ip, memory, to6);
                else
                    take_family<V6To4>(in, ip, memory, to4);
            });
        }
        write_crossed(b, plan, ways, to6, context, l3_offset);
        write_crossed(b, plan, ways, to4, context, l3_offset);
        emit_too_large(b, maps, ways, context, kernel.xdp_frags, too_large, true, true, Reason::siit_failed);
    }
    ways.emit();
    auto program = b.finish();
    if (program) program->frags = kernel.xdp_frags;
    return program;
}

} // namespace lb::datapath
