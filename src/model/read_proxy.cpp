// A proxy: its listener, its groups of targets, its source routes.
#include <algorithm>
#include <array>
#include <map>

#include "model/config_rules.hpp"
#include "model/config_sections.hpp"
#include "model/contradictions.hpp"

namespace lb::model {
namespace {

constexpr std::array<std::string_view, 14> proxy_keys = {"name",
                                                         "listen",
                                                         "default-target",
                                                         "source-routes",
                                                         "weight-mode",
                                                         "algorithm",
                                                         "maglev-table-size",
                                                         "session-persistence",
                                                         "forwarding",
                                                         "allow",
                                                         "deny",
                                                         "rate-limits",
                                                         "health-check",
                                                         "all-unhealthy"};
constexpr std::array<std::string_view, 1> later_keys = {"circuit-breaker"};
constexpr std::array<std::string_view, 5> listen_keys = {"interfaces", "egress-interfaces", "port", "address",
                                                         "protocol"};
constexpr std::array<std::string_view, 3> route_keys = {"source", "target", "targets"};

const Choices<WeightMode> weight_modes = {{"percent", WeightMode::percent},
                                          {"relative", WeightMode::relative}};

const Choices<AllUnhealthy> all_unhealthy_choices = {{"keep", AllUnhealthy::keep},
                                                     {"reject", AllUnhealthy::reject}};

enum class Protocols { tcp, udp, both };
const Choices<Protocols> protocols = {
    {"tcp", Protocols::tcp}, {"udp", Protocols::udp}, {"both", Protocols::both}};

constexpr std::string_view address_form = R"(an IP address, a list of them that isn't empty, or "any")";

std::vector<std::string> read_interfaces(const Node& node)
{
    std::vector<std::string> names;
    const auto nodes = node.list(interfaces_max, "a list of at least one interface's name");
    if (!nodes) return names;
    for (const Node& element : *nodes) {
        const auto name = element.string("the name of an interface");
        if (!name) continue;
        if (const std::string problem = interface_problem(*name); !problem.empty()) {
            element.refuse(problem);
        } else if (std::ranges::find(names, *name) != names.end()) {
            element.refuse("the same interface twice");
        }
        names.push_back(*name);
    }
    return names;
}

void read_address(const Node& node, std::vector<IpAddress>& addresses)
{
    const auto text = node.string("an IP address");
    if (!text) return;
    const auto ip = IpAddress::parse(*text);
    const std::string problem = ip ? listener_problem(*ip) : "expected an IP address";
    if (!problem.empty()) return node.refuse(problem);
    if (std::ranges::find(addresses, *ip) != addresses.end()) return node.refuse("the same address twice");
    addresses.push_back(*ip);
}

void read_addresses(const Node& node, ListenConfig& listen)
{
    listen.kind = AddressKind::given;
    if (node.kind() == JsonKind::array) {
        const auto nodes = node.list(addresses_max, address_form);
        if (!nodes) return;
        for (const Node& element : *nodes) read_address(element, listen.addresses);
        return;
    }
    const auto text = node.string(address_form);
    if (!text) return;
    if (*text == "any") {
        listen.kind = AddressKind::any;
    } else if (!IpAddress::parse(*text)) {
        node.refuse("expected " + std::string(address_form));
    } else {
        read_address(node, listen.addresses);
    }
}

void read_listen(const Node& node, ListenConfig& listen)
{
    const auto object = ObjectNode::read(node, {listen_keys, {}});
    if (!object) return;
    if (const auto value = object->require("interfaces", "a list of at least one interface's name")) {
        listen.interfaces = read_interfaces(*value);
    }
    if (const auto value = object->find("egress-interfaces"))
        listen.egress_interfaces = read_interfaces(*value);
    if (const auto value = object->require("port", "an integer 1..65535")) {
        listen.port = static_cast<u16>(value->integer(1, 65535).value_or(1));
    }
    if (const auto value = object->find("address")) read_addresses(*value, listen);
    if (const auto value = object->find("protocol")) {
        const auto which = value->choice(protocols).value_or(Protocols::both);
        listen.tcp = which != Protocols::udp;
        listen.udp = which != Protocols::tcp;
    }
}

void read_route_targets(const ObjectNode& object, std::optional<WeightMode> mode, const HealthCheck& check,
                        RouteConfig& route)
{
    const auto one = object.find("target");
    const auto several = object.find("targets");
    if (one.has_value() == several.has_value()) {
        object.node().complain(one ? R"(both "target" and "targets": expected one of them)"
                                   : R"(expected "target" or "targets")");
    } else if (one && one->kind() != JsonKind::object) {
        one->refuse(R"(expected a target, or "targets" with a list)");
    } else if (several && several->kind() != JsonKind::array) {
        several->refuse(R"(expected a list, or "target" with one target)");
    } else {
        route.targets = read_targets(one ? *one : *several, mode, check);
    }
}

std::vector<RouteConfig> read_routes(const Node& node, std::optional<WeightMode> mode,
                                     const HealthCheck& check)
{
    std::vector<RouteConfig> routes;
    if (node.kind() == JsonKind::array && node.shown() == "[]") return routes; // as if it weren't there
    const auto nodes = node.list(source_routes_max, "a list of source routes");
    if (!nodes) return routes;
    std::map<Prefix, const Node*> first;
    for (const Node& element : *nodes) {
        const auto object = ObjectNode::read(element, {route_keys, {}});
        if (!object) continue;
        RouteConfig& route = routes.emplace_back();
        if (const auto value = object->require("source", prefix_form)) {
            if (const auto source = read_prefix(*value)) {
                route.source = *source;
                const auto [found, added] = first.try_emplace(*source, &element);
                if (!added) value->refuse("the same source as " + found->second->path());
            }
        }
        read_route_targets(*object, mode, check, route);
    }
    return routes;
}

// The place in the file, or the nearest around it where the file leaves it out.
Node locate(Node node, const Place& place)
{
    for (const auto& step : place) {
        std::optional<Node> inner;
        if (const auto* index = std::get_if<std::size_t>(&step)) {
            inner = node.element(*index);
        } else {
            const auto key = std::get<std::string_view>(step);
            // A group of one may stand in a list, too.
            const Node holder = node.element(0).value_or(node);
            inner = holder.member(key);
            if (!inner && key == "targets") inner = holder.member("target");
        }
        if (!inner) return node;
        node = *inner;
    }
    return node;
}

} // namespace

ReadProxy read_proxy(const Node& node, const Settings& settings)
{
    ReadProxy proxy{.node = node};
    const std::size_t problems_before = node.problems().count();
    const auto object = ObjectNode::read(node, {proxy_keys, later_keys});
    if (!object) return proxy;
    ProxyConfig& config = proxy.config;
    if (const auto value = object->require("name", "a name")) {
        config.name = value->string("a name").value_or("");
        proxy.has_name = value->kind() == JsonKind::string;
        const std::string problem = proxy_name_problem(config.name);
        if (proxy.has_name && !problem.empty()) value->refuse(problem);
    }
    read_forwarding(*object, config);
    const std::size_t listen_before = node.problems().count();
    if (const auto value = object->require("listen", "an object with interfaces and port"))
        read_listen(*value, config.listen);
    std::optional<WeightMode> mode = WeightMode::percent;
    if (const auto value = object->find("weight-mode")) mode = value->choice(weight_modes);
    config.weight_mode = mode.value_or(WeightMode::percent);
    config.health_check = settings.health_check;
    if (const auto value = object->find("health-check"))
        config.health_check = read_health_check(*value, config.health_check);
    if (const auto value = object->find("all-unhealthy"))
        config.all_unhealthy = value->choice(all_unhealthy_choices).value_or(AllUnhealthy::keep);
    if (const auto value = object->require("default-target", "a target or a list of targets"))
        config.default_targets = read_targets(*value, mode, config.health_check);
    proxy.has_listen = node.problems().count() == listen_before;
    if (const auto value = object->find("source-routes"))
        config.source_routes = read_routes(*value, mode, config.health_check);
    read_admission(*object, config);
    if (node.problems().count() > problems_before) return proxy;
    for (const Contradiction& each : contradictions(config, settings))
        locate(node, each.place).complain(each.value + ": " + each.message);
    return proxy;
}

} // namespace lb::model
