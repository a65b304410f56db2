// The program on the way out: replies of known connections get the address and port that the client knows.
#include "datapath/checksum.hpp"
#include "datapath/flow.hpp"
#include "datapath/generate.hpp"
#include "datapath/listener.hpp"
#include "datapath/parse.hpp"
#include "datapath/ways.hpp"

#include <algorithm>
#include <vector>

namespace lb::datapath {

using namespace bpf;
using model::Flow4;
using model::Reason;
using wire::Ethernet;
using wire::Ipv4;

namespace {

// Flags of bpf_l4_csum_replace; a size of 0 in the low bits says that `to` is a difference.
constexpr u64 pseudo_header = 1u << 4;
constexpr u64 zero_is_none = 1u << 5;

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
    GuardedWays& guarded; ///< for packets that are IPv4
    const Frame& frame;
};

/// Emits the L4 checksum's change through the kernel's helper, which knows when only the pseudo-header has
/// been summed so far (CHECKSUM_PARTIAL): then addresses count and ports do not. Two calls, because one
/// cannot say both.
template <class L4> void change_l4_checksum(const Egress& out, SkbPacket& packet, const View<Flow4>& flow)
{
    Dsl& b = out.b;
    constexpr u64 flags = std::is_same_v<L4, wire::Udp> ? zero_is_none : 0;
    const u32 at = sizeof(Ethernet) + sizeof(Ipv4) + offset_of(&L4::checksum);
    for (const auto& [delta, more] :
         {std::pair{&Flow4::address_delta, pseudo_header}, {&Flow4::port_delta, u64{0}}}) {
        b.note(more ? "L4 checksum: addresses, by the kernel's helper" : "L4 checksum: ports");
        auto change = b.let<u64>("change", flow(delta));
        auto result = b.call<i64>(Helper::l4_csum_replace,
                                  {packet.context(), at, 0, std::move(change), flags | more}, "result");
        b.jump_if(result != 0, out.ways.to(Reason::egress_failed));
    }
}

// With route_localnet on (a target in 127/8 needs it), the kernel would let packets from 127/8 out.
void guard_loopback(const Egress& out, SkbPacket& packet, const View<Ipv4>& ip)
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
        auto leaving = b.let<u32>("ifindex", packet.context()(&SkBuff::ifindex));
        b.jump_if_symbol(Jmp::eq, leaving.reg(), ifindex_symbol("lo"), fine, Loc::current());
    }
    b.jump(out.ways.to(Reason::egress_loopback));
    b.bind(fine);
}

template <class L4> void translate(const Egress& out, SkbPacket& packet)
{
    Dsl& b = out.b;
    b.note(std::is_same_v<L4, wire::Tcp> ? "TCP" : "UDP");
    const auto guarded = [&](Reason reason) { return out.guarded.to(reason); };
    const auto headers = parse_l4<L4>(b, packet, guarded, egress_parse_reasons, nullptr);
    packet.release_end();
    make_key(out.frame.key, headers);
    const auto flow = b.pointer<Flow4>("flow");
    const Label unknown = out.guarded.to(Reason::egress_no_flow);
    find_flow(b, out.maps, out.frame, flow, unknown);
    b.jump_if(flow(&Flow4::direction) != model::Direction::reply, unknown);

    // Merged packets (GSO) are longer than IPv4's total length can say; skb->len is right for all.
    auto bytes = [&] {
        auto length = b.let<u64>("bytes", packet.context()(&SkBuff::len));
        length -= u64{sizeof(Ethernet)};
        return length;
    };
    touch_flow(b, flow, headers.l4, bytes);
    count_target(b, out.maps, out.frame, flow, &model::TargetCounters::reply_packets,
                 &model::TargetCounters::reply_bytes, bytes);

    b.note("rewrite the source");
    apply_delta(b, headers.ip(&Ipv4::checksum), flow(&Flow4::address_delta), false);
    headers.ip(&Ipv4::saddr) = flow(&Flow4::saddr);
    headers.l4(&L4::sport) = flow(&Flow4::sport);
    headers.l4(&L4::dport) = flow(&Flow4::dport);
    change_l4_checksum<L4>(out, packet, flow);
    out.ways.leave(Reason::reply_forwarded);
}

void choose_protocol(const Egress& out, SkbPacket& packet)
{
    Dsl& b = out.b;
    b.note("headers into the linear part");
    packet.pull(sizeof(Ethernet) + sizeof(Ipv4) + sizeof(wire::Tcp));
    const auto ip = claim_ipv4(
        b, packet, [&](Reason reason) { return out.ways.to(reason); }, egress_parse_reasons);
    check_ipv4(
        b, ip, [&](Reason reason) { return out.guarded.to(reason); }, egress_parse_reasons);
    // A protocol that nobody listens to has no replies.
    const bool has_tcp = listens(out.plan, model::Protocol::tcp);
    const bool has_udp = listens(out.plan, model::Protocol::udp);
    const Label tcp = has_tcp ? b.label("tcp") : out.guarded.to(Reason::egress_no_flow);
    {
        auto protocol = b.let<u8>("protocol", ip(&Ipv4::protocol));
        b.jump_if(protocol == wire::protocol_tcp, tcp);
        b.jump_if(protocol != wire::protocol_udp, out.guarded.to(Reason::egress_other_protocol));
    }
    if (has_udp)
        translate<wire::Udp>(out, packet);
    else
        b.jump(out.guarded.to(Reason::egress_no_flow));
    if (has_tcp) {
        b.bind(tcp);
        translate<wire::Tcp>(out, packet);
    }
    out.guarded.emit([&] { guard_loopback(out, packet, ip); });
}

} // namespace

std::expected<bpf::Program, bpf::Error> make_egress(const model::Plan& plan, const Maps& maps,
                                                    const KernelFeatures& kernel)
{
    const AttachType attach = kernel.tcx ? AttachType::tcx_egress : AttachType::none;
    Dsl b("lb_egress", ProgramType::sched_cls, attach, {.gotol = kernel.isa_v4});
    Ways ways(b, maps);
    {
        const Frame frame(b);
        SkbPacket packet(b);
        GuardedWays guarded(b, ways, plan.loopback_targets);
        choose_protocol({b, plan, maps, ways, guarded, frame}, packet);
    }
    ways.emit();
    return b.finish();
}

std::expected<bpf::Program, bpf::Error> make_clock()
{
    Dsl b("lb_clock", ProgramType::xdp, AttachType::xdp);
    b.release_context();
    b.call(Helper::jiffies64, {});
    b.exit();
    return b.finish();
}

} // namespace lb::datapath
