#include "runtime/events.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

namespace lb::runtime {
namespace {

// Ids that the plan does not have belong to an earlier one, which ran before this process.
void name_ids(ConnectionOpened& event, const model::Plan& plan, u32 proxy_id, u32 target_id)
{
    const auto proxy = std::ranges::find(plan.proxies, proxy_id, &model::PlanProxy::id);
    event.proxy = proxy == plan.proxies.end() ? "#" + std::to_string(proxy_id) : proxy->name;
    const auto target = std::ranges::find(plan.targets, target_id, &model::PlanTarget::id);
    if (target != plan.targets.end()) event.target = target->endpoint;
}

std::string_view name_of(model::FlowState state)
{
    switch (state) {
    case model::FlowState::half_open:
        return "half-open";
    case model::FlowState::established:
        return "established";
    case model::FlowState::closing:
        return "closing";
    case model::FlowState::closed:
        return "closed";
    case model::FlowState::udp_one_way:
        return "udp-one-way";
    case model::FlowState::udp:
        break;
    }
    return "udp";
}

std::string connection_text(const ConnectionOpened& event)
{
    return fmt::format("{} {} -> {} proxy={} target={}",
                       event.protocol == model::Protocol::tcp ? "tcp" : "udp", event.client.text(),
                       event.listener.text(), event.proxy, event.target.text());
}

} // namespace

std::string to_text(const ConnectionOpened& event) { return "new " + connection_text(event); }

std::string to_text(const ConnectionClosed& event)
{
    return fmt::format("closed {} state={} duration-ms={} forward-packets={} forward-bytes={} "
                       "reply-packets={} reply-bytes={}",
                       connection_text(event.connection), name_of(event.state), event.duration.count(),
                       event.forward_packets, event.forward_bytes, event.reply_packets, event.reply_bytes);
}

ConnectionClosed describe(const Ended& ended, const model::Plan& plan, u32 per_second)
{
    ConnectionClosed event{.connection = {.protocol = static_cast<model::Protocol>(ended.protocol),
                                          .client = ended.client,
                                          .listener = ended.listener,
                                          .target = ended.target}, // its address is there where the plan
                                                                   // has forgotten the id
                           .state = ended.state,
                           .forward_packets = ended.forward_packets,
                           .forward_bytes = ended.forward_bytes,
                           .reply_packets = ended.reply_packets,
                           .reply_bytes = ended.reply_bytes};
    name_ids(event.connection, plan, ended.proxy, ended.target_id);
    const u32 lasted = static_cast<u32>(ended.last_seen & 0xffffffff) - ended.created;
    event.duration = std::chrono::milliseconds(u64{lasted} * 1000 / per_second);
    return event;
}

Result<OpenedEvents> OpenedEvents::open(const kernel::Map& events, const kernel::Map& lost)
{
    auto ring = kernel::RingBuffer::open(events);
    if (!ring) return std::unexpected(ring.error());
    auto own = lost.duplicate();
    if (!own) return std::unexpected(own.error());
    OpenedEvents opened;
    opened.ring_ = std::move(*ring);
    opened.lost_ = std::move(*own);
    return opened;
}

namespace {

template <class A> std::optional<ConnectionOpened> opened(std::span<const u8> record, const model::Plan& plan)
{
    model::FlowOpened<A> raw;
    if (record.size() != sizeof(raw)) return std::nullopt;
    __builtin_memcpy(&raw, record.data(), sizeof(raw));
    ConnectionOpened event{.protocol = static_cast<model::Protocol>(raw.protocol),
                           .client = {IpAddress::from(raw.saddr), raw.sport.host()},
                           .listener = {IpAddress::from(raw.daddr), raw.dport.host()}};
    name_ids(event, plan, raw.proxy, raw.target);
    return event;
}

} // namespace

void OpenedEvents::read(const model::Plan& plan, const std::function<void(const ConnectionOpened&)>& each)
{
    ring_.consume([&](std::span<const u8> record) {
        auto event = opened<be32>(record, plan);
        if (!event) event = opened<model::Address6>(record, plan);
        if (event) each(*event);
    });
}

Result<u64> OpenedEvents::lost() const
{
    const auto counts = lost_.lookup_percpu<u32, u64>(0u);
    if (!counts) return std::unexpected(counts.error());
    u64 sum = 0;
    for (const u64 each : *counts) sum += each;
    return sum;
}

} // namespace lb::runtime
