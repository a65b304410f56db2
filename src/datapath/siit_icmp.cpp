// ICMP errors about packets of connections between families (RFC 7915, 4.2 and 5.2): the error becomes one of
// the other version, with the packet that it quotes, whose header was of the error's version because lb has
// written it.
#include "datapath/block.hpp"
#include "datapath/flow.hpp"
#include "datapath/quote.hpp"
#include "datapath/siit.hpp"
#include "datapath/siit_words.hpp"

namespace lb::datapath {

using namespace bpf;
using model::Reason;
using wire::Ipv4;
using wire::Ipv6;
using wire::Ipv6Fragment;

namespace {

// The IP header that is quoted, with a fragment header behind it where lb's packet had become a fragment.
template <class F, bool fragmented> inline constexpr u32 quoted_bytes = sizeof(typename F::Header);
template <> inline constexpr u32 quoted_bytes<V6To4, true> = sizeof(Ipv6) + sizeof(Ipv6Fragment);
// And what it becomes.
template <class F, bool fragmented> inline constexpr u32 new_quoted_bytes = sizeof(Ipv4);
template <> inline constexpr u32 new_quoted_bytes<V4To6, false> = sizeof(Ipv6);
template <> inline constexpr u32 new_quoted_bytes<V4To6, true> = sizeof(Ipv6) + sizeof(Ipv6Fragment);

template <class F> struct Quote {
    View<IcmpError> icmp;
    View<typename F::Header> ip;
    View<QuotedL4> l4;
};

// The key of the packets that go the other way than the quoted one did.
template <class F>
void make_quoted_key(const StackView<typename F::Key>& key, const Quote<F>& quote, const Field<u8>& protocol)
{
    using Key = typename F::Key;
    copy_address(key(&Key::saddr), quote.ip(&F::Header::daddr));
    copy_address(key(&Key::daddr), quote.ip(&F::Header::saddr));
    key(&Key::sport) = quote.l4(&QuotedL4::dport);
    key(&Key::dport) = quote.l4(&QuotedL4::sport);
    key(&Key::protocol) = protocol;
    key(&Key::zero8) = u8{0};
    key(&Key::zero16) = u16{0};
}

/// One error at hand, about a packet that was a fragment or was none.
template <class F, bool fragmented> class ErrorStage {
public:
    ErrorStage(const Siit& in, const Frame<F>& frame, const View<typename F::Header>& ip, PacketPointer& l4,
               const Rewriting<F>& to)
        : in_(in),
          b_(in.b),
          frame_(frame),
          ip_(ip),
          l4_(l4),
          to_(to),
          other_(in.parser.leave(Reason::icmp_other))
    {}
    void emit();

private:
    using Header = typename F::Header;
    using Flow = typename F::Flow;
    using New = NewHeaders<F>;
    static constexpr u32 quoted = quoted_bytes<F, fragmented>, new_quoted = new_quoted_bytes<F, fragmented>;

    Quote<F> claim_quote() const;
    View<Ipv6Fragment> quoted_fragment(const Quote<F>& quote) const
    {
        return {b_, quote.ip.base(), quote.ip.offset() + i32{sizeof(Ipv6)}};
    }
    void measure() const;
    void find_key(const Quote<F>& quote) const;
    void change_quoted_l4(const Quote<F>& quote, const View<Flow>& flow, const StackVar<u64>& change) const;
    void write_ip(const Quote<F>& quote, const View<Flow>& flow) const;
    void write_quoted(const View<Ipv4>& ip, const Addresses& addresses) const;
    void write_quoted(const View<Ipv6>& ip, const Addresses& addresses) const;
    Var<u64> sum_of_headers(const Quote<F>& quote) const;
    void write_sum(const Quote<F>& quote, const StackVar<u64>& change) const;
    Var<u64> rest() const;

    const Siit& in_;
    Dsl& b_;
    const Frame<F>& frame_;
    const View<Header>& ip_;
    PacketPointer& l4_;
    const Rewriting<F>& to_;
    Label other_;
};

// What the packet has behind the quoted header.
template <class F, bool fragmented> Var<u64> ErrorStage<F, fragmented>::rest() const
{
    auto rest = ip_length(b_, ip_);
    rest -= to_.cut();
    return rest;
}

template <class F, bool fragmented> Quote<F> ErrorStage<F, fragmented>::claim_quote() const
{
    if constexpr (quoted == sizeof(Header)) {
        auto [icmp, ip, l4] = l4_.template claim<IcmpError, Header, QuotedL4>(other_);
        return {std::move(icmp), std::move(ip), std::move(l4)};
    } else {
        auto [icmp, ip, fragment, l4] = l4_.template claim<IcmpError, Header, Ipv6Fragment, QuotedL4>(other_);
        b_.jump_if(fragment(&Ipv6Fragment::offset).has(wire::ipv6_fragment_offset), other_);
        return {std::move(icmp), std::move(ip), std::move(l4)};
    }
}

// How far the quoted header reaches; what IP says to be in the packet must hold the quoted ports, too.
template <class F, bool fragmented> void ErrorStage<F, fragmented>::measure() const
{
    auto cut = l4_.distance_from(in_.packet, "cut");
    cut += u64{sizeof(IcmpError) + quoted};
    to_.cut() = cut;
    cut += u64{sizeof(QuotedL4)};
    const auto total = ip_length(b_, ip_);
    b_.jump_if(cut > total.value(), other_);
}

template <class F, bool fragmented> void ErrorStage<F, fragmented>::find_key(const Quote<F>& quote) const
{
    if constexpr (quoted == sizeof(Header))
        make_quoted_key(frame_.key, quote, quote.ip(F::protocol));
    else
        make_quoted_key(frame_.key, quote, quoted_fragment(quote)(&Ipv6Fragment::next_header));
}

template <class F, bool fragmented>
void ErrorStage<F, fragmented>::change_quoted_l4(const Quote<F>& quote, const View<Flow>& flow,
                                                 const StackVar<u64>& change) const
{
    b_.note("ports and checksum of the quoted packet");
    const Label summed = b_.label("quoted L4 done"), udp = b_.label("quoted UDP");
    auto sum = b_.let<u64>("sum", flow(&Flow::port_delta));
    b_.jump_if(frame_.key(&F::Key::protocol) == wire::protocol_udp, udp);
    {
        auto used = b_.let<u64>("used", to_.cut());
        used += u64{sizeof(QuotedTcp)};
        const auto total = ip_length(b_, ip_);
        b_.jump_if(used > total.value(), summed);
    }
    {
        const auto tcp = l4_.template claim_at<QuotedTcp>(sizeof(IcmpError) + quoted, summed);
        change_quoted_sum(b_, tcp(&QuotedTcp::checksum), flow, sum);
        b_.jump(summed);
    }
    b_.bind(udp);
    b_.jump_if(quote.l4(&QuotedL4::udp_checksum) == be16{}, summed);
    change_quoted_sum(b_, quote.l4(&QuotedL4::udp_checksum), flow, sum);
    b_.bind(summed);
    change() = sum;
    sum.release();
    quote.l4(&QuotedL4::sport) = flow(&Flow::dport);
    quote.l4(&QuotedL4::dport) = flow(&Flow::sport);
}

template <class F, bool fragmented>
void ErrorStage<F, fragmented>::write_quoted(const View<Ipv4>& ip, const Addresses& addresses) const
{
    const auto out = to_.headers(&New::quoted);
    auto payload = b_.let_host_as<u64>("payload", ip(&Ipv4::total_length));
    payload -= u64{sizeof(Ipv4)};
    if (fragmented) payload += u64{sizeof(Ipv6Fragment)};
    write_ipv6(b_, out, ip, std::move(payload), addresses);
    if (fragmented) {
        out(&tunnel::Ipv6::next_header) = wire::ipv6_fragment;
        write_fragment(b_, to_.headers(&New::fragment), ip);
    } else {
        out(&tunnel::Ipv6::next_header) = ip(&Ipv4::protocol);
    }
}

template <class F, bool fragmented>
void ErrorStage<F, fragmented>::write_quoted(const View<Ipv6>& ip, const Addresses& addresses) const
{
    const auto out = to_.headers(&New::quoted);
    auto total = ip_length(b_, ip);
    total -= u64{quoted - sizeof(Ipv4)};
    write_ipv4(b_, out, ip.as<tunnel::Ipv6>(), std::move(total), addresses);
    out(&Ipv4::protocol) = frame_.key(&F::Key::protocol);
    if (fragmented)
        write_ipv4_fragment(b_, out, {b_, ip.base(), ip.offset() + i32{sizeof(Ipv6)}});
    else
        write_ipv4_whole(b_, out, true);
    write_header_sum(b_, out);
}

// The error goes to whom the quoted packet is from, under the address that this one knows.
template <class F, bool fragmented>
void ErrorStage<F, fragmented>::write_ip(const Quote<F>& quote, const View<Flow>& flow) const
{
    b_.note("both headers of the other version");
    const Addresses there{flow(&Flow::saddr), flow(&Flow::daddr)},
        back{flow(&Flow::daddr), flow(&Flow::saddr)};
    write_quoted(quote.ip, back);
    const auto out = to_.headers(&New::ip);
    auto length = rest();
    if constexpr (F::header_sum) {
        length += u64{sizeof(IcmpError) + new_quoted};
        write_ipv6(b_, out, ip_, std::move(length), there);
        out(&tunnel::Ipv6::next_header) = wire::protocol_icmpv6;
    } else {
        length += u64{sizeof(Ipv4) + sizeof(IcmpError) + new_quoted};
        write_ipv4(b_, out, ip_.template as<tunnel::Ipv6>(), std::move(length), there);
        out(&Ipv4::protocol) = wire::protocol_icmp;
        write_ipv4_whole(b_, out, false);
        write_header_sum(b_, out);
    }
}

// From the sum that was there, off goes what the old headers are in it, and on come the new ones. ICMPv6's
// has the pseudo-header in it (RFC 4443, 2.3), ICMP's hasn't.
template <class F, bool fragmented>
Var<u64> ErrorStage<F, fragmented>::sum_of_headers(const Quote<F>& quote) const
{
    constexpr u32 addresses = 2 * sizeof(wire::Address6);
    constexpr u64 protocol = be16(u16{wire::protocol_icmpv6}).raw;
    constexpr u32 old_size = sizeof(IcmpError) + quoted,
                  new_size = sizeof(IcmpError) + new_quoted + (F::header_sum ? addresses : 0);
    const View<Block<old_size>> old(b_, quote.icmp.base(), quote.icmp.offset());
    const i32 new_at = F::header_sum ? i32{sizeof(Ipv6) - addresses} : i32{sizeof(Ipv4)};
    const View<Block<new_size>> now(b_, fp, to_.headers.offset() + new_at);
    auto length = rest();
    length += u64{sizeof(IcmpError) + (F::header_sum ? new_quoted : quoted)};
    if constexpr (F::header_sum) {
        Var<u64> seed(b_, b_.to_network16(std::move(length)).take());
        seed += protocol;
        return b_.call<u64>(Helper::csum_diff, {old, old_size, now, new_size, std::move(seed)}, "sum");
    } else {
        const auto pseudo = b_.local<u64>("pseudo-header's length");
        pseudo() = Var<u64>(b_, b_.to_network16(std::move(length)).take());
        const View<Block<addresses>> from(b_, ip_.base(), ip_.offset() + i32{sizeof(Ipv6) - addresses});
        auto seed = b_.call<u64>(Helper::csum_diff, {from, addresses, 0, 0, 0}, "seed");
        fold_sum(b_, seed);
        seed += u64{2 * 0xffff} - protocol;
        seed -= pseudo();
        return b_.call<u64>(Helper::csum_diff, {old, old_size, now, new_size, std::move(seed)}, "sum");
    }
}

template <class F, bool fragmented>
void ErrorStage<F, fragmented>::write_sum(const Quote<F>& quote, const StackVar<u64>& change) const
{
    b_.note("ICMP's checksum");
    auto sum = sum_of_headers(quote);
    fold_sum(b_, sum);
    sum += change();
    fold_sum(b_, sum);
    sum ^= 0xffff;
    to_.headers (&New::icmp)(&wire::Icmp::checksum).store(sum.reg());
}

template <class F, bool fragmented> void ErrorStage<F, fragmented>::emit()
{
    const Builder::StackScope scope(b_);
    const auto change = b_.local<u64>("change of the quoted L4");
    const auto quote = claim_quote();
    measure();
    find_key(quote);
    b_.note("the connection that the quoted packet is of");
    const auto flow = b_.lookup(F::flows(in_.maps), frame_.key, other_);
    if constexpr (!F::header_sum) b_.jump_if(flow(&Flow::carried) != model::carried_across, other_);
    jump_if_differs(b_, ip_(&Header::daddr), quote.ip(&Header::saddr), other_);
    b_.note("what it says, in the other version's words");
    const auto out = to_.headers(&New::icmp).template as<IcmpError>();
    if constexpr (F::header_sum)
        say_in_icmpv6(in_, quote.icmp, quote.ip, out);
    else
        say_in_icmpv4(in_, quote.icmp, quoted - new_quoted, out);
    change_quoted_l4(quote, flow, change);
    write_ip(quote, flow);
    write_sum(quote, change);
    to_.how() = static_cast<u32>(Crossed::error);
    b_.jump(fragmented ? to_.error_fragment : to_.error);
}

// Whether the quoted packet is a fragment; leaves where it has no ports, or others before them.
void look_at_quoted(const Siit& in, const View<Ipv4>& quoted, Label fragment, Label other)
{
    Dsl& b = in.b;
    b.jump_if(quoted(&Ipv4::version_ihl) != wire::ipv4_version_ihl, other);
    b.jump_if(quoted(&Ipv4::fragment).has(wire::ipv4_fragment_offset), other);
    b.jump_if(quoted(&Ipv4::fragment).has(wire::ipv4_more_fragments_or_offset), fragment);
}
void look_at_quoted(const Siit& in, const View<Ipv6>& quoted, Label fragment, Label other)
{
    Dsl& b = in.b;
    auto version = b.let<be32>("version", quoted(&Ipv6::version_class_label));
    version &= wire::ipv6_version_mask;
    b.jump_if(version != wire::ipv6_version, other);
    b.jump_if(quoted(&Ipv6::next_header) == wire::ipv6_fragment, fragment);
}

} // namespace

template <class F>
void cross_icmp_error(const Siit& in, const Frame<F>& frame, const View<typename F::Header>& ip,
                      PacketPointer& l4, const Rewriting<F>& to)
{
    Dsl& b = in.b;
    b.note("ICMP: an error about one of our packets?");
    const Label other = in.parser.leave(Reason::icmp_other), fragment = b.label("a quoted fragment");
    check_whole(in.parser, ip, sizeof(typename F::Header) + sizeof(IcmpError));
    if constexpr (F::header_sum)
        b.jump_if(ip(&Ipv4::fragment).has(wire::ipv4_more_fragments_or_offset), other);
    else
        b.jump_if(frame.fragment() != u64{0}, other);
    {
        const auto [icmp, quoted] = l4.claim<IcmpError, typename F::Header>(other);
        look_at_quoted(in, quoted, fragment, other);
    }
    ErrorStage<F, false>(in, frame, ip, l4, to).emit();
    b.bind(fragment);
    ErrorStage<F, true>(in, frame, ip, l4, to).emit();
}
template void cross_icmp_error(const Siit&, const Frame<V4To6>&, const View<Ipv4>&, PacketPointer&,
                               const Rewriting<V4To6>&);
template void cross_icmp_error(const Siit&, const Frame<V6To4>&, const View<Ipv6>&, PacketPointer&,
                               const Rewriting<V6To4>&);

} // namespace lb::datapath
