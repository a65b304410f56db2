// Targets and the rules of their weights.
#include <array>
#include <map>
#include <numeric>

#include "model/config_rules.hpp"
#include "model/config_sections.hpp"

namespace lb::model {
namespace {

constexpr std::array<std::string_view, 5> known_keys = {"ip", "port", "weight", "health-check", "enabled"};
constexpr std::array<std::string_view, 2> later_keys = {"host", "dns-refresh-seconds"};

struct ReadTarget {
    TargetConfig config = {};
    bool has_endpoint = false;
    bool has_weight = false; // one was written, right or wrong
    bool good = true;        // nothing was reported about the weight
};

std::optional<IpAddress> read_ip(const Node& node)
{
    const auto text = node.string("an IP address");
    if (!text) return std::nullopt;
    const auto ip = IpAddress::parse(*text);
    const std::string problem = ip ? target_problem(*ip) : "expected an IP address";
    if (problem.empty()) return ip;
    node.refuse(problem);
    return std::nullopt;
}

void read_weight(const Node& node, std::optional<WeightMode> mode, ReadTarget& target)
{
    const bool percent = mode == WeightMode::percent;
    const auto weight = node.integer(percent ? 1 : 0, percent ? 100 : std::numeric_limits<u32>::max());
    target.has_weight = true;
    target.good = weight.has_value();
    if (weight) target.config.weight = static_cast<u32>(*weight);
}

ReadTarget read_target(const Node& node, std::optional<WeightMode> mode, const HealthCheck& check)
{
    ReadTarget target{.config = {.health_check = check}};
    const auto object = ObjectNode::read(node, {known_keys, later_keys});
    if (!object) return target.good = false, target;
    std::optional<IpAddress> ip;
    std::optional<u64> port;
    if (const auto host = object->find("host"); !host || object->find("ip")) { // "host" has its own message
        if (const auto value = object->require("ip", "an IP address")) ip = read_ip(*value);
    }
    if (const auto value = object->require("port", "an integer 1..65535")) port = value->integer(1, 65535);
    if (const auto value = object->find("weight")) read_weight(*value, mode, target);
    if (const auto value = object->find("health-check"))
        target.config.health_check = read_health_check(*value, check);
    if (const auto value = object->find("enabled")) target.config.enabled = value->boolean().value_or(true);
    target.has_endpoint = ip && port;
    if (target.has_endpoint) target.config.endpoint = {*ip, static_cast<u16>(*port)};
    return target;
}

// The rules of a whole group, for nodes and targets of the same order.
void check_weights(const Node& node, const std::vector<ReadTarget>& targets, WeightMode mode)
{
    bool explicit_weights = true;
    u64 sum = 0;
    for (const ReadTarget& target : targets) {
        if (!target.good) return; // reported
        explicit_weights = explicit_weights && target.has_weight;
        sum += target.config.weight;
    }
    if (targets.size() > 1 && !explicit_weights) {
        node.complain("All targets must have explicit weights when multiple targets are specified");
    } else if (mode == WeightMode::percent && targets.size() > 1 && sum != 100) {
        node.complain("Weights must sum to 100, got " + std::to_string(sum));
    } else if (sum == 0) {
        node.complain("every weight is 0: expected at least one above 0");
    }
}

void check_repeated(const std::vector<Node>& nodes, const std::vector<ReadTarget>& targets)
{
    std::map<Endpoint, std::size_t> first;
    for (std::size_t i = 0; i < targets.size(); ++i) {
        if (!targets[i].has_endpoint) continue;
        const auto [found, added] = first.try_emplace(targets[i].config.endpoint, i);
        if (!added)
            nodes[i].complain(found->first.text() + ": the same target as " + nodes[found->second].path());
    }
}

std::vector<Node> elements(const Node& node, std::optional<WeightMode> mode)
{
    if (node.kind() == JsonKind::object) return {node};
    const bool percent = mode == WeightMode::percent;
    auto nodes = node.list(relative_targets_max, "a target, or a list of targets that isn't empty");
    if (!nodes) return {};
    if (percent && nodes->size() > percent_targets_max) {
        node.complain(std::to_string(nodes->size()) +
                      R"( targets: expected at most 8 ("weight-mode": "relative" takes up to 1024))");
        return {};
    }
    return std::move(*nodes);
}

} // namespace

std::vector<TargetConfig> read_targets(const Node& node, std::optional<WeightMode> mode,
                                       const HealthCheck& check)
{
    const std::vector<Node> nodes = elements(node, mode);
    std::vector<ReadTarget> targets;
    std::vector<TargetConfig> configs;
    for (const Node& element : nodes) {
        targets.push_back(read_target(element, mode, check));
        configs.push_back(targets.back().config);
    }
    check_repeated(nodes, targets);
    if (mode && !targets.empty()) check_weights(node, targets, *mode);
    return configs;
}

} // namespace lb::model
