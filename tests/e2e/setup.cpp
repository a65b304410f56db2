#include "setup.hpp"

#include <cmath>

#include "lab/chance.hpp"

#include <functional>
#include <regex>

namespace lb::e2e {

std::string proxy(const ProxyText& text)
{
    return "{\"name\": \"" + text.name + "\", \"listen\": {\"interfaces\": " + text.interfaces +
           ", \"port\": " + std::to_string(text.port) + (text.listen.empty() ? "" : ", " + text.listen) +
           "}, \"default-target\": " + text.target + (text.more.empty() ? "" : ", " + text.more) + "}";
}

std::string config(const std::vector<std::string>& proxies, const std::string& settings,
                   const std::string& instance)
{
    std::string list;
    for (const std::string& one : proxies) list += (list.empty() ? "" : ",\n") + one;
    return "{\"proxies\": [\n" + list + "],\n\"settings\": {\"instance\": \"" + instance + '"' +
           (settings.empty() ? "" : ", " + settings) + "}}\n";
}

Balanced::Balanced(const std::string& text) : lb(net.balancer, text, instance_name()) { lb.start(); }

std::string who(Call call, Milliseconds timeout)
{
    call.timeout = timeout;
    Connection connection(call);
    const auto answer = connection.ask();
    return answer ? answer->server : "failed: " + connection.error();
}

u64 counted(const Namespace& where, model::Reason reason)
{
    const std::string row =
        where.exec("bpftool -j map lookup pinned " + pin_folder(instance_name()) + "/exits key " +
                   std::to_string(static_cast<unsigned>(reason)) + " 0 0 0");
    u64 sum = 0;
    const std::regex number("\"value\":(\\d+)");
    for (auto at = std::sregex_iterator(row.begin(), row.end(), number); at != std::sregex_iterator(); ++at)
        sum += std::stoul((*at)[1]);
    return sum;
}

namespace {

std::string call_until(const Call& call, Milliseconds limit,
                       const std::function<bool(const std::string&)>& wanted)
{
    const auto end = std::chrono::steady_clock::now() + limit;
    for (;;) {
        std::string answer = who(call, 500ms);
        if (wanted(answer) || std::chrono::steady_clock::now() > end) return answer;
        std::this_thread::sleep_for(50ms);
    }
}

} // namespace

bool wait_for_log(const Daemon& lb, const std::string& text, Milliseconds limit)
{
    const auto end = std::chrono::steady_clock::now() + limit;
    while (lb.log().find(text) == std::string::npos) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(50ms);
    }
    return true;
}

void check_shares(const Tally& tally, const std::map<std::string, double>& weights, u64 connections)
{
    INFO(tally.text());
    CHECK(tally.failed() == 0);
    double sum = 0, square = 0;
    std::size_t choices = 0;
    for (const auto& [name, weight] : weights) sum += weight;
    for (const auto& [name, weight] : weights) {
        const double part = tally.percent(name) / 100, expected = weight / sum;
        if (weight == 0) CHECK(part == 0);
        if (weight == 0) continue;
        square += std::pow(part - expected, 2) / expected;
        ++choices;
    }
    square *= static_cast<double>(connections == 0 ? tally.answered() : connections);
    CHECK(square < chi_square_bound(choices));
}

std::string who_until(const Call& call, const std::string& wanted, Milliseconds limit)
{
    return call_until(call, limit, [&](const std::string& answer) { return answer == wanted; });
}

std::string who_until_not(const Call& call, const std::string& unwanted, Milliseconds limit)
{
    return call_until(call, limit, [&](const std::string& answer) { return answer != unwanted; });
}

} // namespace lb::e2e
