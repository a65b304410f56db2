#include "runtime/stats_log.hpp"

#include <spdlog/spdlog.h>

namespace lb::runtime {

bool StatsLog::may_show()
{
    const auto now = std::chrono::steady_clock::now();
    if (now - second_ >= std::chrono::seconds(1)) {
        second_ = now;
        shown_ = 0;
    }
    if (shown_ == events_shown_max) return ++not_shown_, false;
    return ++shown_, true;
}

void StatsLog::read_opened()
{
    balancer_.opened_events()->read(balancer_.plan(), [this](const ConnectionOpened& event) {
        if (may_show()) spdlog::info("connection {}", to_text(event));
    });
}

void StatsLog::closed(const ConnectionClosed& event)
{
    if (may_show()) spdlog::info("connection {}", to_text(event));
}

namespace {

void log_refusals(const std::string& proxy, const std::array<u64, model::refusals_count>& refused)
{
    std::string text;
    for (const model::Reason reason : model::refusals)
        if (const u64 packets = refused[model::refusal_index(reason)]; packets > 0)
            text += fmt::format(" {}={}", info(reason).name, packets);
    if (!text.empty()) spdlog::info("refused: proxy={}{}", proxy, text);
}

} // namespace

void StatsLog::totals(u64 live) const
{
    const auto totals = balancer_.totals();
    if (!totals) return spdlog::error("reading the counters: {}", totals.error().message);
    const auto lost = balancer_.opened_events()->lost();
    if (!lost) return spdlog::error("reading the counters: {}", lost.error().message);
    model::TargetCounters sum;
    for (const auto& [id, each] : totals->targets) sum += each;
    spdlog::info("totals: connections={} live={} forward-packets={} forward-bytes={} reply-packets={} "
                 "reply-bytes={} unrecorded={} half-open-evicted={} events-lost={} events-not-shown={}",
                 sum.connections, live, sum.forward_packets, sum.forward_bytes, sum.reply_packets,
                 sum.reply_bytes, sum.unrecorded, totals->half_open_evicted, *lost, not_shown_);
    std::string exits;
    for (const auto& reason : model::reasons)
        if (const u64 packets = totals->exits[static_cast<u32>(reason.reason)]; packets > 0)
            exits += fmt::format(" {}={}", reason.name, packets);
    spdlog::info("exits:{}", exits);
    for (const auto& proxy : balancer_.plan().proxies) log_refusals(proxy.name, totals->refused.at(proxy.id));
}

} // namespace lb::runtime
