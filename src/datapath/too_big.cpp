#include "datapath/too_big.hpp"

#include "datapath/block.hpp"
#include "datapath/carrier.hpp"
#include "datapath/checksum.hpp"

namespace lb::datapath {

using namespace bpf;
using model::Reason;
using wire::Ethernet;
using wire::Ipv4;
using wire::Ipv6;

namespace {

/// RFC 1191 and RFC 4443, 3.2: what fits is in the last two bytes of either.
struct TooBig {
    u8 type = 0, code = 0;
    be16 checksum{};
    be16 zero{}, mtu{};
};
static_assert(sizeof(TooBig) == sizeof(wire::Icmp));

constexpr u8 answer_ttl = 64;
constexpr u8 internetwork_control = 0xc0; // RFC 1812, 4.3.2.5: the precedence of errors

/// How many bytes of the packet are quoted, and what may be summed in one call of the helper (a kernel's
/// limit before 6.13). IPv4: of 576 that everybody takes (RFC 1812, 4.3.2.3), what one call sums; IPv6: up to
/// the least MTU (RFC 4443, 2.4 c).
constexpr u32 summed_max = 512;
constexpr u32 quoted4 = summed_max - sizeof(TooBig);
constexpr u32 quoted6 = least_mtu6 - sizeof(Ipv6) - sizeof(TooBig);

template <class F> struct Answer;
template <> struct Answer<V4> {
    using Header = Ipv4;
    static constexpr u32 quoted = quoted4;
    static constexpr u8 type = 3, code = 4; // RFC 792: fragmentation needed
};
template <> struct Answer<V6> {
    using Header = Ipv6;
    static constexpr u32 quoted = quoted6;
    static constexpr u8 type = 2, code = 0; // RFC 4443: packet too big
};
template <class F> inline constexpr u32 head_bytes = sizeof(typename F::Header) + sizeof(TooBig);

// Errors are not sent about errors, nor about later fragments (RFC 1122, 3.2.2; RFC 4443, 2.4 e).
void leave_unless_told(const TooBigAnswer& c, const View<Ipv4>& ip)
{
    Dsl& b = c.b;
    b.jump_if(ip(&Ipv4::fragment).has(wire::ipv4_fragment_offset), c.ways.to(Reason::too_big_unsaid));
    b.jump_if(ip(&Ipv4::protocol) == wire::protocol_icmp, c.ways.to(Reason::too_big_unsaid));
}
void leave_unless_told(const TooBigAnswer& c, const View<Ipv6>& ip)
{
    c.b.jump_if(ip(&Ipv6::next_header) == wire::protocol_icmpv6, c.ways.to(Reason::too_big_unsaid));
}

// Errors have a limit (RFC 4443, 2.4 f; RFC 1812, 4.3.2.8), or a flood would be answered by one.
void limit_answers(const TooBigAnswer& c)
{
    using model::AnswersRow;
    Dsl& b = c.b;
    const Builder::StackScope scope(b);
    b.note("how many have been told of late?");
    const Label unsaid = c.ways.to(Reason::too_big_unsaid), same = b.label("the same window");
    auto window = b.call<u64>(Helper::ktime_get_coarse_ns, {}, "window");
    window >>= 30;
    c.length().store(window.reg());
    window.release();
    const auto index = b.local<u32>("row");
    index() = 0;
    auto row = b.lookup_brief(*c.maps.answers, index, unsaid);
    {
        auto now = b.let<u64>("window", c.length());
        b.jump_if(now == row(&AnswersRow::window), same);
        row(&AnswersRow::window) = now;
    }
    row(&AnswersRow::count) = 0;
    b.bind(same);
    b.jump_if(row(&AnswersRow::count) >= model::answers_max, unsaid);
    row(&AnswersRow::count).add(1);
}

// Leaves of the packet what is quoted, and makes room for the headers in front of it.
template <class F> void make_room(const TooBigAnswer& c)
{
    Dsl& b = c.b;
    constexpr u64 kept = sizeof(Ethernet) + Answer<F>::quoted;
    {
        auto packet = packet_anew(b, c.context);
        leave_unless_told(c, packet.claim_at<typename F::Header>(sizeof(Ethernet), c.failed));
        if (!c.frags) c.length() = packet.length("length");
    }
    if (c.frags) {
        auto ctx = b.let<u64>("ctx", c.context());
        auto length = b.call<u64>(Helper::xdp_get_buff_len, {std::move(ctx)}, "length");
        c.length() = length;
    }
    {
        auto change = b.let<u64>("change", kept);
        auto length = b.let<u64>("length", c.length());
        b.jump_if(length < kept,
                  c.ways.to(Reason::too_big_unsaid)); // a way narrower than any that is allowed
        change -= length.value();
        length.release();
        auto ctx = b.let<u64>("ctx", c.context());
        auto result = b.call<i64>(Helper::xdp_adjust_tail, {std::move(ctx), std::move(change)}, "result");
        b.jump_if(result != 0, c.failed);
    }
    auto ctx = b.let<u64>("ctx", c.context());
    auto result = b.call<i64>(Helper::xdp_adjust_head, {std::move(ctx), -i64{head_bytes<F>}}, "result");
    b.jump_if(result != 0, c.failed);
}

void write_header(Dsl& b, const View<Ipv4>& ip, const View<Ipv4>& quoted)
{
    ip(&Ipv4::version_ihl) = wire::ipv4_version_ihl;
    ip(&Ipv4::tos) = internetwork_control;
    ip(&Ipv4::total_length) = be16(static_cast<u16>(head_bytes<V4> + quoted4));
    ip(&Ipv4::id) = be16{0};
    ip(&Ipv4::fragment) = be16{0};
    ip(&Ipv4::ttl) = answer_ttl;
    ip(&Ipv4::protocol) = wire::protocol_icmp;
    ip(&Ipv4::saddr) = quoted(&Ipv4::daddr);
    ip(&Ipv4::daddr) = quoted(&Ipv4::saddr);
    write_header_sum(b, ip);
}
void write_header(Dsl&, const View<Ipv6>& ip, const View<Ipv6>& quoted)
{
    ip(&Ipv6::version_class_label) = wire::ipv6_version;
    ip(&Ipv6::payload_length) = be16(static_cast<u16>(sizeof(TooBig) + quoted6));
    ip(&Ipv6::next_header) = wire::protocol_icmpv6;
    ip(&Ipv6::hop_limit) = answer_ttl;
    copy_address(ip(&Ipv6::saddr), quoted(&Ipv6::daddr));
    copy_address(ip(&Ipv6::daddr), quoted(&Ipv6::saddr));
}

// The sum of the next bytes of the packet on top of another.
template <class S> Var<u64> sum_on(Dsl& b, const View<S>& bytes, Var<u64>&& seed)
{
    return b.call<u64>(Helper::csum_diff, {0, 0, bytes, u32{sizeof(S)}, std::move(seed)}, "sum");
}

void finish_sum(Dsl& b, const View<TooBig>& icmp, Var<u64>& sum)
{
    fold_sum(b, sum);
    sum ^= 0xffff;
    icmp(&TooBig::checksum).store(sum.reg());
}

void write_sum(const TooBigAnswer& c, XdpPacket& packet, const View<Ipv4>&, const View<TooBig>& icmp)
{
    constexpr u32 at = sizeof(Ethernet) + sizeof(Ipv4);
    const auto message = packet.claim_at<Block<summed_max>>(at, c.failed);
    auto sum = sum_on(c.b, message, c.b.let<u64>("seed", 0));
    finish_sum(c.b, icmp, sum);
}

// RFC 4443, 2.3: the pseudo-header as well.
void write_sum(const TooBigAnswer& c, XdpPacket& packet, const View<Ipv6>& ip, const View<TooBig>& icmp)
{
    constexpr u32 at = sizeof(Ethernet) + sizeof(Ipv6);
    constexpr u32 message = sizeof(TooBig) + quoted6, rest = message - 2 * summed_max;
    constexpr u64 pseudo_header =
        u64{be16(static_cast<u16>(message)).raw} + be16(u16{wire::protocol_icmpv6}).raw;
    const auto last = packet.claim_at<Block<rest>>(at + 2 * summed_max, c.failed);
    const View<Block<summed_max>> first(c.b, last.base(), at), second(c.b, last.base(), at + summed_max);
    const View<Block<2 * sizeof(wire::Address6)>> addresses(c.b, ip.base(), ip(&Ipv6::saddr).offset());
    auto sum = sum_on(c.b, addresses, c.b.let<u64>("seed", pseudo_header));
    auto more = sum_on(c.b, first, std::move(sum));
    auto most = sum_on(c.b, second, std::move(more));
    auto all = sum_on(c.b, last, std::move(most));
    finish_sum(c.b, icmp, all);
}

} // namespace

template <class F> void answer_too_big(const TooBigAnswer& c)
{
    using Header = typename F::Header;
    Dsl& b = c.b;
    b.note("tell the sender what fits");
    limit_answers(c);
    make_room<F>(c);
    auto packet = packet_anew(b, c.context);
    const auto quoted = packet.claim_at<Header>(sizeof(Ethernet) + head_bytes<F>, c.failed);
    const View<EthernetMacs> before(b, packet.data(), static_cast<i32>(head_bytes<F>));
    const auto [ethernet, ip, icmp] = packet.claim<EthernetMacs, Header, TooBig>(c.failed);
    b.if_(c.sent() != i64{0}, [&] {
         ethernet(&EthernetMacs::destination).copy_from(before(&EthernetMacs::source));
         ethernet(&EthernetMacs::source).copy_from(before(&EthernetMacs::destination));
     }).else_([&] {
        ethernet(&EthernetMacs::destination).copy_from(before(&EthernetMacs::destination));
        ethernet(&EthernetMacs::source).copy_from(before(&EthernetMacs::source));
    });
    ethernet(&EthernetMacs::type) = before(&EthernetMacs::type);
    write_header(b, ip, quoted);
    icmp(&TooBig::type) = Answer<F>::type;
    icmp(&TooBig::code) = Answer<F>::code;
    icmp(&TooBig::checksum) = be16{0};
    icmp(&TooBig::zero) = be16{0};
    icmp(&TooBig::mtu) = b.to_network16(b.let<u64>("mtu", c.mtu()));
    write_sum(c, packet, ip, icmp);
    b.jump_if(c.sent() != i64{0}, c.ways.to(Reason::too_big_sent));
    b.jump(c.ways.to(Reason::too_big));
}

template void answer_too_big<V4>(const TooBigAnswer&);
template void answer_too_big<V6>(const TooBigAnswer&);

void ask_way_back(const TooBigAnswer& c)
{
    if (!c.maps.devices) {
        c.sent() = 0;
        return;
    }
    Dsl& b = c.b;
    auto ctx = b.let<u64>("ctx", c.context());
    const View<XdpMd> md(b, ctx.reg(), 0);
    Var<u32> ifindex(b, b.take(r2, "arrived by")); // where the call wants it
    ifindex = md(&XdpMd::ingress_ifindex);
    ctx.release();
    auto verdict =
        b.call<u64>(Helper::redirect_map, {*c.maps.devices, std::move(ifindex), u32{0}}, "verdict");
    c.sent().store(verdict.reg()); // 0 (aborted): the interface is not there
}

void emit_too_large(Dsl& b, const Maps& maps, Ways& ways, const StackVar<u64>& context, bool frags,
                    const TooLarge& too_large, bool ipv4, bool ipv6, Reason failed)
{
    const Builder::StackScope scope(b);
    const TooBigAnswer answer{.b = b,
                              .maps = maps,
                              .ways = ways,
                              .context = context,
                              .frags = frags,
                              .mtu = too_large.mtu,
                              .length = b.local<u64>("length"),
                              .sent = b.local<i64>("sent"),
                              .failed = ways.to(failed)};
    if (ipv4) {
        b.note("too large for the way, IPv4");
        b.bind(too_large.four);
        ask_way_back(answer);
        answer_too_big<V4>(answer);
    }
    if (ipv6) {
        b.note("too large for the way, IPv6");
        b.bind(too_large.six);
        ask_way_back(answer);
        answer_too_big<V6>(answer);
    }
}

void emit_too_big(const Carrier& c, bool ipv4, bool ipv6)
{
    Dsl& b = c.b;
    const TooBigAnswer answer{.b = b,
                              .maps = c.maps,
                              .ways = c.ways,
                              .context = c.context,
                              .frags = c.frags,
                              .mtu = c.overhead,
                              .length = c.length,
                              .sent = c.result,
                              .failed = c.failed};
    b.note("too big for the way");
    b.bind(c.too_big);
    {
        auto mtu = b.let<u64>("mtu", c.fib4(&FibLookup4::total_length));
        mtu -= c.overhead();
        c.overhead() = mtu; // what is left for the client
    }
    ask_way_back(answer);
    const Label six = b.label("too big, IPv6");
    if (ipv4 && ipv6) b.jump_if(c.inner6() != u64{0}, six);
    if (ipv4) answer_too_big<V4>(answer);
    b.bind(six);
    if (ipv6) {
        {
            auto mtu = b.let<u64>("mtu", answer.mtu());
            b.if_(mtu < least_mtu6, [&] { mtu = least_mtu6; }); // a sender takes no less (RFC 8201, 4)
            answer.mtu() = mtu;
        }
        answer_too_big<V6>(answer);
    }
}

} // namespace lb::datapath
