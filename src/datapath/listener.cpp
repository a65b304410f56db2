#include "datapath/listener.hpp"

#include <algorithm>
#include <span>

#include "datapath/generate.hpp"

namespace lb::datapath {

using namespace bpf;
using model::PlanListener;

namespace {

template <class F, class L4> bool is_of(const PlanListener& listener)
{
    return listener.family == F::family && static_cast<u8>(listener.protocol) == protocol_number<L4>;
}

// By the number that is loaded, each once.
std::vector<be16> sorted(std::vector<be16> ports)
{
    std::ranges::sort(ports, {}, &be16::raw);
    const auto repeated = std::ranges::unique(ports);
    ports.erase(repeated.begin(), repeated.end());
    return ports;
}

// The ports of a protocol's listeners.
template <class F, class L4> std::vector<be16> ports_of(const model::Plan& plan)
{
    std::vector<be16> ports;
    for (const auto& listener : plan.listeners)
        if (is_of<F, L4>(listener)) ports.emplace_back(listener.port);
    return sorted(std::move(ports));
}

// The ports of targets whose replies the fast path may take.
std::vector<be16> fast_target_ports(const model::Plan& plan, model::Family family)
{
    std::vector<be16> ports;
    for (const auto& target : plan.targets)
        if (target.fast_nat && !target.full_nat && model::family_of(target.endpoint.ip) == family)
            ports.emplace_back(target.endpoint.port);
    return sorted(std::move(ports));
}

// Of more ports each packet is looked up instead.
constexpr std::size_t reply_ports_max = 256;

// A few compares in a row cost less than the jumps of a tree.
constexpr std::size_t linear_ports_max = 4;

// Emits `if port is ports[i] goto where(i)` as a tree of compares; falls through where it is none of them.
template <class Where>
void choose_port(Dsl& b, const Var<u16>& port, std::span<const be16> ports, const Where& where)
{
    if (ports.size() <= linear_ports_max) {
        for (const be16 each : ports) b.jump_if(port == each.raw, where(each));
        return;
    }
    const auto middle = ports.size() / 2;
    const Label upper = b.label("upper ports"), none = b.label("none of the ports");
    b.jump_if(port >= ports[middle].raw, upper);
    choose_port(b, port, ports.first(middle), where);
    b.jump(none);
    b.bind(upper);
    choose_port(b, port, ports.subspan(middle), where);
    b.bind(none);
}

// Emits one listener's test; goes to `matched` with its proxy, falls through where it does not match.
template <class F, class L4>
void try_listener(Dsl& b, const model::Plan& plan, const PlanListener& listener, const Maps& maps,
                  const Headers<F, L4>& headers, const Frame<F>& frame, const NewFlowFrame<F>& fresh,
                  const StackVar<u32>& ifindex, Label matched)
{
    const Label next = b.label("next listener");
    if (!listener.interfaces.empty()) {
        const Label here = b.label("its interface");
        auto arrived = b.let<u32>("ifindex", ifindex());
        for (const auto& name : listener.interfaces)
            b.jump_if_symbol(Jmp::eq, arrived.reg(), ifindex_symbol(name), here, Loc::current());
        b.jump(next);
        b.bind(here);
    }
    if (listener.kind == model::AddressKind::given)
        jump_if_differs(b, headers.ip(&F::Header::daddr), F::address(listener.address), next);
    if (listener.kind == model::AddressKind::own)
        b.lookup_brief(F::maps(maps).own_addresses, b.part(frame.key, &F::Key::daddr), next).release();
    const auto proxy = std::ranges::find(plan.proxies, listener.proxy, &model::PlanProxy::id);
    if (has_source_routes(plan, F::family)) fresh.route(&F::Route::proxy) = listener.proxy;
    if (maps.proxies || maps.refusals) fresh.proxy() = listener.proxy;
    if (!maps.proxies) fresh.group() = proxy->default_group;
    b.jump(matched);
    b.bind(next);
}

} // namespace

bool listens(const model::Plan& plan, model::Family family, model::Protocol protocol)
{
    return std::ranges::any_of(
        plan.listeners, [&](const auto& each) { return each.family == family && each.protocol == protocol; });
}

bool hears(const model::Plan& plan, model::Family family, model::Protocol protocol)
{
    const model::Family clients = other(family);
    return listens(plan, family, protocol) || (plan.goes_across(clients) && listens(plan, clients, protocol));
}

bool has_source_routes(const model::Plan& plan, model::Family family)
{
    return std::ranges::any_of(
        plan.routes, [&](const auto& each) { return model::family_of(each.source.address) == family; });
}

bool compares_interfaces(const model::Plan& plan)
{
    return std::ranges::any_of(plan.listeners,
                               [](const PlanListener& each) { return !each.interfaces.empty(); });
}

template <class F, class L4>
void go_if_like_reply(Dsl& b, const model::Plan& plan, const Headers<F, L4>& headers, Label like)
{
    if (plan.has_full_nat(F::family) || plan.goes_across(model::other(F::family))) {
        b.note("a port that full NAT sends from?");
        const model::FullNatConfig& pool = plan.settings.full_nat;
        auto port = b.let_host_as<u64>("dport", headers.l4(&L4::dport));
        port -= u64{pool.port_first};
        b.jump_if(port <= u64{pool.port_last} - pool.port_first, like);
    }
    const auto ports = fast_target_ports(plan, F::family);
    if (ports.empty()) return;
    if (ports.size() > reply_ports_max) return b.jump(like);
    b.note("from a target's port?");
    auto port = b.let_bits<u16>("sport", headers.l4(&L4::sport));
    choose_port(b, port, ports, [&](be16) { return like; });
}

template <class F, class L4>
void gate_port(Dsl& b, const model::Plan& plan, const Headers<F, L4>& headers, Ways& ways)
{
    b.note("does anybody listen to the port?");
    const Label listening = b.label("listening");
    const Label nobody = ways.to(model::Reason::no_listener);
    const auto ports = ports_of<F, L4>(plan);
    {
        auto port = b.let_bits<u16>("dport", headers.l4(&L4::dport));
        if (ports.size() == 1 && !plan.expects_replies(F::family))
            return b.jump_if(port != ports.front().raw, nobody);
        choose_port(b, port, ports, [&](be16) { return listening; });
    }
    go_if_like_reply(b, plan, headers, listening);
    b.jump(nobody);
    b.bind(listening);
}
template void go_if_like_reply(Dsl&, const model::Plan&, const Headers<V4, wire::Tcp>&, Label);
template void go_if_like_reply(Dsl&, const model::Plan&, const Headers<V4, wire::Udp>&, Label);
template void go_if_like_reply(Dsl&, const model::Plan&, const Headers<V6, wire::Tcp>&, Label);
template void go_if_like_reply(Dsl&, const model::Plan&, const Headers<V6, wire::Udp>&, Label);
template void gate_port(Dsl&, const model::Plan&, const Headers<V4, wire::Tcp>&, Ways&);
template void gate_port(Dsl&, const model::Plan&, const Headers<V4, wire::Udp>&, Ways&);
template void gate_port(Dsl&, const model::Plan&, const Headers<V6, wire::Tcp>&, Ways&);
template void gate_port(Dsl&, const model::Plan&, const Headers<V6, wire::Udp>&, Ways&);

template <class F, class L4>
void match_listener(Dsl& b, const model::Plan& plan, const Maps& maps, const Headers<F, L4>& headers,
                    const Frame<F>& frame, const NewFlowFrame<F>& fresh, const StackVar<u32>& ifindex,
                    Ways& ways, Label matched)
{
    const auto ports = ports_of<F, L4>(plan);
    std::vector<Label> leaves;
    for (const be16 port : ports) leaves.push_back(b.label("port " + std::to_string(port.host())));
    if (ports.size() > 1 || plan.expects_replies(F::family)) {
        auto port = b.let_bits<u16>("dport", headers.l4(&L4::dport));
        choose_port(b, port, ports, [&](be16 each) {
            return leaves[static_cast<std::size_t>(std::ranges::find(ports, each) - ports.begin())];
        });
        b.jump(ways.to(model::Reason::no_listener));
    }
    for (std::size_t i = 0; i < ports.size(); ++i) {
        b.note("listeners of port " + std::to_string(ports[i].host()));
        b.bind(leaves[i]);
        for (const auto& listener : plan.listeners)
            if (is_of<F, L4>(listener) && listener.port == ports[i].host())
                try_listener(b, plan, listener, maps, headers, frame, fresh, ifindex, matched);
        b.jump(ways.to(model::Reason::other_address));
    }
}
template void match_listener(Dsl&, const model::Plan&, const Maps&, const Headers<V4, wire::Tcp>&,
                             const Frame<V4>&, const NewFlowFrame<V4>&, const StackVar<u32>&, Ways&, Label);
template void match_listener(Dsl&, const model::Plan&, const Maps&, const Headers<V4, wire::Udp>&,
                             const Frame<V4>&, const NewFlowFrame<V4>&, const StackVar<u32>&, Ways&, Label);
template void match_listener(Dsl&, const model::Plan&, const Maps&, const Headers<V6, wire::Tcp>&,
                             const Frame<V6>&, const NewFlowFrame<V6>&, const StackVar<u32>&, Ways&, Label);
template void match_listener(Dsl&, const model::Plan&, const Maps&, const Headers<V6, wire::Udp>&,
                             const Frame<V6>&, const NewFlowFrame<V6>&, const StackVar<u32>&, Ways&, Label);

} // namespace lb::datapath
