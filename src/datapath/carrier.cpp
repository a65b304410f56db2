#include "datapath/carrier.hpp"

#include "datapath/checksum.hpp"
#include "datapath/parse.hpp"
#include "datapath/too_big.hpp"
#include "datapath/traffic_class.hpp"
#include "datapath/tunnel.hpp"

#include <algorithm>

namespace lb::datapath {

using namespace bpf;
using model::CarrierRow;
using model::ForwardingMode;
using model::Reason;
using wire::Ethernet;
using wire::Ipv4;
using wire::Udp;

namespace {

constexpr u8 outer_ttl = 64;
constexpr u64 longest = 65535; // as far as IP's lengths say it

/// What the targets ask for: code is emitted for these.
struct Needs {
    bool inner4, inner6;
    bool l2, ipip, gue;
    bool outer4, outer6; ///< addresses of targets, tunnel or not
};

Needs needs_of(const model::Plan& plan)
{
    const auto targets = [&](model::Family family) {
        return std::ranges::any_of(plan.targets, [&](const auto& each) {
            return each.carried && model::family_of(each.endpoint.ip) == family;
        });
    };
    return {.inner4 = plan.has(model::Family::ipv4),
            .inner6 = plan.has(model::Family::ipv6),
            .l2 = plan.has(ForwardingMode::dsr_l2),
            .ipip = plan.has(ForwardingMode::dsr_ipip),
            .gue = plan.has(ForwardingMode::dsr_gue),
            .outer4 = targets(model::Family::ipv4),
            .outer6 = targets(model::Family::ipv6)};
}

constexpr u8 number(ForwardingMode mode) { return static_cast<u8>(mode); }

// What differs between the families of a target's address.
template <class F> struct Way;
template <> struct Way<V4> {
    static constexpr u8 family = 4;
    static constexpr auto saddr = &CarrierRow::saddr4, daddr = &CarrierRow::daddr4;
    using Fib = FibLookup4;
    static constexpr u8 fib_family = fib_inet;
    static const StackView<Fib>& fib(const Carrier& c) { return c.fib4; }
};
template <> struct Way<V6> {
    static constexpr u8 family = 6;
    static constexpr auto saddr = &CarrierRow::saddr6, daddr = &CarrierRow::daddr6;
    using Fib = FibLookup6;
    static constexpr u8 fib_family = fib_inet6;
    static const StackView<Fib>& fib(const Carrier& c) { return c.fib6; }
};

void read_inner4(const Carrier& c, XdpPacket& packet)
{
    const auto ip = packet.claim_at<Ipv4>(sizeof(Ethernet), c.ways.to(Reason::truncated));
    c.inner6() = 0;
    c.tos() = ip(&Ipv4::tos);
    c.length() = ip_length(c.b, ip);
}

void read_inner6(const Carrier& c, XdpPacket& packet)
{
    Dsl& b = c.b;
    const auto ip = packet.claim_at<tunnel::Ipv6>(sizeof(Ethernet), c.ways.to(Reason::truncated));
    c.inner6() = 1;
    read_traffic_class(b, c.tos(), ip);
    auto length = b.let_host_as<u64>("payload length", ip(&tunnel::Ipv6::payload_length));
    length += u64{sizeof(tunnel::Ipv6)};
    c.length() = length;
}

// Length, traffic class and family of the client's packet.
void read_inner(const Carrier& c, const Needs& needs)
{
    Dsl& b = c.b;
    b.note("the client's packet");
    auto packet = packet_anew(b, c.context);
    if (needs.inner4 && needs.inner6) {
        const Label six = b.label("inner IPv6"), done = b.label("inner read");
        const auto [ethernet] = packet.claim<Ethernet>(c.ways.to(Reason::truncated));
        b.jump_if(ethernet(&Ethernet::type) == wire::ethertype_ipv6, six);
        read_inner4(c, packet);
        b.jump(done);
        b.bind(six);
        read_inner6(c, packet);
        b.bind(done);
    } else if (needs.inner4) {
        read_inner4(c, packet);
    } else {
        read_inner6(c, packet);
    }
}

// Where the kernel would send the packet that is to leave, into `result` and the memory that was asked with.
template <class F> void ask_way(const Carrier& c)
{
    using Fib = typename Way<F>::Fib;
    Dsl& b = c.b;
    const auto& fib = Way<F>::fib(c);
    b.note("the way to the target");
    fib(&Fib::family) = Way<F>::fib_family;
    copy_address(fib(&Fib::saddr), c.row(Way<F>::saddr));
    copy_address(fib(&Fib::daddr), c.row(Way<F>::daddr));
    if constexpr (std::is_same_v<F, V4>) fib(&Fib::tos) = c.tos();
    {
        auto total = b.let<u64>("total", c.length());
        total += c.overhead();
        b.if_(total > longest, [&] { total = longest; }); // too big for every way
        fib(&Fib::total_length).store(total.reg());
    }
    auto ctx = b.let<u64>("ctx", c.context());
    const View<XdpMd> md(b, ctx.reg(), 0);
    fib(&Fib::ifindex) = md(&XdpMd::ingress_ifindex);
    auto result = b.call<i64>(Helper::fib_lookup, {std::move(ctx), fib, u32{sizeof(Fib)}, 0}, "fib result");
    c.result() = result;
    b.jump_if(result == fib_too_big, c.too_big);
}

void write_outer(const Carrier& c, const View<Ipv4>& ip, u32 bytes, u8 udp_or_none)
{
    Dsl& b = c.b;
    ip(&Ipv4::version_ihl) = wire::ipv4_version_ihl;
    ip(&Ipv4::tos) = c.tos(); // DSCP and ECN as they are inside: RFC 2983, RFC 6040
    {
        auto length = b.let<u64>("length", c.length());
        length += u64{bytes};
        ip(&Ipv4::total_length) = b.to_network16(std::move(length));
    }
    ip(&Ipv4::id) = be16{0}; // RFC 6864: nothing that may be fragmented
    ip(&Ipv4::fragment) = wire::ipv4_dont_fragment;
    ip(&Ipv4::ttl) = outer_ttl;
    if (udp_or_none != 0) {
        ip(&Ipv4::protocol) = udp_or_none;
    } else {
        ip(&Ipv4::protocol) = tunnel::protocol_ipip;
        b.if_(c.inner6() != u64{0}, [&] { ip(&Ipv4::protocol) = tunnel::protocol_ipv6; });
    }
    ip(&Ipv4::saddr) = c.row(&CarrierRow::saddr4);
    ip(&Ipv4::daddr) = c.row(&CarrierRow::daddr4);
    write_header_sum(b, ip);
}

void write_outer(const Carrier& c, const View<tunnel::Ipv6>& ip, u32 bytes, u8 udp_or_none)
{
    using tunnel::Ipv6;
    Dsl& b = c.b;
    write_traffic_class(b, ip, c.tos());
    ip(&Ipv6::label) = c.carrying.sport(); // RFC 6438: who spreads by flow labels tells connections apart
    {
        auto length = b.let<u64>("length", c.length());
        length += u64{bytes - sizeof(Ipv6)};
        ip(&Ipv6::payload_length) = b.to_network16(std::move(length));
    }
    if (udp_or_none != 0) {
        ip(&Ipv6::next_header) = udp_or_none;
    } else {
        ip(&Ipv6::next_header) = tunnel::protocol_ipip;
        b.if_(c.inner6() != u64{0}, [&] { ip(&Ipv6::next_header) = tunnel::protocol_ipv6; });
    }
    ip(&Ipv6::hop_limit) = outer_ttl;
    const auto from = c.row(&CarrierRow::saddr6), to = c.row(&CarrierRow::daddr6);
    ip(&Ipv6::saddr_high) = from(&wire::Address6::high);
    ip(&Ipv6::saddr_low) = from(&wire::Address6::low);
    ip(&Ipv6::daddr_high) = to(&wire::Address6::high);
    ip(&Ipv6::daddr_low) = to(&wire::Address6::low);
}

// Puts the tunnel's header in front. GUE is of variant 1 (draft-ietf-intarea-gue, 4): the client's packet
// follows UDP directly, four bytes less than with variant 0, and its first bits say of which version it is.
template <class Outer> void encapsulate(const Carrier& c, bool gue, Label then)
{
    Dsl& b = c.b;
    const u32 bytes = sizeof(Outer) + (gue ? sizeof(Udp) : 0);
    b.note(std::string(gue ? "GUE" : "IP in IP") + " by IPv" + (std::is_same_v<Outer, Ipv4> ? "4" : "6"));
    {
        auto ctx = b.let<u64>("ctx", c.context());
        auto result = b.call<i64>(Helper::xdp_adjust_head, {std::move(ctx), -i64{bytes}}, "result");
        b.jump_if(result != 0, c.failed);
    }
    auto packet = packet_anew(b, c.context);
    const auto before = packet.claim_at<EthernetMacs>(bytes, c.failed);
    const auto [ethernet, ip, udp] = packet.claim<EthernetMacs, Outer, Udp>(c.failed);
    ethernet(&EthernetMacs::destination).copy_from(before(&EthernetMacs::destination));
    ethernet(&EthernetMacs::source).copy_from(before(&EthernetMacs::source));
    ethernet(&EthernetMacs::type) = std::is_same_v<Outer, Ipv4> ? wire::ethertype_ipv4 : wire::ethertype_ipv6;
    write_outer(c, ip, bytes, gue ? wire::protocol_udp : u8{0});
    if (gue) {
        udp(&Udp::sport) = c.carrying.sport();
        udp(&Udp::dport) = c.row(&CarrierRow::port);
        auto length = b.let<u64>("length", c.length());
        length += u64{sizeof(Udp)};
        udp(&Udp::length) = b.to_network16(std::move(length));
        udp(&Udp::checksum) = be16{0}; // what is inside has its own; by IPv6: RFC 6935
    }
    b.jump(then);
}

// To a target with an address of this family, in a tunnel's packet.
template <class F> void tunnel_to(const Carrier& c, const Needs& needs, Label then)
{
    using Fib = typename Way<F>::Fib;
    using Outer = std::conditional_t<std::is_same_v<F, V4>, Ipv4, tunnel::Ipv6>;
    Dsl& b = c.b;
    const auto& fib = Way<F>::fib(c);
    const Label by_gue = b.label("by GUE");
    c.overhead() = u64{sizeof(Outer)};
    if (needs.gue) {
        const Label plain = b.label("IP in IP");
        if (needs.ipip) b.jump_if(c.row(&CarrierRow::mode) != number(ForwardingMode::dsr_gue), plain);
        c.overhead() = u64{sizeof(Outer) + sizeof(Udp)};
        // Rules and multipath routes may go by them.
        fib(&Fib::l4_protocol) = wire::protocol_udp;
        fib(&Fib::sport) = c.carrying.sport();
        fib(&Fib::dport) = c.row(&CarrierRow::port);
        b.bind(plain);
    }
    ask_way<F>(c);
    if (needs.gue && needs.ipip)
        b.jump_if(c.row(&CarrierRow::mode) == number(ForwardingMode::dsr_gue), by_gue);
    if (needs.ipip) encapsulate<Outer>(c, false, then);
    b.bind(by_gue);
    if (needs.gue) encapsulate<Outer>(c, true, then);
}

// To a target on the same link, as it is: only the Ethernet addresses will change.
template <class F> void direct_to(const Carrier& c, Label then)
{
    using Fib = typename Way<F>::Fib;
    Dsl& b = c.b;
    const Label known = b.label("route known");
    c.overhead() = 0;
    ask_way<F>(c);
    b.jump_if(c.result() == i64{fib_success}, known);
    b.jump_if(c.result() != i64{fib_no_neighbour}, c.ways.to(Reason::dsr_no_route));
    b.bind(known);
    jump_if_differs(b, Way<F>::fib(c)(&Fib::daddr), c.row(Way<F>::daddr), c.ways.to(Reason::dsr_not_on_link));
    b.jump_if(c.result() != i64{fib_success}, c.ways.to(Reason::dsr_no_neighbour));
    b.jump(then);
}

// By the family of the target's address.
template <class Take> void by_target(const Carrier& c, const Needs& needs, const Take& take)
{
    Dsl& b = c.b;
    const Label six = b.label("target by IPv6");
    if (needs.outer4 && needs.outer6) b.jump_if(c.row(&CarrierRow::family) == Way<V6>::family, six);
    if (needs.outer4) take.template operator()<V4>();
    b.bind(six);
    if (needs.outer6) take.template operator()<V6>();
}

void choose_mode(const Carrier& c, const Needs& needs)
{
    Dsl& b = c.b;
    const Label direct = b.label("dsr-l2"), encapsulated = b.label("encapsulated"), ready = b.label("ready");
    c.fib4.fill(0);
    if (needs.l2 && (needs.ipip || needs.gue))
        b.jump_if(c.row(&CarrierRow::mode) == number(ForwardingMode::dsr_l2), direct);
    if (needs.ipip || needs.gue) {
        by_target(c, needs, [&]<class F>() { tunnel_to<F>(c, needs, encapsulated); });
        b.note("by lb, or by the kernel");
        b.bind(encapsulated);
        const Label by_kernel = c.ways.to(Reason::encapsulated);
        b.jump_if(c.result() != i64{fib_success}, by_kernel);
        b.jump_if(c.row(&CarrierRow::sends) == u8{0}, by_kernel);
        take_device(b, c.maps, c.fib4, by_kernel);
        b.jump(ready);
    }
    b.bind(direct);
    if (needs.l2) {
        const Label known = b.label("on the link");
        by_target(c, needs, [&]<class F>() { direct_to<F>(c, known); });
        b.bind(known);
        take_device(b, c.maps, c.fib4, c.ways.to(Reason::dsr_no_device));
    }
    b.bind(ready);
    send(c);
}

} // namespace

void send(const Carrier& c)
{
    Dsl& b = c.b;
    b.note("Ethernet addresses of the way, and off");
    {
        auto packet = packet_anew(b, c.context);
        const auto [ethernet] = packet.claim<EthernetMacs>(c.failed);
        write_macs(ethernet, c.fib4);
    }
    jump_unless_back(b, c.context, c.fib4, c.ways.to(Reason::sent_on));
    b.jump_if(c.row(&CarrierRow::sends).has(model::sends_tx), c.ways.to(Reason::sent_back));
    b.jump(c.ways.to(Reason::sent_on));
}

XdpPacket packet_anew(Dsl& b, const StackVar<u64>& context)
{
    context().load_into(r1);
    return XdpPacket(b);
}

void emit_carrier(Dsl& b, const model::Plan& plan, const Maps& maps, Ways& ways, const Carrying& carrying,
                  const StackVar<u64>& context, const StackVar<u64>& l3_offset, bool frags)
{
    const Builder::StackScope scope(b);
    const Needs needs = needs_of(plan);
    b.note("the target answers by itself: carry the packet to it");
    b.bind(carrying.send);
    b.jump_if(l3_offset() != u64{sizeof(Ethernet)}, ways.to(Reason::dsr_tagged));
    const auto row = b.lookup(*maps.carriers, carrying.target, ways.to(Reason::internal));
    b.jump_if(row(&CarrierRow::family) == u8{0}, ways.to(Reason::dsr_no_route));
    const StackRange way = b.reserve_stack(sizeof(FibLookup4), "way");
    const Carrier c{.b = b,
                    .maps = maps,
                    .ways = ways,
                    .carrying = carrying,
                    .context = context,
                    .frags = frags,
                    .row = row,
                    .fib4 = {b, way},
                    .fib6 = {b, way},
                    .length = b.local<u64>("length"),
                    .overhead = b.local<u64>("overhead"),
                    .inner6 = b.local<u64>("inner IPv6"),
                    .result = b.local<i64>("result"),
                    .tos = b.local<u8>("tos"),
                    .too_big = b.label("too big"),
                    .failed = ways.to(Reason::dsr_failed)};
    read_inner(c, needs);
    choose_mode(c, needs);
    emit_too_big(c, needs.inner4, needs.inner6);
}

} // namespace lb::datapath
