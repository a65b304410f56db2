#include "model/port_set.hpp"

#include <algorithm>
#include <charconv>

namespace lb::model {
namespace {

std::optional<u16> parse_port(std::string_view text)
{
    u16 port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc{} && end == text.data() + text.size() ? std::optional(port) : std::nullopt;
}

} // namespace

std::optional<PortSet> PortSet::parse(std::string_view text)
{
    PortSet set;
    while (!text.empty()) {
        const auto comma = std::min(text.find(','), text.size());
        const std::string_view part = text.substr(0, comma);
        const auto dash = std::min(part.find('-'), part.size());
        const auto first = parse_port(part.substr(0, dash));
        const auto last = dash == part.size() ? first : parse_port(part.substr(dash + 1));
        if (!first || !last || *first > *last) return std::nullopt;
        set = set | range(*first, *last);
        text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return set;
}

PortSet PortSet::range(u16 first, u16 last)
{
    PortSet set;
    for (u32 port = first; port <= last; ++port) set.ports_.set(port);
    return set;
}

std::string PortSet::text() const
{
    std::string out;
    for (std::size_t first = 0; first < ports_.size(); ++first) {
        if (!ports_[first]) continue;
        std::size_t last = first;
        while (last + 1 < ports_.size() && ports_[last + 1]) ++last;
        out += (out.empty() ? "" : ",") + std::to_string(first);
        if (last > first) out += "-" + std::to_string(last);
        first = last;
    }
    return out;
}

Result<std::optional<std::string>> needed_reserved_ports(const PortSet& local, const PortSet& reserved,
                                                         const PortSet& full_nat)
{
    const PortSet taken = local & full_nat & ~reserved;
    if (taken.count() == 0) return std::optional<std::string>{};
    const std::size_t left = (local & ~reserved & ~full_nat).count();
    if (left < local_ports_min)
        return fail(ErrorKind::host_not_ready,
                    "settings.full-nat.ports, " + full_nat.text() + ", leave the host's own sockets " +
                        std::to_string(left) + " of their ports, " + local.text() +
                        " (net.ipv4.ip_local_port_range): expected ports outside of these, or " +
                        std::to_string(local_ports_min) + " left");
    return std::optional((reserved | full_nat).text());
}

} // namespace lb::model
