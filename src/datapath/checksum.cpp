#include "datapath/checksum.hpp"

namespace lb::datapath {

using namespace bpf;

namespace {

// sum = (sum & 0xffff) + (sum >> 16)
void fold_once(Dsl& b, Var<u64>& sum)
{
    auto high = b.let<u64>("high", sum);
    high >>= 16;
    sum &= 0xffff;
    sum += high;
}

} // namespace

void fold_sum(Dsl& b, Var<u64>& sum)
{
    for (int fold = 0; fold < 3; ++fold) fold_once(b, sum); // 36 bits -> 20 or 21 -> 17 -> 16
}

void add_change_of_word(Dsl& b, Var<u64>& sum, const Field<be64>& from, const Field<be64>& to, Loc loc)
{
    for (const bool old : {true, false}) {
        auto word = b.let_bits<u64>("word", old ? from : to, loc);
        if (old) word ^= ~u64{0};
        auto half = b.let<u64>("half", word, loc);
        half >>= 32;
        sum += half.value(loc);
        half = word.value(loc);
        half <<= 32;
        half >>= 32;
        sum += half.value(loc);
    }
}

void apply_delta(Dsl& b, const Field<be16>& check, const Field<u16>& delta, bool zero_is_none)
{
    const Label done = b.label("no checksum");
    auto sum = b.let_bits<u64>("sum", check);
    if (zero_is_none) b.jump_if(sum == 0, done); // RFC 768: the sender made none
    sum ^= 0xffff;
    sum += delta;
    fold_once(b, sum); // two 16-bit numbers need one fold
    sum ^= 0xffff;
    if (zero_is_none) {
        b.if_(sum == 0, [&] { sum = 0xffff; });
    }
    check.store(sum.reg());
    b.bind(done);
}

void write_header_sum(Dsl& b, const View<wire::Ipv4>& ip)
{
    ip(&wire::Ipv4::checksum) = be16{0};
    auto sum = b.let<u64>("sum", 0);
    for (i32 at = 0; at < static_cast<i32>(sizeof(wire::Ipv4)); at += static_cast<i32>(sizeof(be32))) {
        const View<be32> word(b, ip.base(), ip.offset() + at);
        sum += b.let_bits<u64>("word", word.value()).value();
    }
    fold_sum(b, sum);
    sum ^= 0xffff;
    ip(&wire::Ipv4::checksum).store(sum.reg());
}

void apply_sum(Dsl& b, const Field<be16>& check, const Var<u64>& sum)
{
    auto all = b.let_bits<u64>("sum", check);
    all ^= 0xffff;
    all += sum.value();
    fold_once(b, all);
    all ^= 0xffff;
    check.store(all.reg());
}

} // namespace lb::datapath
