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
using Match = std::tuple<std::string_view, u16, Protocol, AddressKind, IpAddress>;

std::vector<Match> matches(const ListenConfig& listen)
{
    std::vector<Match> out;
    const std::vector<IpAddress> none = {IpAddress()};
    const auto& addresses = listen.kind == AddressKind::given ? listen.addresses : none;
    for (const std::string& interface : listen.interfaces) {
        for (const IpAddress& address : addresses) {
            if (listen.tcp) out.emplace_back(interface, listen.port, Protocol::tcp, listen.kind, address);
            if (listen.udp) out.emplace_back(interface, listen.port, Protocol::udp, listen.kind, address);
        }
    }
    return out;
}

std::string in_words(const Match& match)
{
    const auto& [interface, port, protocol, kind, address] = match;
    const std::string where = kind == AddressKind::given ? address.text()
                              : kind == AddressKind::own ? "the host's own addresses"
                                                         : "any address";
    return where + (protocol == Protocol::tcp ? ", tcp" : ", udp") + " port " + std::to_string(port) +
           " on " + quoted(interface);
}

void check_listeners(const std::vector<ReadProxy>& proxies)
{
    std::map<Match, const ReadProxy*> first;
    for (const ReadProxy& proxy : proxies) {
        if (!proxy.has_listen) continue;
        for (const Match& match : matches(proxy.config.listen)) {
            const auto [found, added] = first.try_emplace(match, &proxy);
            if (added) continue;
            proxy.node.complain(in_words(match) + " twice: " + found->second->node.path() +
                                " listens there already");
            break; // the rest of this listener tells nothing new
        }
    }
}

std::vector<ProxyConfig> read_proxies(const Node& node)
{
    std::vector<ReadProxy> proxies;
    const auto nodes = node.list(proxies_max, "a list of at least one proxy");
    if (!nodes) return {};
    for (const Node& element : *nodes) proxies.push_back(read_proxy(element));
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
        if (const auto value = root->require("proxies", "a list of at least one proxy")) {
            config.proxies = read_proxies(*value);
        }
        if (const auto value = root->find("settings")) config.settings = read_settings(*value);
    }
    if (!problems.empty()) return std::unexpected(problems.error(reported_errors_max));
    return config;
}

} // namespace lb::model
