#include "datapath/siit_header.hpp"

#include "datapath/checksum.hpp"
#include "datapath/traffic_class.hpp"

namespace lb::datapath {

using namespace bpf;
using wire::Ipv4;
using wire::Ipv6Fragment;

namespace {

// Ipv6Fragment, with the identification in halves.
struct HalvedFragment {
    u8 next_header = 0, reserved = 0;
    be16 offset{};
    be16 id_high{}, id_low{};
};

constexpr u64 more_fragments_bit = 13; // of IPv4's field; the lowest one of IPv6's

} // namespace

void write_ipv6(Dsl& b, const View<tunnel::Ipv6>& out, const View<Ipv4>& ip, Var<u64>&& payload,
                const Addresses& addresses)
{
    out(&tunnel::Ipv6::payload_length) = b.to_network16(std::move(payload));
    write_traffic_class(b, out, ip(&Ipv4::tos));
    out(&tunnel::Ipv6::label) = be16{0};
    out(&tunnel::Ipv6::hop_limit) = ip(&Ipv4::ttl);
    const auto plain = out.as<wire::Ipv6>();
    copy_address(plain(&wire::Ipv6::saddr), addresses.saddr);
    copy_address(plain(&wire::Ipv6::daddr), addresses.daddr);
}

void write_fragment(Dsl& b, const View<Ipv6Fragment>& out, const View<Ipv4>& ip)
{
    out(&Ipv6Fragment::next_header) = ip(&Ipv4::protocol);
    out(&Ipv6Fragment::reserved) = u8{0};
    {
        auto field = b.let_host_as<u64>("fragment", ip(&Ipv4::fragment));
        auto more = b.let<u64>("more fragments", field);
        more >>= more_fragments_bit;
        more &= 1;
        field <<= 3;
        field |= more.value();
        more.release();
        out(&Ipv6Fragment::offset) = b.to_network16(std::move(field));
    }
    const auto halves = out.as<HalvedFragment>();
    halves(&HalvedFragment::id_high) = be16{0};
    halves(&HalvedFragment::id_low) = ip(&Ipv4::id);
}

void write_ipv4(Dsl& b, const View<Ipv4>& out, const View<tunnel::Ipv6>& ip, Var<u64>&& total,
                const Addresses& addresses)
{
    out(&Ipv4::total_length) = b.to_network16(std::move(total));
    out(&Ipv4::version_ihl) = wire::ipv4_version_ihl;
    read_traffic_class(b, out(&Ipv4::tos), ip);
    out(&Ipv4::ttl) = ip(&tunnel::Ipv6::hop_limit);
    copy_address(out(&Ipv4::saddr), addresses.saddr);
    copy_address(out(&Ipv4::daddr), addresses.daddr);
}

void write_ipv4_fragment(Dsl& b, const View<Ipv4>& out, const View<Ipv6Fragment>& fragment)
{
    out(&Ipv4::id) = fragment.as<HalvedFragment>()(&HalvedFragment::id_low);
    auto field = b.let_host_as<u64>("offset", fragment(&Ipv6Fragment::offset));
    auto more = b.let<u64>("more fragments", field);
    more &= 1;
    more <<= more_fragments_bit;
    field >>= 3;
    field |= more.value();
    more.release();
    out(&Ipv4::fragment) = b.to_network16(std::move(field));
}

void write_ipv4_whole(Dsl& b, const View<Ipv4>& out, bool quoted)
{
    const Label large = b.label("don't fragment"), done = b.label("identified");
    {
        const auto total = b.let_host_as<u64>("total length", out(&Ipv4::total_length));
        b.jump_if(total > u64{fragmentable_max}, large);
    }
    out(&Ipv4::fragment) = be16{0};
    if (quoted) {
        out(&Ipv4::id) = be16{0};
    } else {
        const auto id = b.call<u64>(Helper::get_prandom_u32, {}, "random");
        out(&Ipv4::id).store(id.reg());
    }
    b.jump(done);
    b.bind(large);
    out(&Ipv4::fragment) = wire::ipv4_dont_fragment;
    out(&Ipv4::id) = be16{0};
    b.bind(done);
}

} // namespace lb::datapath
