#include "datapath/fragment.hpp"

#include "datapath/checksum.hpp"

namespace lb::datapath {

using namespace bpf;

namespace {

template <class F>
void store_id(Dsl& b, const StackView<typename F::FragmentKey>& key, const Frame<F>& frame,
              const View<typename F::Header>& ip)
{
    if constexpr (F::header_sum) {
        key(&F::FragmentKey::id).store_bits(ip(&wire::Ipv4::id));
    } else {
        auto id = b.let<u64>("identification", frame.fragment());
        key(&F::FragmentKey::id).store(id.reg());
    }
}

template <class F>
StackView<typename F::FragmentKey>
fragment_key(Dsl& b, const Frame<F>& frame, const View<typename F::Header>& ip, model::Direction direction)
{
    using Key = typename F::FragmentKey;
    auto key = b.stack<Key>("fragment key");
    copy_address(key(&Key::saddr), frame.key(&F::Key::saddr));
    copy_address(key(&Key::daddr), frame.key(&F::Key::daddr));
    store_id(b, key, frame, ip);
    // RFC 791 tells datagrams apart by the protocol, too; RFC 8200, 4.5, does not: extension headers may
    // follow.
    if constexpr (F::header_sum)
        key(&Key::protocol) = frame.key(&F::Key::protocol);
    else
        key(&Key::protocol) = u8{0};
    key(&Key::direction) = direction;
    key(&Key::zero16) = u16{0};
    return key;
}

// Goes on where the packet is a first fragment.
template <class F>
void skip_unless_first(Dsl& b, const Frame<F>& frame, const View<typename F::Header>& ip, Label whole)
{
    if constexpr (F::header_sum)
        b.jump_unless(ip(&wire::Ipv4::fragment).has(wire::ipv4_more_fragments_or_offset), whole);
    else
        b.jump_if(frame.fragment() == u64{0}, whole);
}

} // namespace

template <class F>
void remember_fragment(Dsl& b, const Maps& maps, const Frame<F>& frame, const View<typename F::Header>& ip,
                       const View<typename F::Flow>& flow, model::Direction direction)
{
    using Row = typename F::Fragment;
    b.note("is it the first of several fragments?");
    const Builder::StackScope scope(b);
    const Label whole = b.label("whole");
    skip_unless_first(b, frame, ip, whole);
    const auto key = fragment_key(b, frame, ip, direction);
    const auto row = b.stack<Row>("fragment");
    copy_address(row(&Row::saddr), flow(&F::Flow::saddr));
    copy_address(row(&Row::daddr), flow(&F::Flow::daddr));
    row(&Row::address_delta) = flow(&F::Flow::address_delta);
    row(&Row::sport) = be16{0};
    row(&Row::carrier) = u32{0};
    if (!F::across && maps.carriers) {
        b.if_(flow(&F::Flow::carried) != u32{0}, [&] {
            row(&Row::sport) = flow(&F::Flow::sport);
            auto carrier = b.let<u32>("carrier", flow(&F::Flow::target));
            carrier += 1;
            row(&Row::carrier) = carrier;
        });
    }
    {
        auto now = b.call<u64>(Helper::ktime_get_ns, {}, "now");
        row(&Row::seen) = now;
    }
    b.update(F::fragments(maps), key, row, UpdateFlag::any).release(); // without it, the others pass
    b.bind(whole);
}

template <class F>
View<typename F::Fragment> recall_fragment(const Parser& parser, const Maps& maps, const Frame<F>& frame,
                                           const View<typename F::Header>& ip, const PacketPointer& l4,
                                           model::Direction direction, Label early)
{
    using Row = typename F::Fragment;
    Dsl& b = parser.b;
    b.note("a later fragment goes where its first one went");
    {
        auto used = l4.distance_from(parser.packet, "used");
        if constexpr (!F::header_sum) used += u64{sizeof(wire::Ipv6Fragment)};
        auto total = ip_length(b, ip);
        b.jump_if(used > total.value(), parser.leave(parser.reasons.bad_header));
    }
    check_whole(parser, ip, sizeof(typename F::Header));
    const Builder::StackScope scope(b);
    const auto key = fragment_key(b, frame, ip, direction);
    auto row = b.lookup(F::fragments(maps), key, early);
    {
        auto age = b.call<u64>(Helper::ktime_get_ns, {}, "now");
        age -= row(&Row::seen);
        b.jump_if(age > fragment_lifetime_ns, early);
    }
    return row;
}

template <class F>
void follow_fragment(const Parser& parser, const Maps& maps, const Frame<F>& frame,
                     const View<typename F::Header>& ip, const PacketPointer& l4, model::Direction direction,
                     Label translated, const Carrying* carrying, std::optional<Label> across)
{
    using Row = typename F::Fragment;
    Dsl& b = parser.b;
    const Label early = across ? *across : parser.leave(parser.reasons.fragment_early);
    const auto row = recall_fragment(parser, maps, frame, ip, l4, direction, early);
    if (carrying) {
        const Label rewrite = b.label("translated");
        auto target = b.let<u32>("target", row(&Row::carrier));
        b.jump_if(target == 0, rewrite);
        target -= 1;
        carrying->target() = target;
        carrying->sport() = row(&Row::sport);
        b.jump(carrying->send);
        b.bind(rewrite);
    }
    if constexpr (F::header_sum) apply_delta(b, ip(&F::Header::checksum), row(&Row::address_delta), false);
    const bool leaves = direction == model::Direction::reply;
    if (!leaves) copy_address(ip(&F::Header::daddr), row(&Row::daddr));
    if (leaves || maps.nat_sources) copy_address(ip(&F::Header::saddr), row(&Row::saddr));
    b.jump(translated);
}

#define LB_INSTANTIATE(F)                                                                                    \
    template void remember_fragment(Dsl&, const Maps&, const Frame<F>&, const View<F::Header>&,              \
                                    const View<F::Flow>&, model::Direction);                                 \
    template View<F::Fragment> recall_fragment(const Parser&, const Maps&, const Frame<F>&,                  \
                                               const View<F::Header>&, const PacketPointer&,                 \
                                               model::Direction, Label);
LB_INSTANTIATE(V4)
LB_INSTANTIATE(V6)
LB_INSTANTIATE(V4To6)
LB_INSTANTIATE(V6To4)
#undef LB_INSTANTIATE
template void follow_fragment(const Parser&, const Maps&, const Frame<V4>&, const View<wire::Ipv4>&,
                              const PacketPointer&, model::Direction, Label, const Carrying*,
                              std::optional<Label>);
template void follow_fragment(const Parser&, const Maps&, const Frame<V6>&, const View<wire::Ipv6>&,
                              const PacketPointer&, model::Direction, Label, const Carrying*,
                              std::optional<Label>);

} // namespace lb::datapath
