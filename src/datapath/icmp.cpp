#include "datapath/icmp.hpp"

#include "datapath/quote.hpp"

namespace lb::datapath {

using namespace bpf;
using model::Direction;
using wire::Icmp;

namespace {

template <class F> struct Quote {
    View<Icmp> icmp;
    View<typename F::Header> ip;
    View<QuotedL4> l4;
};

// Unreachable, time exceeded, parameter problem: RFC 792.
void only_errors(const Parser& parser, const Var<u8>& type, const View<wire::Ipv4>& ip, Label error)
{
    Dsl& b = parser.b;
    const Label other = parser.leave(parser.reasons.icmp_other);
    b.jump_if(ip(&wire::Ipv4::fragment).has(wire::ipv4_more_fragments_or_offset), other);
    for (const u8 each : {u8{3}, u8{11}, u8{12}}) b.jump_if(type == each, error);
    b.jump(other);
}

// Unreachable, too big, time exceeded, parameter problem: RFC 4443.
void only_errors(const Parser& parser, const Var<u8>& type, const View<wire::Ipv6>&, Label error)
{
    Dsl& b = parser.b;
    b.jump_if(type == u8{0}, parser.leave(parser.reasons.icmp_other));
    b.jump_if(type <= u8{4}, error);
    b.jump(parser.leave(parser.reasons.icmp_other));
}

// The quoted header has nothing between IP and L4.
void only_plain(const Parser& parser, const View<wire::Ipv4>& quoted)
{
    Dsl& b = parser.b;
    const Label other = parser.leave(parser.reasons.icmp_other);
    b.jump_if(quoted(&wire::Ipv4::version_ihl) != wire::ipv4_version_ihl, other);
    b.jump_if(quoted(&wire::Ipv4::fragment).has(wire::ipv4_fragment_offset), other);
}
void only_plain(const Parser& parser, const View<wire::Ipv6>& quoted)
{
    Dsl& b = parser.b;
    auto version = b.let<be32>("version", quoted(&wire::Ipv6::version_class_label));
    version &= wire::ipv6_version_mask;
    b.jump_if(version != wire::ipv6_version, parser.leave(parser.reasons.icmp_other));
}

// Goes to `too_short` unless IP says that so many bytes follow at L4: data_end may be further on.
template <class F>
void check_quote(const Parser& parser, const View<typename F::Header>& ip, const PacketPointer& l4, u32 bytes,
                 Label too_short)
{
    Dsl& b = parser.b;
    auto used = l4.distance_from(parser.packet, "used");
    used += u64{bytes};
    auto total = ip_length(b, ip);
    b.jump_if(used > total.value(), too_short);
}

// The key of the packets that go the other way than the quoted one did.
template <class F> void make_quoted_key(const StackView<typename F::Key>& key, const Quote<F>& quote)
{
    using Key = typename F::Key;
    copy_address(key(&Key::saddr), quote.ip(&F::Header::daddr));
    copy_address(key(&Key::daddr), quote.ip(&F::Header::saddr));
    key(&Key::sport) = quote.l4(&QuotedL4::dport);
    key(&Key::dport) = quote.l4(&QuotedL4::sport);
    key(&Key::protocol) = quote.ip(F::protocol);
    key(&Key::zero8) = u8{0};
    key(&Key::zero16) = u16{0};
}

// The error's own header, where one address of the connection changes. An error from a router keeps its
// source.
template <class F>
void readdress_one(Dsl& b, const View<typename F::Header>& ip, const Quote<F>& quote,
                   const View<typename F::Flow>& flow, Var<u64>& sum, bool arrives)
{
    using Header = typename F::Header;
    using Flow = typename F::Flow;
    const Label router = b.label("from a router");
    if (arrives) {
        copy_address(ip(&Header::daddr), flow(&Flow::daddr));
    } else {
        jump_if_differs(b, ip(&Header::saddr), quote.ip(&Header::daddr), router);
        copy_address(ip(&Header::saddr), flow(&Flow::saddr));
    }
    if constexpr (F::header_sum)
        apply_delta(b, ip(&Header::checksum), flow(&Flow::address_delta), false);
    else
        sum += flow(&Flow::address_delta);
    b.bind(router);
}

// Where both may change. With full NAT the source is what the connection's packets have, also of an error
// from a router: who gets it may have no way to that one, and check sources by it (RFC 3704).
template <class F>
void readdress_both(Dsl& b, const Frame<F>& frame, const View<typename F::Header>& ip,
                    const View<typename F::Flow>& flow, Var<u64>& sum)
{
    using Header = typename F::Header;
    using Flow = typename F::Flow;
    const Label hidden = b.label("source hidden"), done = b.label("readdressed");
    auto change = b.let<u64>("change", 0);
    add_change(b, change, ip(&Header::daddr), flow(&Flow::daddr));
    copy_address(ip(&Header::daddr), flow(&Flow::daddr));
    jump_if_differs(b, flow(&Flow::saddr), frame.key(&F::Key::saddr), hidden);
    b.jump(done);
    b.bind(hidden);
    add_change(b, change, ip(&Header::saddr), flow(&Flow::saddr));
    copy_address(ip(&Header::saddr), flow(&Flow::saddr));
    b.bind(done);
    fold_sum(b, change);
    if constexpr (F::header_sum)
        apply_sum(b, ip(&Header::checksum), change);
    else
        sum += change.value();
}

// Goes on where errors about the entry's packets are this program's.
void go_on_if_of(Dsl& b, const Maps& maps, const Field<Direction>& entry, bool arrives, Label other)
{
    if (arrives) {
        if (!maps.nat_sources) return b.jump_if(entry != Direction::forward, other);
        b.jump_if(entry == Direction::reply, other);
        if (maps.carriers) b.jump_if(entry == Direction::reply_either, other);
        return;
    }
    if (!maps.carriers) return b.jump_if(entry != Direction::reply, other);
    b.jump_if(entry == Direction::forward, other);
    b.jump_if(entry == Direction::reply_here, other);
}

} // namespace

template <class F>
void translate_icmp_error(const Parser& parser, const Maps& maps, const Frame<F>& frame,
                          const View<typename F::Header>& ip, PacketPointer& l4, Direction direction,
                          Label translated, Label other_direction, const Carrying* carrying,
                          std::optional<Label> across)
{
    using Header = typename F::Header;
    using Flow = typename F::Flow;
    Dsl& b = parser.b;
    b.note("ICMP: an error about one of our packets?");
    const Label other = parser.leave(parser.reasons.icmp_other), error = b.label("icmp error");
    const auto [first] = l4.claim<Icmp>(parser.too_short);
    check_whole(parser, ip, sizeof(Header) + sizeof(Icmp));
    auto [icmp, quoted, quoted_l4] = l4.claim<Icmp, Header, QuotedL4>(other);
    const Quote<F> quote{std::move(icmp), std::move(quoted), std::move(quoted_l4)};
    {
        auto type = b.let<u8>("type", quote.icmp(&Icmp::type));
        only_errors(parser, type, ip, error);
    }
    b.bind(error);
    check_quote<F>(parser, ip, l4, sizeof(Icmp) + sizeof(Header) + sizeof(QuotedL4), other);
    only_plain(parser, quote.ip);
    make_quoted_key(frame.key, quote);
    b.note("the connection that the quoted packet is of");
    auto flow = b.lookup_brief(F::flows(maps), frame.key, across ? *across : other);
    if (!F::header_sum && across) b.jump_if(flow(&Flow::carried) == model::carried_across, *across);
    const bool arrives = direction == Direction::forward; // or leaves, in the other program
    go_on_if_of(b, maps, flow(&Flow::direction), arrives, other_direction);

    // Who is told of a packet is who has sent it.
    if (arrives) jump_if_differs(b, ip(&Header::daddr), quote.ip(&Header::saddr), other);
    if (carrying) {
        const Label rewrite = b.label("translated");
        b.jump_if(flow(&Flow::carried) == u32{0}, rewrite);
        hand_over(b, *carrying, flow);
        b.bind(rewrite);
    }

    b.note("checksums of the quoted packet");
    auto sum = b.let<u64>("sum", flow(&Flow::port_delta));
    const Label summed = b.label("quoted L4 done"), udp = b.label("quoted UDP");
    if constexpr (F::header_sum)
        apply_delta(b, quote.ip(&Header::checksum), flow(&Flow::address_delta),
                    false); // cancels out in ICMP's
    else
        sum += flow(&Flow::address_delta);
    b.jump_if(quote.ip(F::protocol) == wire::protocol_udp, udp);
    {
        auto used = l4.distance_from(parser.packet, "used");
        used += u64{sizeof(Icmp) + sizeof(Header) + sizeof(QuotedTcp)};
        auto total = ip_length(b, ip);
        b.jump_if(used > total.value(), summed);
    }
    {
        auto [again, header, tcp] = l4.claim<Icmp, Header, QuotedTcp>(summed);
        change_quoted_sum(b, tcp(&QuotedTcp::checksum), flow, sum);
        b.jump(summed);
    }
    b.bind(udp);
    b.jump_if(quote.l4(&QuotedL4::udp_checksum) == be16{}, summed);
    change_quoted_sum(b, quote.l4(&QuotedL4::udp_checksum), flow, sum);
    b.bind(summed);

    b.note("who the error is for or from, then the quoted tuple");
    if (arrives && maps.nat_sources)
        readdress_both(b, frame, ip, flow, sum);
    else
        readdress_one(b, ip, quote, flow, sum, arrives);
    copy_address(quote.ip(&Header::saddr), flow(&Flow::daddr));
    copy_address(quote.ip(&Header::daddr), flow(&Flow::saddr));
    quote.l4(&QuotedL4::sport) = flow(&Flow::dport);
    quote.l4(&QuotedL4::dport) = flow(&Flow::sport);
    flow.release();
    fold_sum(b, sum);
    apply_sum(b, quote.icmp(&Icmp::checksum), sum);
    b.jump(translated);
}

template void translate_icmp_error(const Parser&, const Maps&, const Frame<V4>&, const View<wire::Ipv4>&,
                                   PacketPointer&, Direction, Label, Label, const Carrying*,
                                   std::optional<Label>);
template void translate_icmp_error(const Parser&, const Maps&, const Frame<V6>&, const View<wire::Ipv6>&,
                                   PacketPointer&, Direction, Label, Label, const Carrying*,
                                   std::optional<Label>);

} // namespace lb::datapath
