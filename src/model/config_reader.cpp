#include "model/config_reader.hpp"

#include <array>
#include <map>
#include <tuple>

#include "model/config_sections.hpp"

namespace lb::model {
namespace {

constexpr std::array<std::string_view, 2> root_keys = {"proxies", "settings"};

void check_names(const std::vector<ReadProxy>& proxies)
{
    std::map<std::string_view, const ReadProxy*> first;
    for (const ReadProxy& proxy : proxies) {
        if (!proxy.has_name) continue;
        const auto [found, added] = first.try_emplace(proxy.config.name, &proxy);
        if (!added) {
            proxy.node.complain(quoted(proxy.config.name) + ": the same name as " +
                                found->second->node.path());
        }
    }
}

// What one packet can match of a listener: two listeners must not have one of these in common.
using Match = std::tuple<std::string_view, u16, Protocol, AddressKind, Family, IpAddress>;

std::vector<Match> matches(const ProxyConfig& proxy)
{
    std::vector<Match> out;
    const ListenConfig& listen = proxy.listen;
    std::vector<std::pair<Family, IpAddress>> addresses;
    for (const IpAddress& address : listen.addresses) addresses.emplace_back(family_of(address), address);
    if (listen.kind != AddressKind::given)
        for (const Family family : listen_families(proxy)) addresses.emplace_back(family, IpAddress());
    for (const std::string& interface : listen.interfaces) {
        for (const auto& [family, address] : addresses) {
            for (const Protocol protocol : {Protocol::tcp, Protocol::udp})
                if (protocol == Protocol::tcp ? listen.tcp : listen.udp)
                    out.emplace_back(interface, listen.port, protocol, listen.kind, family, address);
        }
    }
    return out;
}

std::string in_words(const Match& match)
{
    const auto& [interface, port, protocol, kind, family, address] = match;
    const std::string where = kind == AddressKind::given ? address.text()
                              : kind == AddressKind::own ? "the host's own " + name_of(family) + " addresses"
                                                         : "any " + name_of(family) + " address";
    return where + (protocol == Protocol::tcp ? ", tcp" : ", udp") + " port " + std::to_string(port) +
           " on " + quoted(interface);
}

void check_listeners(const std::vector<ReadProxy>& proxies)
{
    std::map<Match, const ReadProxy*> first;
    for (const ReadProxy& proxy : proxies) {
        if (!proxy.has_listen) continue;
        for (const Match& match : matches(proxy.config)) {
            const auto [found, added] = first.try_emplace(match, &proxy);
            if (added) continue;
            proxy.node.complain(in_words(match) + " twice: " + found->second->node.path() +
                                " listens there already");
            break; // the rest of this listener tells nothing new
        }
    }
}

std::vector<ProxyConfig> read_proxies(const Node& node, const Settings& settings)
{
    std::vector<ReadProxy> proxies;
    const auto nodes = node.list(proxies_max, "a list of at least one proxy");
    if (!nodes) return {};
    for (const Node& element : *nodes) proxies.push_back(read_proxy(element, settings));
    check_names(proxies);
    check_listeners(proxies);
    std::vector<ProxyConfig> configs;
    for (ReadProxy& proxy : proxies) configs.push_back(std::move(proxy.config));
    return configs;
}

} // namespace

Result<Config> read_config(std::string_view text, std::string_view file_name)
{
    Problems problems(file_name);
    Config config;
    const auto tree = parse_json(text);
    if (!tree) {
        problems.add(tree.error().at, "", tree.error().message);
        return std::unexpected(problems.error(reported_errors_max));
    }
    if (const auto root = ObjectNode::read(Node(*tree, "", problems), {root_keys, {}})) {
        if (const auto value = root->find("settings")) config.settings = read_settings(*value);
        if (const auto value = root->require("proxies", "a list of at least one proxy")) {
            config.proxies = read_proxies(*value, config.settings);
        }
    }
    if (!problems.empty()) return std::unexpected(problems.error(reported_errors_max));
    return config;
}

} // namespace lb::model
