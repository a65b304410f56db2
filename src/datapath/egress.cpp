// The program on the way out: replies of known connections get the address and port that the client knows.
#include "datapath/checksum.hpp"
#include "datapath/dispatch.hpp"
#include "datapath/flow.hpp"
#include "datapath/fragment.hpp"
#include "datapath/generate.hpp"
#include "datapath/icmp.hpp"
#include "datapath/live.hpp"
#include "datapath/ways.hpp"

#include <algorithm>
#include <vector>

namespace lb::datapath {

using namespace bpf;
using model::Reason;
using wire::Ipv4;

namespace {

// Flags of bpf_l4_csum_replace; a size of 0 in the low bits says that `to` is a difference.
constexpr u64 pseudo_header = 1u << 4;
constexpr u64 zero_is_none = 1u << 5;

/// All headers that a packet may have up to L4: made linear where they are not.
constexpr u32 headers_bytes = 256;

// Ways out that a packet from 127/8 must not take: a stop before each asks for its source.
class GuardedWays {
public:
    GuardedWays(Dsl& b, Ways& ways, bool guarded) : b_(b), ways_(ways), guarded_(guarded) {}

    Label to(Reason reason)
    {
        if (!guarded_) return ways_.to(reason);
        for (const auto& [known, stop] : stops_)
            if (known == reason) return stop;
        stops_.emplace_back(reason, b_.label("guarded " + std::string(model::info(reason).name)));
        return stops_.back().second;
    }
    /// Emits the stops; `guard` emits the question and falls through where the packet may go.
    template <class Guard> void emit(const Guard& guard)
    {
        for (const auto& [reason, stop] : stops_) {
            b_.bind(stop);
            guard();
            b_.jump(ways_.to(reason));
        }
    }

private:
    Dsl& b_;
    Ways& ways_;
    bool guarded_;
    std::vector<std::pair<Reason, Label>> stops_ = {};
};

struct Egress {
    Dsl& b;
    const model::Plan& plan;
    const Maps& maps;
    Ways& ways;
    const Parser& parser;
    SkbPacket& packet;
    const StackVar<u64>& checksum_offset; ///< of the L4 checksum, from the frame's start
};

/// Emits the L4 checksum's change through the kernel's helper, which knows when only the pseudo-header has
/// been summed so far (CHECKSUM_PARTIAL): then addresses count and ports do not. Two calls, because one
/// cannot say both.
template <class F, class L4> void change_l4_checksum(const Egress& out, const View<typename F::Flow>& flow)
{
    Dsl& b = out.b;
    constexpr u64 flags = std::is_same_v<L4, wire::Udp> ? zero_is_none : 0;
    for (const auto& [delta, more] :
         {std::pair{&F::Flow::address_delta, pseudo_header}, {&F::Flow::port_delta, u64{0}}}) {
        b.note(more ? "L4 checksum: addresses, by the kernel's helper" : "L4 checksum: ports");
        auto change = b.let<u64>("change", flow(delta));
        Var<u64> at(b, b.take(r2, "at")); // where the call wants it
        at = out.checksum_offset();
        auto result =
            b.call<i64>(Helper::l4_csum_replace,
                        {out.packet.context(), std::move(at), 0, std::move(change), flags | more}, "result");
        b.jump_if(result != 0, out.ways.to(Reason::egress_failed));
    }
}

// With route_localnet on (a target in 127/8 needs it), the kernel would let packets from 127/8 out.
void guard_loopback(const Egress& out, const View<Ipv4>& ip)
{
    Dsl& b = out.b;
    b.note("127/8 toward the wire is nobody's");
    const Label fine = b.label("not loopback");
    {
        auto network = b.let<be32>("network", ip(&Ipv4::saddr));
        network &= model::loopback_mask;
        b.jump_if(network != model::loopback_network, fine);
    }
    const auto& leaves_by = out.plan.egress_interfaces;
    if (std::ranges::find(leaves_by, "lo") != leaves_by.end()) {
        auto leaving = b.let<u32>("ifindex", out.packet.context()(&SkBuff::ifindex));
        b.jump_if_symbol(Jmp::eq, leaving.reg(), ifindex_symbol("lo"), fine, Loc::current());
    }
    b.jump(out.ways.to(Reason::egress_loopback));
    b.bind(fine);
}

template <class F, class L4>
void translate(const Egress& out, const View<typename F::Header>& ip, PacketPointer& l4,
               const Frame<F>& frame)
{
    using Flow = typename F::Flow;
    Dsl& b = out.b;
    b.note(std::is_same_v<L4, wire::Tcp> ? "TCP" : "UDP");
    const auto headers = parse_l4<F, L4>(out.parser, ip, l4);
    out.packet.release_end();
    b.note("the packet's tuple");
    make_key<F>(frame.key, headers);
    const auto flow = b.pointer<Flow>("flow");
    const Label unknown = out.parser.leave(Reason::egress_no_flow);
    find_flow(b, out.maps, frame, flow, unknown);
    if (out.plan.has_fast_nat()) {
        b.jump_if(flow(&Flow::direction) == model::Direction::forward, unknown);
        b.jump_if(flow(&Flow::direction) == model::Direction::reply_here, unknown);
    } else {
        b.jump_if(flow(&Flow::direction) != model::Direction::reply, unknown);
    }

    // Merged packets (GSO) are longer than IPv4's total length can say; skb->len is right for all.
    auto bytes = [&] {
        auto length = b.let<u64>("bytes", out.packet.context()(&SkBuff::len));
        length -= (*out.parser.l3_offset)();
        return length;
    };
    touch_flow(b, flow, headers.l4, bytes);
    count_end(b, out.maps, frame, flow, headers.l4, model::Direction::reply);
    count_target(b, out.maps, frame, flow, &model::TargetCounters::reply_packets,
                 &model::TargetCounters::reply_bytes, bytes);

    b.note("rewrite the source");
    {
        auto at = l4.distance_from(out.packet, "at");
        at += (*out.parser.l3_offset)();
        at += u64{offset_of(&L4::checksum)};
        out.checksum_offset() = at;
    }
    if constexpr (F::header_sum)
        apply_delta(b, headers.ip(&F::Header::checksum), flow(&Flow::address_delta), false);
    copy_address(headers.ip(&F::Header::saddr), flow(&Flow::saddr));
    headers.l4(&L4::sport) = flow(&Flow::sport);
    headers.l4(&L4::dport) = flow(&Flow::dport);
    remember_fragment(b, out.maps, frame, headers.ip, flow, model::Direction::reply);
    change_l4_checksum<F, L4>(out, flow);
    if (out.plan.expects_replies()) return b.jump(out.ways.to(Reason::reply_forwarded));
    out.ways.leave(Reason::reply_forwarded);
}

// The packets of one family, from the IP header on. A protocol that nobody listens to has no replies.
template <class F> void take_family(const Egress& out, const View<typename F::Header>& ip)
{
    Dsl& b = out.b;
    const Builder::StackScope scope(b);
    const Frame<F> frame(b);
    b.note("the L4 header, where none but the plain IP header is before it");
    auto l4 = out.packet.fork("l4", sizeof(typename F::Header));
    const auto transports = go_by_protocol(out.parser, out.plan, frame, ip, l4, Reason::egress_no_flow,
                                           [&]<class L4>() { translate<F, L4>(out, ip, l4, frame); });
    b.bind(transports.icmp);
    translate_icmp_error(out.parser, out.maps, frame, ip, l4, model::Direction::reply,
                         out.ways.to(Reason::egress_icmp_forwarded),
                         out.parser.leave(Reason::egress_icmp_other));
    b.bind(transports.later_fragment);
    out.packet.release_end();
    follow_fragment(out.parser, out.maps, frame, ip, l4, model::Direction::reply,
                    out.ways.to(Reason::egress_fragment_forwarded));
    out.packet.retake_end();
}

// Once the header is known to be IPv4's, packets from 127/8 have to be asked for before they leave.
void take_guarded(const Egress& out, const View<Ipv4>& ip)
{
    Dsl& b = out.b;
    GuardedWays guarded(b, out.ways, out.plan.loopback_targets);
    Parser parser = out.parser;
    parser.leave = [&](Reason reason) { return guarded.to(reason); };
    const Label short_of_l4 = b.label("too short for L4");
    parser.too_short = short_of_l4;
    take_family<V4>({b, out.plan, out.maps, out.ways, parser, out.packet, out.checksum_offset}, ip);
    b.bind(short_of_l4);
    b.jump_if(out.packet.pulled(), guarded.to(Reason::egress_truncated));
    b.jump(out.packet.too_short());
    guarded.emit([&] { guard_loopback(out, ip); });
}

void choose_family(const Egress& out)
{
    go_by_family(out.parser, out.plan, [&]<class F>(const View<typename F::Header>& ip) {
        if constexpr (std::is_same_v<F, V4>)
            take_guarded(out, ip);
        else
            take_family<F>(out, ip);
    });
}

} // namespace

std::expected<bpf::Program, bpf::Error> make_egress(const model::Plan& plan, const Maps& maps,
                                                    const KernelFeatures& kernel)
{
    const AttachType attach = kernel.tcx ? AttachType::tcx_egress : AttachType::none;
    Dsl b("lb_egress", ProgramType::sched_cls, attach, {.gotol = kernel.isa_v4});
    Ways ways(b, maps);
    {
        const auto l3_offset = b.local<u64>("l3 offset");
        const auto checksum_offset = b.local<u64>("checksum offset");
        SkbPacket packet(b);
        const Parser parser{.b = b,
                            .packet = packet,
                            .leave = [&](Reason reason) { return ways.to(reason); },
                            .reasons = egress_parse_reasons,
                            .too_short = packet.too_short(),
                            .l3_offset = l3_offset};
        choose_family({b, plan, maps, ways, parser, packet, checksum_offset});
        packet.emit_retry(headers_bytes, ways.to(Reason::egress_truncated));
    }
    ways.emit();
    return b.finish();
}

std::expected<bpf::Program, bpf::Error> make_clock()
{
    Dsl b("lb_clock", ProgramType::xdp, AttachType::xdp);
    b.release_context();
    b.call(Helper::jiffies64, {});
    b.exit(no_reason);
    return b.finish();
}

} // namespace lb::datapath
