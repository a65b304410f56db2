// The program on the way in, in the order in which a packet meets it.
#include "datapath/checksum.hpp"
#include "datapath/flow.hpp"
#include "datapath/generate.hpp"
#include "datapath/listener.hpp"
#include "datapath/parse.hpp"
#include "datapath/pick.hpp"
#include "datapath/ways.hpp"

namespace lb::datapath {

using namespace bpf;
using model::Flow4;
using model::Reason;
using wire::Ipv4;

namespace {

/// Everything that the stages of this program share.
struct Ingress {
    Dsl& b;
    const model::Plan& plan;
    const Maps& maps;
    Ways& ways;
    const Frame& frame;
    const NewFlowFrame& fresh;
    const StackVar<u32>& ifindex;
    const WireLength& wire;

    WayOut way_out() const
    {
        return [this](Reason reason) { return ways.to(reason); };
    }
};

// With route_localnet on (a target in 127/8 needs it), the kernel would take packets for 127/8 from the wire.
void guard_loopback(const Ingress& in, const View<Ipv4>& ip)
{
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

template <class L4> void rewrite(const Ingress& in, const Headers<L4>& headers, const View<Flow4>& flow)
{
    Dsl& b = in.b;
    b.note("rewrite the destination");
    apply_delta(b, headers.ip(&Ipv4::checksum), flow(&Flow4::address_delta), false);
    apply_delta(b, headers.l4(&L4::checksum), flow(&Flow4::l4_delta), std::is_same_v<L4, wire::Udp>);
    headers.ip(&Ipv4::daddr) = flow(&Flow4::daddr);
    headers.l4(&L4::sport) = flow(&Flow4::sport);
    headers.l4(&L4::dport) = flow(&Flow4::dport);
    in.ways.leave(Reason::forwarded);
}

// The first packet of a connection: listener, route, pick, both entries.
template <class L4>
void begin_connection(const Ingress& in, const Headers<L4>& headers, const View<Flow4>& flow, Label raced)
{
    Dsl& b = in.b;
    if constexpr (std::is_same_v<L4, wire::Tcp>)
        b.jump_if(headers.l4(&wire::Tcp::flags).has(wire::tcp_rst), in.ways.to(Reason::stray_reset));
    const Label matched = b.label("matched");
    match_listener(b, in.plan, in.maps, headers, in.fresh, in.ifindex, in.ways, matched);
    b.bind(matched);
    if (has_source_routes(in.plan)) route_by_source(b, in.maps, headers.ip, in.fresh);
    hash_flow(b, in.frame, in.fresh);
    auto row = pick_target(b, in.maps, in.frame, in.fresh, in.ways);
    insert_flow(b, in.maps, in.frame, in.fresh, headers, std::move(row), flow, in.ways, raced);
}

// One protocol's whole way; the other has its own, so that neither asks which it is.
template <class L4> void translate(const Ingress& in, XdpPacket& packet)
{
    Dsl& b = in.b;
    b.note(std::is_same_v<L4, wire::Tcp> ? "TCP" : "UDP");
    const auto headers = parse_l4<L4>(b, packet, in.way_out(), ingress_parse_reasons, &in.wire);
    gate_port(b, in.plan, headers, in.ways);
    make_key(in.frame.key, headers);

    const auto flow = b.pointer<Flow4>("flow");
    const Label missing = b.label("no flow"), known = b.label("known"), apply = b.label("apply"),
                opening = b.label("opening");
    auto bytes = [&] { return b.let<u64>("bytes", b.let_host("bytes", headers.ip(&Ipv4::total_length))); };
    find_flow(b, in.maps, in.frame, flow, missing);
    b.if_(flow(&Flow4::direction) == model::Direction::reply, [&] {
        // A reply goes where it says. Else this is the memory of an entry that another CPU has just taken
        // out, with another entry in it.
        auto client = b.let<be32>("client", flow(&Flow4::daddr));
        b.jump_if(headers.ip(&Ipv4::daddr) == client, in.ways.to(Reason::reply));
        b.jump(missing);
    });
    if constexpr (std::is_same_v<L4, wire::Tcp>)
        b.jump_if(headers.l4(&wire::Tcp::flags).has(wire::tcp_syn), opening);
    b.bind(known);
    touch_flow(b, flow, headers.l4, bytes);
    b.bind(apply);
    count_target(b, in.maps, in.frame, flow, &model::TargetCounters::forward_packets,
                 &model::TargetCounters::forward_bytes, bytes);
    rewrite(in, headers, flow);

    b.bind(opening);
    if constexpr (std::is_same_v<L4, wire::Tcp>) {
        b.jump_if(headers.l4(&wire::Tcp::flags).has(wire::tcp_ack), known);
        reopen_closed(b, in.maps, in.frame, in.fresh, flow, missing);
        // The entry may have been taken out meanwhile, by another CPU with the same SYN, and its place in
        // memory be another entry's.
        find_flow(b, in.maps, in.frame, flow, missing);
        b.jump(known);
    }

    b.bind(missing);
    begin_connection(in, headers, flow, known);
    b.jump(apply);
}

void choose_protocol(const Ingress& in, XdpPacket& packet)
{
    Dsl& b = in.b;
    const auto ip = claim_ipv4(b, packet, in.way_out(), ingress_parse_reasons);
    // First, because the kernel would take options and fragments, too.
    if (in.plan.loopback_targets || in.plan.loopback_interface) guard_loopback(in, ip);
    check_ipv4(b, ip, in.way_out(), ingress_parse_reasons);
    const Label tcp = b.label("tcp"), udp = b.label("udp");
    {
        auto protocol = b.let<u8>("protocol", ip(&Ipv4::protocol));
        b.jump_if(protocol == wire::protocol_tcp,
                  listens(in.plan, model::Protocol::tcp) ? tcp : in.ways.to(Reason::no_listener));
        b.jump_if(protocol != wire::protocol_udp, in.ways.to(Reason::other_protocol));
        if (!listens(in.plan, model::Protocol::udp))
            b.jump(in.ways.to(Reason::no_listener));
        else
            b.jump(udp);
    }
    b.bind(udp);
    if (listens(in.plan, model::Protocol::udp)) translate<wire::Udp>(in, packet);
    b.bind(tcp);
    if (listens(in.plan, model::Protocol::tcp)) translate<wire::Tcp>(in, packet);
}

} // namespace

std::expected<bpf::Program, bpf::Error> make_ingress(const model::Plan& plan, const Maps& maps,
                                                     const KernelFeatures& kernel)
{
    Dsl b("lb_ingress", ProgramType::xdp, AttachType::xdp, {.gotol = kernel.isa_v4});
    Ways ways(b, maps);
    {
        const Frame frame(b);
        const NewFlowFrame fresh(b);
        const auto ifindex = b.local<u32>("ifindex");
        if (compares_interfaces(plan) || plan.loopback_interface) {
            b.note("where it came in");
            ifindex() = View<XdpMd>(b, r1, 0)(&XdpMd::ingress_ifindex);
        }
        WireLength wire;
        if (kernel.xdp_frags) {
            b.note("the context, for packets in several buffers");
            wire.context = b.local<u64>("context");
            (*wire.context)().store(r1);
        }
        XdpPacket packet(b);
        choose_protocol({b, plan, maps, ways, frame, fresh, ifindex, wire}, packet);
    }
    ways.emit();
    auto program = b.finish();
    if (program) program->frags = kernel.xdp_frags;
    return program;
}

} // namespace lb::datapath
