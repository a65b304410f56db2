// What an IPv4 header says and an IPv6 header does not: it has to be looked at before it is gone.
#include "datapath/checksum.hpp"
#include "datapath/siit.hpp"

namespace lb::datapath {

using namespace bpf;
using model::Reason;
using wire::Ipv4;

namespace {

constexpr u32 option_words_max = 10;

// A header that was damaged on its way would be a good one afterwards.
void check_header_sum(const Siit& in, const View<Ipv4>& ip, Label odd)
{
    struct Word {
        be32 value{};
    };
    Dsl& b = in.b;
    b.note("is the header as it was sent?");
    const Label summed = b.label("header summed");
    const auto all = b.local<u64>("sum");
    {
        auto sum = b.let<u64>("sum", 0);
        for (i32 at = 0; at < static_cast<i32>(sizeof(Ipv4)); at += static_cast<i32>(sizeof(be32))) {
            const View<Word> part(b, ip.base(), ip.offset() + at);
            sum += b.let_bits<u64>("word", part(&Word::value)).value();
        }
        all() = sum;
    }
    // Options from the last word on. Their places are unknown to the verifier in this way, so that it does
    // not follow each length of them on its own.
    auto at = in.packet.fork("option", sizeof(Ipv4));
    for (u32 word = 1; word <= option_words_max; ++word) {
        {
            auto place = b.let<u64>("place", ip(&Ipv4::version_ihl));
            place &= 0x0f;
            place <<= 2;
            b.jump_if(place < u64{sizeof(Ipv4) + word * sizeof(be32)}, summed);
            place -= u64{word * sizeof(be32)};
            at.move_to(in.packet);
            at.advance(place);
        }
        const auto [option] = at.claim<Word>(odd);
        all().add(b.let_bits<u64>("word", option(&Word::value)));
    }
    b.bind(summed);
    auto sum = b.let<u64>("sum", all());
    fold_sum(b, sum);
    b.jump_if(sum != 0xffff, odd);
}

// Options are not translated (RFC 7915, 4.1), but for one that says where the packet has to go before: that
// would get lost.
void refuse_source_route(const Siit& in, const View<Ipv4>& ip, Label odd)
{
    constexpr u8 end = 0, nop = 1, loose_route = 131, strict_route = 137; // RFC 791
    constexpr u32 options_max = 41;                                       // of one byte each, and the end
    struct Option {
        u8 type = 0, length = 0;
    };
    struct Type {
        u8 value = 0;
    };
    Dsl& b = in.b;
    const Label none = b.label("no source route"), refused = in.ways.to(Reason::siit_source_route);
    b.jump_if(ip(&Ipv4::version_ihl) == wire::ipv4_version_ihl, none);
    b.note("does an option say the way?");
    auto at = in.packet.fork("option", sizeof(Ipv4));
    for (u32 i = 0; i < options_max; ++i) {
        const Label next = b.label("next option"), one_byte = b.label("an option of one byte");
        {
            auto length = b.let<u64>("header length", ip(&Ipv4::version_ihl));
            length &= 0x0f;
            length <<= 2;
            auto seen = at.distance_from(in.packet, "seen");
            b.jump_if(seen >= length.value(), none);
            seen &= 0x3f;          // as it is; older verifiers want to be told
            at.move_to(in.packet); // made anew: one case to the verifier, whichever options were before
            at.advance(seen);
        }
        const auto [first] = at.claim<Type>(odd);
        auto type = b.let<u8>("type", first(&Type::value));
        b.jump_if(type == end, none);
        b.jump_if(type == nop, one_byte);
        b.jump_if(type == loose_route, refused);
        b.jump_if(type == strict_route, refused);
        const auto [option] = at.claim<Option>(odd);
        auto length = b.let<u64>("option length", option(&Option::length));
        b.jump_if(length < u64{2}, odd);
        b.jump_if(length > u64{40}, odd);
        at.advance(length);
        b.jump(next);
        b.bind(one_byte);
        at.advance(1);
        b.bind(next);
    }
    b.jump(refused);
    b.bind(none);
}
} // namespace

void check_ipv4_header(const Siit& in, const View<Ipv4>& ip)
{
    const Label odd = in.ways.to(Reason::bad_header);
    check_header_sum(in, ip, odd);
    refuse_source_route(in, ip, odd);
}

} // namespace lb::datapath
