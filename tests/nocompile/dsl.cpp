// Mistakes with bytes, widths and types that the compiler refuses. Each is written rightly beside it.
#include "lb/asm/dsl.hpp"
#include "lb/base/wire.hpp"

using namespace lb;
using namespace lb::bpf;

namespace {

struct Key {
    be32 address{};
    be16 port{};
    u16 zero = 0;
};
struct Holes {
    u32 a = 0;
    u16 b = 0;
};
struct Row {
    u64 count = 0;
    u32 number = 0;
    be16 port{};
    u16 zero = 0;
};

#ifdef WRONG_PADDING_IN_KEY
const Map<Holes, Row> holes("holes", MapType::hash, 8);
#else
const Map<Key, Row> holes("holes", MapType::hash, 8);
#endif

[[maybe_unused]] void body(Dsl& b, XdpPacket& packet, const View<Row>& row, Label out)
{
    const auto [ethernet, ip, tcp] = packet.claim<wire::Ethernet, wire::Ipv4, wire::Tcp>(out);
    const auto key = b.stack<Key>("key");
    const auto number = b.local<u32>("number");
    auto wide = b.let<u64>("wide", 0);
    auto other = b.let<u64>("other", 1);
    auto narrow = b.let<u8>("narrow", u8{0});
    auto address = b.let<be32>("address", ip(&wire::Ipv4::daddr));
    auto with_sign = b.let<i64>("signed", -1);
    auto narrow_sign = b.let<i8>("narrow signed", i8{-1});

#ifdef WRONG_EXIT_WITHOUT_A_REASON
    b.exit();
#else
    Exits(b).leave(1, "dropped", 1);
#endif
#ifdef WRONG_HOST_ORDER_COMPARE
    b.jump_if(ethernet(&wire::Ethernet::type) == u16{0x0800}, out);
#else
    b.jump_if(ethernet(&wire::Ethernet::type) == be16{0x0800}, out);
#endif
#ifdef WRONG_MEMBER_OF_ANOTHER_HEADER
    b.jump_if(ip(&wire::Ethernet::type) == be16{0x0800}, out);
#else
    b.jump_if(ip(&wire::Ipv4::fragment) == be16{0x0800}, out);
#endif
#ifdef WRONG_WIDTH_OF_COPY
    key(&Key::address) = tcp(&wire::Tcp::dport);
#else
    key(&Key::port) = tcp(&wire::Tcp::dport);
#endif
#ifdef WRONG_HOST_ORDER_STORE
    key(&Key::port) = u16{80};
#else
    key(&Key::port) = be16{80};
#endif
#ifdef WRONG_NETWORK_ORDER_STORE
    key(&Key::zero) = be16{80};
#else
    key(&Key::zero) = u16{80};
#endif
#ifdef WRONG_KEY_OF_ANOTHER_MAP
    b.remove(holes, number);
#else
    b.remove(holes, key);
#endif
#ifdef WRONG_VALUE_OF_ANOTHER_MAP
    b.update(holes, key, key, UpdateFlag::any);
#else
    b.update(holes, key, b.stack<Row>("row"), UpdateFlag::any);
#endif
#ifdef WRONG_ARITHMETIC_IN_NETWORK_ORDER
    address += be32{1};
#else
    address &= be32{1};
#endif
#ifdef WRONG_ORDER_OF_NETWORK_ORDER
    b.jump_if(address > be32{1}, out);
#else
    b.jump_if(address != be32{1}, out);
#endif
#ifdef WRONG_ARITHMETIC_OF_EIGHT_BITS
    narrow += u8{1};
#else
    narrow |= u8{1};
#endif
#ifdef WRONG_COPY_WITHOUT_A_LINE
    wide = other;
#else
    wide = other.value();
#endif
#ifdef WRONG_NARROWING
    narrow = Operand<u8>(wide);
#else
    wide = Operand<u64>(narrow);
#endif
#ifdef WRONG_NARROWING_AT_THE_BEGINNING
    b.let<u16>("port", wide);
#else
    b.let<u64>("port", narrow);
#endif
#ifdef WRONG_NARROWING_STORE
    key(&Key::zero) = wide;
#else
    row(&Row::count) = wide;
#endif
#ifdef WRONG_SIGN_LOST_IN_WIDENING
    wide += narrow_sign;
#else
    wide += narrow;
#endif
#ifdef WRONG_ORDER_OF_NARROW_SIGNED
    b.jump_if(narrow_sign < i8{0}, out);
#else
    b.jump_if(narrow_sign == i8{0}, out);
#endif
#ifdef WRONG_SHIFT_OF_NARROW_SIGNED
    narrow_sign >>= 1;
#else
    with_sign >>= 1;
#endif
#ifdef WRONG_SHIFT_LEFT_OF_EIGHT_BITS
    narrow <<= 1;
#else
    narrow >>= 1;
#endif
#ifdef WRONG_SHIFT_OF_NETWORK_ORDER
    address >>= be32{1};
#else
    address ^= be32{1};
#endif
#ifdef WRONG_MASK_OF_ANOTHER_ORDER
    b.jump_if(ip(&wire::Ipv4::fragment).has(u16{0x3fff}), out);
#else
    b.jump_if(ip(&wire::Ipv4::fragment).has(be16{0x3fff}), out);
#endif
#ifdef WRONG_CONVERSION_OF_HOST_ORDER
    b.let_host("number", row(&Row::number));
#else
    b.let_host("port", row(&Row::port));
#endif
#ifdef WRONG_CONVERSION_OF_NETWORK_ORDER
    b.to_network16(std::move(address));
#else
    b.to_network16(std::move(narrow));
#endif
#ifdef WRONG_NUMBER_AS_KEY
    b.lookup(holes, u32{7}, out);
#else
    b.lookup(holes, key, out);
#endif
#ifdef WRONG_SECOND_OWNER
    [[maybe_unused]] const auto second = other;
#else
    [[maybe_unused]] const auto second = std::move(other);
#endif
#ifdef WRONG_SIGNED_DIVISION
    with_sign /= 2;
#else
    wide /= 2;
#endif
#ifdef WRONG_NETWORK_ORDER_AS_NUMBER
    wide = ip(&wire::Ipv4::daddr);
#else
    wide = row(&Row::number);
#endif
#ifdef WRONG_ATOMIC_ON_NETWORK_ORDER
    row(&Row::port).atomic_add(be16{1});
#else
    row(&Row::count).atomic_add(1);
#endif
#ifdef WRONG_HEADER_WITHOUT_A_CLAIM
    const View<wire::Udp> udp = packet.data();
#else
    const View<wire::Udp> udp = packet.claim_at<wire::Udp>(34, out);
#endif
#ifdef WRONG_LOOKUP_WITHOUT_A_WAY_OUT
    const auto found = b.lookup(holes, key);
#else
    const auto found = b.lookup(holes, key, out);
#endif
#ifdef WRONG_PROGRAM_THROWN_AWAY
    b.finish();
#else
    (void)b.finish();
#endif
}

} // namespace

#ifdef WRONG_DESCRIPTION_LEAVES_BYTES_OUT
template <>
inline constexpr auto lb::bpf::fields<Key> = lb::bpf::describe<Key>("key", member("port", &Key::port));
#else
template <>
inline constexpr auto lb::bpf::fields<Key> = lb::bpf::describe<Key>("key", member("address", &Key::address),
                                                                    member("port", &Key::port),
                                                                    member("zero", &Key::zero));
#endif
