#include "bench.hpp"

#include <algorithm>
#include <cstring>

#include "datapath/generate.hpp"
#include "kernel/verifier_log.hpp"
#include "model/config_reader.hpp"
#include "need.hpp"

namespace lb::test {
namespace {

const bool ready = [] {
    need_bpf();
    return true;
}();

constexpr u32 loopback_index = 1; // in every network namespace

kernel::Program load(const std::expected<bpf::Program, bpf::Error>& made, const kernel::Resolver& resolver)
{
    if (!made) FAIL(bpf::to_string(made.error()));
    auto loaded = kernel::Program::load(*made, resolver);
    if (!loaded)
        FAIL(loaded.error().error.message
             << '\n'
             << kernel::to_text(kernel::explain_rejection(loaded.error().log, *made)));
    return std::move(*loaded);
}

} // namespace

std::string config_text(const std::vector<ProxyText>& proxies, const std::string& settings)
{
    std::string list;
    for (const auto& proxy : proxies)
        list += (list.empty() ? "" : ",") + ("{\"name\": \"" + proxy.name) +
                "\", \"listen\": {\"interfaces\": " + proxy.interfaces +
                ", \"port\": " + std::to_string(proxy.port) + (proxy.listen.empty() ? "" : ", ") +
                proxy.listen + "}, \"default-target\": " + proxy.target + (proxy.more.empty() ? "" : ", ") +
                proxy.more + "}";
    return "{\"proxies\": [" + list + "], \"settings\": {" + settings + "}}";
}

Bench::Bench(const std::string& config, const BenchOptions& options)
{
    REQUIRE(ready);
    plan_ = must(model::make_plan(must(model::read_config(config, "test"))));
    const datapath::Maps maps(plan_);
    // A folder that is not there: nothing is taken over, and nothing is pinned.
    tables_ = must(runtime::Tables::create(plan_, maps, kernel::PinFolder::at("datapath-test-none")));
    std::vector<kernel::HostAddress> own;
    for (const auto& text : options.own_addresses) own.push_back({.address = *IpAddress::parse(text)});
    must(tables_.set_own_addresses(own, plan_.loopback_interface));
    fill_carriers(options);
    if (!options.real_interface.empty())
        arrives_on_ = must(kernel::interface_by_name(options.real_interface)).index;
    kernel::Resolver resolver = tables_.resolver();
    if (options.slots_per_cpu) {
        bpf::MapSpec slots = maps.slots;
        slots.type = bpf::MapType::percpu_array;
        slots.flags = 0;
        own_slots_ = must(kernel::Map::create(slots));
        resolver.maps["slots"] = own_slots_.fd();
    }
    u32 elsewhere = 1000;
    for (const auto& name : plan_.egress_interfaces)
        resolver.values[datapath::ifindex_symbol(name)] =
            name == options.arrives_on ? (arrives_on_ == 0 ? loopback_index : arrives_on_) : elsewhere++;
    ingress_ = load(datapath::make_ingress(plan_, maps, options.kernel), resolver);
    egress_ = load(datapath::make_egress(plan_, maps, options.kernel), resolver);
    if (maps.across) {
        siit_ = load(datapath::make_siit(plan_, maps, options.kernel), resolver);
        must(runtime::link_followers(map("programs"), siit_, ingress_));
    }
    if (options.inside) inside_ = load(datapath::make_inside(plan_, maps, options.kernel), resolver);
    if (arrives_on_ != 0)
        attached_ = std::move(
            must(attach_xdp(options.inside ? inside_ : ingress_, arrives_on_, kernel::XdpMode::native)).link);
}

// As the daemon does by the host's routes.
void Bench::fill_carriers(const BenchOptions& options) const
{
    const bool pool = !plan_.settings.full_nat.addresses.empty();
    for (const auto& target : plan_.targets) {
        const auto proxy = std::ranges::find(plan_.proxies, target.proxy, &model::PlanProxy::id);
        const auto source = IpAddress::parse(target.endpoint.ip.is_v6() ? options.source6 : options.source4);
        if (target.full_nat && !pool) must(map("nat_sources").update(target.id, model::source_row(source)));
        if (!target.carried && !target.fast_nat) continue;
        must(map("carriers").update(target.id, carrier_row(target, *proxy, *source, options.sends)));
    }
}

Passage Bench::run(const kernel::Program& program, const Bytes& frame, u32 ifindex)
{
    const auto run = must(program.run(frame, {.xdp = {.ingress_ifindex = ifindex}}));
    return {.verdict = run.retval, .frame = run.out};
}

std::map<model::Reason, u64> Bench::exits() const
{
    std::map<model::Reason, u64> counted;
    for (const auto& reason : model::reasons) {
        u64 sum = 0;
        for (const u64 each : must(map("exits").lookup_percpu<u32, u64>(static_cast<u32>(reason.reason))))
            sum += each;
        if (sum > 0) counted[reason.reason] = sum;
    }
    return counted;
}

model::TargetCounters Bench::counters(u32 target) const
{
    model::TargetCounters sum;
    for (const auto& each : must(map("counters").lookup_percpu<u32, model::TargetCounters>(target)))
        sum += each;
    return sum;
}

std::map<std::pair<u32, model::Reason>, u64> Bench::refused() const
{
    std::map<std::pair<u32, model::Reason>, u64> counted;
    for (const auto& proxy : plan_.proxies)
        for (const model::Reason reason : model::refusals) {
            const u32 row = proxy.id * model::refusals_count + model::refusal_index(reason);
            for (const u64 each : must(map("refusals").lookup_percpu<u32, u64>(row)))
                if (each > 0) counted[{proxy.id, reason}] += each;
        }
    return counted;
}

std::optional<model::Flow4> Bench::flow(const model::FlowKey4& key) const
{
    return must(map("flows4").lookup<model::FlowKey4, model::Flow4>(key));
}

std::vector<kernel::Entry<model::FlowKey4, model::Flow4>> Bench::flows() const
{
    return must(kernel::read_all<model::FlowKey4, model::Flow4>(map("flows4")));
}

model::FlowKey4 key_of(const Bytes& frame)
{
    model::FlowKey4 key;
    std::memcpy(&key.saddr, &frame[26], 4);
    std::memcpy(&key.daddr, &frame[30], 4);
    std::memcpy(&key.sport, &frame[34], 2);
    std::memcpy(&key.dport, &frame[36], 2);
    key.protocol = frame[23];
    return key;
}

} // namespace lb::test
