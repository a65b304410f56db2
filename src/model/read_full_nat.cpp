// The sources that full-nat sends from.
#include <algorithm>
#include <array>
#include <charconv>

#include "model/config_rules.hpp"
#include "model/config_sections.hpp"

namespace lb::model {
namespace {

constexpr std::array<std::string_view, 2> full_nat_keys = {"addresses", "ports"};
constexpr std::string_view ports_form =
    R"(two ports from 1024 to 65535, the lower first, such as "32768-60999")";

std::vector<IpAddress> read_addresses(const Node& node)
{
    std::vector<IpAddress> addresses;
    const auto nodes = node.list(full_nat_addresses_max, "a list of at least one IP address");
    if (!nodes) return addresses;
    for (const Node& element : *nodes) {
        const auto text = element.string("an IP address");
        if (!text) continue;
        const auto ip = IpAddress::parse(*text);
        const std::string problem = ip ? full_nat_source_problem(*ip) : "expected an IP address";
        if (!problem.empty()) {
            element.refuse(problem);
        } else if (std::ranges::find(addresses, *ip) != addresses.end()) {
            element.refuse("the same address twice");
        } else {
            addresses.push_back(*ip);
        }
    }
    return addresses;
}

// Decimal without sign, blanks and leading zeros.
std::optional<u16> parse_port(std::string_view text)
{
    u16 port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    const bool whole = error == std::errc{} && end == text.data() + text.size() && text.front() != '0';
    if (!whole || port < full_nat_port_min) return std::nullopt;
    return port;
}

void read_ports(const Node& node, FullNatConfig& full_nat)
{
    const auto text = node.string(ports_form);
    if (!text) return;
    const auto dash = std::min(text->find('-'), text->size());
    const auto first = parse_port(std::string_view(*text).substr(0, dash));
    const auto last = parse_port(std::string_view(*text).substr(std::min(dash + 1, text->size())));
    if (!first || !last || *first > *last) return node.refuse("expected " + std::string(ports_form));
    full_nat.port_first = *first;
    full_nat.port_last = *last;
}

} // namespace

FullNatConfig read_full_nat(const Node& node)
{
    FullNatConfig full_nat;
    const auto object = ObjectNode::read(node, {full_nat_keys, {}});
    if (!object) return full_nat;
    if (const auto value = object->find("addresses")) full_nat.addresses = read_addresses(*value);
    if (const auto value = object->find("ports")) read_ports(*value, full_nat);
    return full_nat;
}

} // namespace lb::model
