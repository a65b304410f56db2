#include "datapath/martian.hpp"

#include <algorithm>

#include "datapath/generate.hpp"

namespace lb::datapath {

using namespace bpf;
using model::Reason;
using wire::Address6;

namespace {

// 224.0.0.0/4 and 240.0.0.0/4; 0.0.0.0/8; 127.0.0.0/8.
constexpr u64 multicast4 = 0xe0000000, first_network4 = 0x01000000, loopback4 = 127;
// The first ten bits of ff00::/8 and of fe80::/10; what mapped addresses have before their 32 bits.
constexpr u64 multicast6 = 0x3fc, link_local6 = 0x3fa, mapped6 = 0xffff;

void refuse_source(Dsl& b, const Field<be32>& source, Label martian)
{
    auto host = b.let_host_as<u64>("source", source);
    b.jump_if(host >= multicast4, martian);
    b.jump_if(host < first_network4, martian);
    host >>= 24;
    b.jump_if(host == loopback4, martian);
}

void refuse_source(Dsl& b, const View<Address6>& source, Label martian)
{
    const Label fine = b.label("no martian");
    {
        auto high = b.let_host_as<u64>("source", source(&Address6::high));
        const Label embedded = b.label("64 bits of zero");
        b.jump_if(high == u64{0}, embedded);
        high >>= 54;
        b.jump_if(high >= multicast6, martian);
        b.jump_if(high == link_local6, martian);
        b.jump(fine);
        b.bind(embedded);
    }
    auto low = b.let_host_as<u64>("source", source(&Address6::low));
    b.jump_if(low <= u64{1}, martian);
    low >>= 32;
    b.jump_if(low == mapped6, martian);
    b.bind(fine);
}

void refuse_destination(Dsl& b, const Field<be32>& destination, Label martian)
{
    auto host = b.let_host_as<u64>("destination", destination);
    b.jump_if(host >= multicast4, martian);
    b.jump_if(host < first_network4, martian);
}

void refuse_destination(Dsl& b, const View<Address6>& destination, Label martian)
{
    auto high = b.let_host_as<u64>("destination", destination(&Address6::high));
    high >>= 54;
    b.jump_if(high >= multicast6, martian);
}

} // namespace

template <class F, class L4>
void refuse_martians(Dsl& b, const model::Plan& plan, const Headers<F, L4>& headers,
                     const StackVar<u32>& ifindex, Ways& ways)
{
    b.note("addresses that nobody can have");
    const Label martian = ways.to(Reason::martian_address), from_wire = b.label("from the wire"),
                fine = b.label("no martian");
    if (plan.loopback_interface) {
        auto arrived = b.let<u32>("ifindex", ifindex());
        b.jump_if_symbol(Jmp::eq, arrived.reg(), ifindex_symbol("lo"), fine, Loc::current());
    }
    refuse_source(b, headers.ip(&F::Header::saddr), martian);
    jump_if_differs(b, headers.ip(&F::Header::saddr), headers.ip(&F::Header::daddr), from_wire);
    b.jump(martian);
    b.bind(from_wire);
    const bool any = std::ranges::any_of(plan.listeners, [](const model::PlanListener& each) {
        return each.family == F::family && each.kind == model::AddressKind::any;
    });
    if (any) refuse_destination(b, headers.ip(&F::Header::daddr), martian);
    b.bind(fine);
}

#define LB_INSTANTIATE(F, L4)                                                                                \
    template void refuse_martians(Dsl&, const model::Plan&, const Headers<F, L4>&, const StackVar<u32>&,     \
                                  Ways&);
LB_INSTANTIATE(V4, wire::Tcp)
LB_INSTANTIATE(V4, wire::Udp)
LB_INSTANTIATE(V6, wire::Tcp)
LB_INSTANTIATE(V6, wire::Udp)
#undef LB_INSTANTIATE

} // namespace lb::datapath
