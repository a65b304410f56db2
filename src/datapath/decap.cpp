// From a frame of the tunnel to the packet within. Everything is checked before a byte is written. The outer
// header is a known number of bytes on each path, so the inner one lies at a constant distance, and each
// combination of families is code of its own.
#include "datapath/decap.hpp"

#include "datapath/addresses.hpp"
#include "datapath/checksum.hpp"
#include "datapath/ways.hpp"

#include <algorithm>

namespace lb::datapath {

using namespace bpf;
using namespace tunnel;
using model::Reason;
using wire::Ethernet;
using wire::Ipv4;
using wire::Udp;

namespace {

bool has_vip(const model::Backend& backend, bool v6)
{
    return std::ranges::any_of(backend.vips, [&](const IpAddress& each) { return each.is_v6() == v6; });
}

struct Decap {
    Dsl& b;
    const model::Backend& backend;
    const BackendMaps& maps;
    Ways& ways;
    XdpPacket& packet;
    const StackVar<u64>& context;
    const StackVar<u64>& length; ///< of the outer packet, from its IP header on, by that header
    const StackView<wire::Address6>& key6;
    const StackVar<be32>& key4;
    bool frags;
    Label truncated;
};

// ECN bits to a scratch register, as a number.
Var<u32> ecn_of(Dsl& b, const View<Ipv4>& ip)
{
    auto bits = b.let<u32>("ecn", ip(&Ipv4::tos));
    bits &= 3u;
    return bits;
}
Var<u32> ecn_of(Dsl& b, const View<Ipv6>& ip)
{
    auto bits = b.let<u32>("ecn", ip(&Ipv6::class_label));
    bits >>= 4;
    bits &= 3u;
    return bits;
}

// Emits `inner ecn ^= change`, with the header's checksum (RFC 1624, eqn. 3) where there is one.
void change_ecn(Dsl& b, const View<Ipv4>& ip, const Var<u32>& change)
{
    auto sum = b.let_bits<u64>("sum", ip(&Ipv4::checksum));
    sum ^= 0xffff;
    auto tos = b.let<u32>("tos", ip(&Ipv4::tos));
    // The second byte of a word that is loaded little-endian.
    auto old = b.let<u64>("old", tos);
    old <<= 8;
    old ^= 0xffff;
    sum += old.value();
    tos ^= change.value();
    ip(&Ipv4::tos).store(tos.reg());
    tos <<= 8;
    sum += Operand<u64>(tos);
    fold_sum(b, sum);
    sum ^= 0xffff;
    ip(&Ipv4::checksum).store(sum.reg());
}
void change_ecn(Dsl& b, const View<Ipv6>& ip, Var<u32>& change)
{
    change <<= 4;
    auto byte = b.let<u32>("class", ip(&Ipv6::class_label));
    byte ^= change.value();
    ip(&Ipv6::class_label).store(byte.reg());
}

/// RFC 6040, 4.2, figure 4. An outer mark of Not-ECT or ECT(0) changes nothing.
template <class Outer, class Inner>
void decapsulate_ecn(const Decap& d, const View<Outer>& outer, const View<Inner>& inner)
{
    Dsl& b = d.b;
    b.note("ECN by RFC 6040");
    const Label done = b.label("ecn done"), ce = b.label("outer CE"), change = b.label("change ecn");
    auto mark = ecn_of(b, outer);
    b.jump_unless(mark.has(1u), done);
    auto mine = ecn_of(b, inner);
    b.jump_if(mark == u32{ecn_ce}, ce);
    b.jump_if(mine != u32{ecn_ect0}, done); // ECT(1) outside replaces ECT(0) inside, nothing else
    b.jump(change);
    b.bind(ce);
    b.jump_if(mine == u32{ecn_not_ect}, d.ways.to(Reason::decap_congested));
    b.bind(change);
    mark ^= mine.value();
    mine.release();
    change_ecn(b, inner, mark);
    b.bind(done);
}

// The MAC addresses to where the outer header ends, the inner packet's type behind them; then the frame
// begins there.
void strip(const Decap& d, Reg data, u32 outer_bytes, be16 type)
{
    Dsl& b = d.b;
    b.note("move the Ethernet header, and the packet's start to it");
    const View<MacAddresses> from(b, data, 0), to(b, data, static_cast<i32>(outer_bytes));
    to(&MacAddresses::first) = from(&MacAddresses::first);
    to(&MacAddresses::second) = from(&MacAddresses::second);
    to(&MacAddresses::third) = from(&MacAddresses::third);
    const View<Ethernet> header(b, data, static_cast<i32>(outer_bytes));
    header(&Ethernet::type) = type;
    auto ctx = b.let<u64>("ctx", d.context());
    auto result = b.call<i64>(Helper::xdp_adjust_head, {std::move(ctx), outer_bytes}, "result");
    b.jump_if(result != 0, d.ways.to(Reason::decap_failed));
    b.jump(d.ways.to(Reason::decapsulated));
}

// The inner packet's own length must lie within what the outer one carries. `inner_length` is used up.
void check_inner_length(const Decap& d, Var<u64>& inner_length, u32 outer_bytes)
{
    inner_length += u64{outer_bytes};
    d.b.jump_if(inner_length > Operand<u64>(d.length()), d.ways.to(Reason::decap_bad_inner));
}

template <class Outer> void take_inner4(const Decap& d, const View<Outer>& outer, u32 outer_bytes)
{
    Dsl& b = d.b;
    b.note("inner IPv4 behind " + std::to_string(outer_bytes) + " bytes");
    if (!has_vip(d.backend, false)) return b.jump(d.ways.to(Reason::decap_not_vip));
    const auto inner = d.packet.claim_at<Ipv4>(sizeof(Ethernet) + outer_bytes, d.truncated);
    {
        auto header = b.let<u64>("header", inner(&Ipv4::version_ihl));
        b.jump_if(header < 0x45, d.ways.to(Reason::decap_bad_inner));
        b.jump_if(header > 0x4f, d.ways.to(Reason::decap_bad_inner));
        header &= 0xf;
        header <<= 2;
        auto host = b.let_host("total", inner(&Ipv4::total_length));
        auto total = b.let<u64>("inner length", host);
        b.jump_if(total < header.value(), d.ways.to(Reason::decap_bad_inner));
        check_inner_length(d, total, outer_bytes);
    }
    const Label vip = b.label("vip");
    jump_if_vip(b, d.backend, inner(&Ipv4::daddr), vip);
    b.jump(d.ways.to(Reason::decap_not_vip));
    b.bind(vip);
    decapsulate_ecn(d, outer, inner);
    strip(d, outer.base(), outer_bytes, wire::ethertype_ipv4);
}

template <class Outer> void take_inner6(const Decap& d, const View<Outer>& outer, u32 outer_bytes)
{
    Dsl& b = d.b;
    b.note("inner IPv6 behind " + std::to_string(outer_bytes) + " bytes");
    if (!has_vip(d.backend, true)) return b.jump(d.ways.to(Reason::decap_not_vip));
    const auto inner = d.packet.claim_at<Ipv6>(sizeof(Ethernet) + outer_bytes, d.truncated);
    {
        auto version = b.let<u64>("version", inner(&Ipv6::version_class));
        version >>= 4;
        b.jump_if(version != 6, d.ways.to(Reason::decap_bad_inner));
        auto host = b.let_host("payload", inner(&Ipv6::payload_length));
        auto total = b.let<u64>("inner length", host);
        total += u64{sizeof(Ipv6)};
        check_inner_length(d, total, outer_bytes);
    }
    const Label vip = b.label("vip");
    jump_if_vip(b, d.backend, inner(&Ipv6::daddr_high), inner(&Ipv6::daddr_low), vip);
    b.jump(d.ways.to(Reason::decap_not_vip));
    b.bind(vip);
    decapsulate_ecn(d, outer, inner);
    strip(d, outer.base(), outer_bytes, wire::ethertype_ipv6);
}

// Goes to the inner packet by the protocol number of what carries it.
template <class Outer>
void choose_inner(const Decap& d, const View<Outer>& outer, const Field<u8>& protocol, u32 outer_bytes,
                  Reason neither)
{
    Dsl& b = d.b;
    const Label four = b.label("inner IPv4");
    b.jump_if(protocol == protocol_ipip, four);
    b.jump_if(protocol != protocol_ipv6, d.ways.to(neither));
    take_inner6(d, outer, outer_bytes);
    b.bind(four);
    take_inner4(d, outer, outer_bytes);
}

// The frame must hold what the outer header says: some drivers put data_end behind the packet, and padding is
// no part of it.
void check_frame_length(const Decap& d)
{
    Dsl& b = d.b;
    const Label whole = b.label("whole");
    {
        auto needed = b.let<u64>("needed", d.length());
        needed += u64{sizeof(Ethernet)};
        auto have = d.packet.length("have");
        if (!d.frags) return b.jump_if(needed > have.value(), d.truncated);
        b.jump_if(needed <= have.value(), whole);
    }
    {
        auto ctx = b.let<u64>("ctx", d.context());
        auto have = b.call<u64>(Helper::xdp_get_buff_len, {std::move(ctx)}, "have");
        have -= u64{sizeof(Ethernet)};
        b.jump_if(have < Operand<u64>(d.length()), d.truncated);
    }
    b.bind(whole);
}

// The outer packet is for this host, from somebody who may, and whole.
void check_outer(const Decap& d, const View<Ipv4>& ip)
{
    Dsl& b = d.b;
    b.note("for this host, from a balancer");
    d.key4() = ip(&Ipv4::daddr);
    b.lookup_brief(d.maps.own4, d.key4, d.ways.to(Reason::decap_other_address)).release();
    if (d.backend.senders.empty()) return;
    const Label known = b.label("known sender");
    jump_if_sender(b, d.backend, ip(&Ipv4::saddr), known);
    b.jump(d.ways.to(Reason::decap_other_sender));
    b.bind(known);
}
void check_outer(const Decap& d, const View<Ipv6>& ip)
{
    Dsl& b = d.b;
    b.note("for this host, from a balancer");
    d.key6(&wire::Address6::high) = ip(&Ipv6::daddr_high);
    d.key6(&wire::Address6::low) = ip(&Ipv6::daddr_low);
    b.lookup_brief(d.maps.own6, d.key6, d.ways.to(Reason::decap_other_address)).release();
    if (d.backend.senders.empty()) return;
    const Label known = b.label("known sender");
    jump_if_sender(b, d.backend, ip(&Ipv6::saddr_high), ip(&Ipv6::saddr_low), known);
    b.jump(d.ways.to(Reason::decap_other_sender));
    b.bind(known);
}

/// GUE: variant 1 has no header, and the inner packet's version says so; variant 0 has one of four bytes.
template <class Outer> void take_gue(const Decap& d, const View<Outer>& outer)
{
    Dsl& b = d.b;
    constexpr u32 before = sizeof(Outer) + sizeof(Udp);
    b.note("GUE");
    {
        // The length of UDP must be what IP leaves for it.
        const auto udp = d.packet.claim_at<Udp>(sizeof(Ethernet) + sizeof(Outer), d.truncated);
        auto host = b.let_host("udp length", udp(&Udp::length));
        auto length = b.let<u64>("length", host);
        length += u64{sizeof(Outer)};
        b.jump_if(length != Operand<u64>(d.length()), d.ways.to(Reason::decap_bad_header));
        b.jump_if(length < u64{before}, d.ways.to(Reason::decap_bad_header));
    }
    const auto first = d.packet.claim_at<FirstByte>(sizeof(Ethernet) + before, d.truncated);
    const Label four = b.label("inner IPv4"), six = b.label("inner IPv6");
    {
        auto version = b.let<u32>("version", first(&FirstByte::value));
        version >>= 4;
        b.jump_if(version == 4u, four);
        b.jump_if(version == 6u, six);
    }
    {
        const auto gue = d.packet.claim_at<Gue>(sizeof(Ethernet) + before, d.truncated);
        b.jump_if(gue(&Gue::version_control_length) != 0, d.ways.to(Reason::decap_bad_gue));
        b.jump_if(gue(&Gue::flags) != be16{0}, d.ways.to(Reason::decap_bad_gue));
        choose_inner(d, outer, gue(&Gue::protocol), before + u32{sizeof(Gue)}, Reason::decap_bad_gue);
    }
    b.bind(four);
    take_inner4(d, outer, before);
    b.bind(six);
    take_inner6(d, outer, before);
}

// What follows the outer header, once that is known to be good.
template <class Outer> void take_tunnel(const Decap& d, const View<Outer>& outer, const Field<u8>& protocol)
{
    check_outer(d, outer);
    check_frame_length(d);
    if (d.backend.tunnel == model::Tunnel::gue) return take_gue(d, outer);
    choose_inner(d, outer, protocol, sizeof(Outer), Reason::decap_not_tunnel);
}

// Most packets of a host are not of the tunnel: they leave after one or two comparisons.
void leave_unless_tunnel(const Decap& d, const Field<u8>& protocol)
{
    Dsl& b = d.b;
    if (d.backend.tunnel == model::Tunnel::gue)
        return b.jump_if(protocol != wire::protocol_udp, d.ways.to(Reason::decap_not_tunnel));
    const Label tunnel = b.label("tunnel");
    b.jump_if(protocol == protocol_ipip, tunnel);
    b.jump_if(protocol != protocol_ipv6, d.ways.to(Reason::decap_not_tunnel));
    b.bind(tunnel);
}

void leave_unless_port(const Decap& d, u32 outer)
{
    if (d.backend.tunnel != model::Tunnel::gue) return;
    const auto udp = d.packet.claim_at<Udp>(sizeof(Ethernet) + outer, d.truncated);
    d.b.jump_if(udp(&Udp::dport) != be16(d.backend.gue_port), d.ways.to(Reason::decap_not_tunnel));
}

void take_outer4(const Decap& d)
{
    Dsl& b = d.b;
    b.note("outer IPv4");
    const auto [eth, ip] = d.packet.claim<Ethernet, Ipv4>(d.truncated);
    leave_unless_tunnel(d, ip(&Ipv4::protocol));
    const Label plain = b.label("no options");
    {
        auto header = b.let<u32>("header", ip(&Ipv4::version_ihl));
        b.jump_if(header == u32{wire::ipv4_version_ihl}, plain);
        b.jump_if(header < 0x45u, d.ways.to(Reason::decap_bad_header));
        b.jump_if(header > 0x4fu, d.ways.to(Reason::decap_bad_header));
        b.jump(d.ways.to(Reason::decap_ip_options));
    }
    b.bind(plain);
    b.jump_if(ip(&Ipv4::fragment).has(wire::ipv4_more_fragments_or_offset),
              d.ways.to(Reason::decap_fragment));
    leave_unless_port(d, sizeof(Ipv4));
    {
        auto host = b.let_host("total", ip(&Ipv4::total_length));
        auto total = b.let<u64>("outer length", host);
        b.jump_if(total < u64{sizeof(Ipv4)}, d.ways.to(Reason::decap_bad_header));
        d.length() = total;
    }
    take_tunnel(d, ip, ip(&Ipv4::protocol));
}

void take_outer6(const Decap& d)
{
    Dsl& b = d.b;
    b.note("outer IPv6");
    const auto eth_ip = d.packet.claim<Ethernet, Ipv6>(d.truncated);
    const auto& ip = std::get<1>(eth_ip);
    // Hop-by-hop options, routing, fragment, destination options: a tunnel endpoint of ours sends none.
    for (const u8 extension : {wire::ipv6_hop_by_hop, wire::ipv6_routing, wire::ipv6_destination})
        b.jump_if(ip(&Ipv6::next_header) == extension, d.ways.to(Reason::decap_extension_header));
    b.jump_if(ip(&Ipv6::next_header) == wire::ipv6_fragment, d.ways.to(Reason::decap_fragment));
    leave_unless_tunnel(d, ip(&Ipv6::next_header));
    {
        auto version = b.let<u32>("version", ip(&Ipv6::version_class));
        version >>= 4;
        b.jump_if(version != 6u, d.ways.to(Reason::decap_bad_header));
    }
    leave_unless_port(d, sizeof(Ipv6));
    {
        auto host = b.let_host("payload", ip(&Ipv6::payload_length));
        auto total = b.let<u64>("outer length", host);
        total += u64{sizeof(Ipv6)};
        d.length() = total;
    }
    take_tunnel(d, ip, ip(&Ipv6::next_header));
}

} // namespace

BackendMaps::BackendMaps()
    : own4("own4", MapType::hash, own_addresses_max),
      own6("own6", MapType::hash, own_addresses_max),
      exits("exits", MapType::percpu_array, model::reasons_count)
{}

std::expected<bpf::Program, bpf::Error> make_decap(const model::Backend& backend, const BackendMaps& maps,
                                                   const KernelFeatures& kernel)
{
    Dsl b("lb_decap", ProgramType::xdp, AttachType::xdp, {.gotol = kernel.isa_v4});
    Ways ways(b, maps.exits);
    {
        const auto context = b.local<u64>("context");
        const auto length = b.local<u64>("length");
        const auto key6 = b.stack<wire::Address6>("own address");
        const auto key4 = b.local<be32>("own address");
        b.note("the context, for the helpers");
        context().store(r1);
        XdpPacket packet(b);
        const Decap d{b,
                      backend,
                      maps,
                      ways,
                      packet,
                      context,
                      length,
                      key6,
                      key4,
                      kernel.xdp_frags,
                      ways.to(Reason::decap_truncated)};
        const Label outer4 = b.label("outer IPv4");
        const auto [eth] = packet.claim<Ethernet>(d.truncated);
        b.jump_if(eth(&Ethernet::type) == wire::ethertype_ipv4, outer4);
        b.jump_if(eth(&Ethernet::type) != wire::ethertype_ipv6, ways.to(Reason::decap_not_ip));
        take_outer6(d);
        b.bind(outer4);
        take_outer4(d);
    }
    ways.emit();
    auto program = b.finish();
    if (program) program->frags = kernel.xdp_frags;
    return program;
}

} // namespace lb::datapath
