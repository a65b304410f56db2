// The new headers into the packet. Its start is moved so that they end where what stays of it begins,
// whatever length the old ones had; the Ethernet header, tags and all, goes along.
#include "datapath/siit.hpp"

#include "datapath/block.hpp"
#include "datapath/carrier.hpp"

namespace lb::datapath {

using namespace bpf;
using model::Reason;

namespace {

struct EthernetType {
    be16 value{};
};
/// Ethernet addresses and as many tags as there may be; without tags, what is behind is written afterwards.
using Link = Block<20>;

template <class S> void copy_block(Dsl& b, const View<S>& to, const View<S>& from)
{
    constexpr i32 size = sizeof(S), word = sizeof(u64);
    const auto copy = [&]<class T>(T, i32 at) {
        const View<T> source(b, from.base(), from.offset() + at), target(b, to.base(), to.offset() + at);
        target.value() = source.value();
    };
    i32 at = 0;
    for (; at + word <= size; at += word) copy(u64{}, at);
    if (at < size) copy(u32{}, at);
    static_assert(size % sizeof(u32) == 0);
}

template <class F> struct Writer {
    Dsl& b;
    const Rewriting<F>& to;
    const StackVar<u64>& context;
    const StackVar<u64>& l3_offset;
    const StackView<Link>& link;
    Label failed, done;

    void keep_link() const;
    void move_start(u32 bytes) const;
    template <u32 bytes> void write(Label label) const;
};

template <class F> void Writer<F>::keep_link() const
{
    auto packet = packet_anew(b, context);
    const auto [old] = packet.template claim<Link>(failed);
    copy_block<Link>(b, link, old);
}

// So that `bytes` of headers fit between the Ethernet header and what stays.
template <class F> void Writer<F>::move_start(u32 bytes) const
{
    auto by = b.let<u64>("by", to.cut());
    by -= u64{bytes};
    auto ctx = b.let<u64>("ctx", context());
    auto result = b.call<i64>(Helper::xdp_adjust_head, {std::move(ctx), std::move(by)}, "result");
    b.jump_if(result != 0, failed);
}

template <class F> template <u32 bytes> void Writer<F>::write(Label label) const
{
    using Headers = Block<bytes>;
    b.bind(label);
    keep_link();
    move_start(bytes);
    auto packet = packet_anew(b, context);
    {
        const auto [start] = packet.template claim<Link>(failed);
        copy_block<Link>(b, start, link);
    }
    {
        auto type_at = b.let<u64>("type at", l3_offset());
        type_at -= u64{sizeof(be16)};
        type_at &= 0x1f; // 12, 16 or 20, and an upper limit for the verifier
        packet.advance(type_at);
    }
    const auto [type, headers] = packet.template claim<EthernetType, Headers>(failed);
    type(&EthernetType::value) = F::header_sum ? wire::ethertype_ipv6 : wire::ethertype_ipv4;
    copy_block<Headers>(b, headers, View<Headers>(b, fp, to.headers.offset()));
    b.jump(done);
}

// Of connections' packets, those toward targets are counted in the target's row alone.
void leave(Dsl& b, const model::Plan& plan, Ways& ways, const StackVar<u32>& how)
{
    b.note("translated");
    const auto is = [&](Crossed which) { return how() == static_cast<u32>(which); };
    b.jump_if(is(Crossed::reply), ways.to(Reason::reply_translated));
    b.jump_if(is(Crossed::error), ways.to(Reason::icmp_forwarded));
    b.jump_if(is(Crossed::fragment), ways.to(Reason::fragment_forwarded));
    if (plan.lb_sends()) return b.jump(ways.to(Reason::forwarded));
    ways.leave(Reason::forwarded);
}

} // namespace

template <class F>
void write_crossed(Dsl& b, const model::Plan& plan, Ways& ways, const Rewriting<F>& to,
                   const StackVar<u64>& context, const StackVar<u64>& l3_offset)
{
    const Builder::StackScope scope(b);
    const auto link = b.stack<Link>("Ethernet header");
    const Writer<F> writer{.b = b,
                           .to = to,
                           .context = context,
                           .l3_offset = l3_offset,
                           .link = link,
                           .failed = ways.to(Reason::siit_failed),
                           .done = b.label("written")};
    using New = NewHeaders<F>;
    b.note(F::header_sum ? "write headers of IPv6" : "write headers of IPv4");
    writer.template write<sizeof(New::ip)>(to.plain);
    if constexpr (F::header_sum) {
        writer.template write<sizeof(NewFragment)>(to.fragment);
        writer.template write<sizeof(New) - sizeof(New::fragment)>(to.error);
        writer.template write<sizeof(New)>(to.error_fragment);
    } else {
        b.bind(to.error_fragment);
        writer.template write<sizeof(New)>(to.error);
    }
    b.bind(writer.done);
    leave(b, plan, ways, to.how);
}
template void write_crossed(Dsl&, const model::Plan&, Ways&, const Rewriting<V4To6>&, const StackVar<u64>&,
                            const StackVar<u64>&);
template void write_crossed(Dsl&, const model::Plan&, Ways&, const Rewriting<V6To4>&, const StackVar<u64>&,
                            const StackVar<u64>&);

} // namespace lb::datapath
