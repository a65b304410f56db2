// The MSS that the host offers to clients of a VIP: their full-size segments come through the tunnel, so they
// must leave room for its header. Only SYNs carry the option, and only downward is it changed.
#include "datapath/addresses.hpp"
#include "datapath/decap.hpp"
#include "datapath/ways.hpp"

#include <algorithm>

namespace lb::datapath {

using namespace bpf;
using namespace tunnel;
using model::Reason;
using wire::Ethernet;
using wire::Ipv4;
using wire::Tcp;

namespace {

/// An option as far as it is read.
struct Option {
    u8 kind = 0, length = 0;
    be16 value{};
};
static_assert(sizeof(Option) == 4);

constexpr u32 options_max = 40; // the data offset's 4 bits allow 60 bytes; the shortest option has one

struct Clamp {
    Dsl& b;
    const model::Backend& backend;
    Ways& ways;
    SkbPacket& packet;
    const StackVar<u64>& at;  ///< where the option begins, from the frame's start
    const StackVar<u64>& end; ///< where the options end
    const StackView<Option>& option;
};

// One step over the options; goes to `found` at the MSS.
void next_option(const Clamp& c, Label found)
{
    Dsl& b = c.b;
    const Label step = b.label("step"), nop = b.label("nop"), stepped = b.label("stepped");
    {
        auto last = b.let<u64>("last", c.at());
        last += u64{tcp_option_mss_bytes};
        b.jump_if(last > Operand<u64>(c.end()), c.ways.to(Reason::mss_absent));
    }
    {
        auto at = b.let<u64>("at", c.at());
        auto result =
            b.call<i64>(Helper::skb_load_bytes,
                        {c.packet.context(), std::move(at), c.option, u32{sizeof(Option)}}, "result");
        b.jump_if(result != 0, c.ways.to(Reason::mss_truncated));
    }
    b.jump_if(c.option(&Option::kind) == tcp_option_nop, nop);
    b.jump_if(c.option(&Option::kind) == tcp_option_end, c.ways.to(Reason::mss_absent));
    b.jump_if(c.option(&Option::kind) != tcp_option_mss, step);
    b.jump_if(c.option(&Option::length) == tcp_option_mss_bytes, found);
    b.jump(c.ways.to(Reason::mss_absent));
    b.bind(step);
    {
        auto length = b.let<u64>("length", c.option(&Option::length));
        b.jump_if(length < u64{2}, c.ways.to(Reason::mss_absent)); // it would never end
        c.at().add(length.value());
        b.jump(stepped);
    }
    b.bind(nop);
    c.at().add(1);
    b.bind(stepped);
}

// The checksum's change through the kernel's helper, which leaves a partial one (CHECKSUM_PARTIAL) alone. At
// an odd distance the value's bytes lie in two words of the sum, each in the other's place.
void change_checksum(const Clamp& c, u32 checksum_at, u16 limit)
{
    Dsl& b = c.b;
    constexpr u32 two_bytes = 2;
    const Label odd = b.label("odd"), done = b.label("summed");
    const auto replace = [&](Var<u32> from, u32 to) {
        auto result =
            b.call<i64>(Helper::l4_csum_replace,
                        {c.packet.context(), checksum_at, std::move(from), to, two_bytes}, "result");
        b.jump_if(result != 0, c.ways.to(Reason::mss_failed));
    };
    b.jump_if(c.at().has(1), odd);
    replace(b.let_bits<u32>("mss", c.option(&Option::value)), be16(limit).raw);
    b.jump(done);
    b.bind(odd);
    {
        auto host = b.let_host("mss", c.option(&Option::value));
        auto from = b.keep<u32>("from", host);
        host.release();
        replace(std::move(from), limit);
    }
    b.bind(done);
}

// `l3_bytes`: of the IP header.
void clamp_syn(const Clamp& c, const View<Tcp>& tcp, u32 l3_bytes, u16 limit)
{
    Dsl& b = c.b;
    const Label found = b.label("found");
    const u32 l4_at = sizeof(Ethernet) + l3_bytes;
    b.note("look for the MSS option");
    c.option.fill(0); // helpers take written memory only
    {
        auto end = b.let<u64>("end", tcp(&Tcp::data_offset));
        end >>= 4;
        end <<= 2;
        end += u64{l4_at};
        c.end() = end;
        c.at() = u64{l4_at + u32{sizeof(Tcp)}};
    }
    b.repeat(options_max, [&] { next_option(c, found); });
    b.jump(c.ways.to(Reason::mss_absent));
    b.bind(found);
    b.note("lower it");
    {
        auto host = b.let_host("mss", c.option(&Option::value));
        auto offered = b.let<u32>("offered", host);
        b.jump_if(offered <= u32{limit}, c.ways.to(Reason::mss_fits));
    }
    change_checksum(c, l4_at + offset_of(&Tcp::checksum), limit);
    c.option(&Option::value) = be16(limit);
    {
        auto at = b.let<u64>("at", c.at());
        auto result =
            b.call<i64>(Helper::skb_store_bytes,
                        {c.packet.context(), std::move(at), c.option, u32{sizeof(Option)}, 0}, "result");
        b.jump_if(result != 0, c.ways.to(Reason::mss_failed));
    }
    b.jump(c.ways.to(Reason::mss_lowered));
}

void take_ipv4(const Clamp& c, u16 limit)
{
    Dsl& b = c.b;
    b.note("IPv4");
    const Label vip = b.label("from a VIP"), truncated = c.ways.to(Reason::mss_truncated);
    const auto [eth, ip] = c.packet.claim<Ethernet, Ipv4>(truncated);
    jump_if_vip(b, c.backend, ip(&Ipv4::saddr), vip);
    b.jump(c.ways.to(Reason::mss_not_vip));
    b.bind(vip);
    b.jump_if(ip(&Ipv4::protocol) != wire::protocol_tcp, c.ways.to(Reason::mss_not_syn));
    b.jump_if(ip(&Ipv4::fragment).has(be16{0x1fff}), c.ways.to(Reason::mss_not_syn)); // no TCP header
    b.jump_if(ip(&Ipv4::version_ihl) != wire::ipv4_version_ihl, c.ways.to(Reason::mss_ip_options));
    const auto tcp = c.packet.claim_at<Tcp>(sizeof(Ethernet) + sizeof(Ipv4), truncated);
    b.jump_unless(tcp(&Tcp::flags).has(wire::tcp_syn), c.ways.to(Reason::mss_not_syn));
    clamp_syn(c, tcp, sizeof(Ipv4), limit);
}

void take_ipv6(const Clamp& c, u16 limit)
{
    Dsl& b = c.b;
    b.note("IPv6");
    const Label vip = b.label("from a VIP"), truncated = c.ways.to(Reason::mss_truncated);
    const auto claimed = c.packet.claim<Ethernet, Ipv6>(truncated);
    const auto& ip = std::get<1>(claimed);
    jump_if_vip(b, c.backend, ip(&Ipv6::saddr_high), ip(&Ipv6::saddr_low), vip);
    b.jump(c.ways.to(Reason::mss_not_vip));
    b.bind(vip);
    for (const u8 extension : {wire::ipv6_hop_by_hop, wire::ipv6_routing, wire::ipv6_destination})
        b.jump_if(ip(&Ipv6::next_header) == extension, c.ways.to(Reason::mss_ip_options));
    b.jump_if(ip(&Ipv6::next_header) != wire::protocol_tcp, c.ways.to(Reason::mss_not_syn));
    const auto tcp = c.packet.claim_at<Tcp>(sizeof(Ethernet) + sizeof(Ipv6), truncated);
    b.jump_unless(tcp(&Tcp::flags).has(wire::tcp_syn), c.ways.to(Reason::mss_not_syn));
    clamp_syn(c, tcp, sizeof(Ipv6), limit);
}

} // namespace

std::expected<bpf::Program, bpf::Error> make_mss_clamp(const model::Backend& backend,
                                                       const model::MssLimits& limits,
                                                       const BackendMaps& maps, const KernelFeatures& kernel)
{
    const AttachType attach = kernel.tcx ? AttachType::tcx_egress : AttachType::none;
    Dsl b("lb_mss", ProgramType::sched_cls, attach, {.gotol = kernel.isa_v4});
    Ways ways(b, maps.exits);
    {
        const auto at = b.local<u64>("at"), end = b.local<u64>("end");
        const auto option = b.stack<Option>("option");
        SkbPacket packet(b);
        const Clamp c{b, backend, ways, packet, at, end, option};
        const auto has = [&](bool v6) {
            return std::ranges::any_of(backend.vips,
                                       [&](const IpAddress& each) { return each.is_v6() == v6; });
        };
        const Label four = has(false) ? b.label("IPv4") : ways.to(Reason::mss_not_vip);
        const auto [eth] = packet.claim<Ethernet>(ways.to(Reason::mss_truncated));
        b.jump_if(eth(&Ethernet::type) == wire::ethertype_ipv4, four);
        b.jump_if(eth(&Ethernet::type) != wire::ethertype_ipv6, ways.to(Reason::mss_not_vip));
        if (has(true))
            take_ipv6(c, limits.ipv6);
        else
            b.jump(ways.to(Reason::mss_not_vip));
        if (has(false)) {
            b.bind(four);
            take_ipv4(c, limits.ipv4);
        }
    }
    ways.emit();
    return b.finish();
}

} // namespace lb::datapath
