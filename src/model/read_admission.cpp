// Who may connect to a proxy, and how often: lists of prefixes, and rate limits.
#include <array>
#include <map>

#include "model/config_sections.hpp"

namespace lb::model {
namespace {

constexpr std::array<std::string_view, 2> kind_keys = {"per-source", "per-target"};
constexpr std::array<std::string_view, 6> limit_keys = {"requests-per-sec",   "burst",
                                                        "packets-per-sec",    "packets-burst",
                                                        "prefix-length-ipv4", "prefix-length-ipv6"};
constexpr std::size_t target_keys_count = 4; // a target is one address: the first four

enum class Level { proxy, settings };

std::vector<Prefix> read_list(const Node& node)
{
    std::vector<Prefix> prefixes;
    if (node.kind() == JsonKind::array && node.shown() == "[]") return prefixes; // as if it weren't there
    const auto nodes = node.list(prefixes_max, "a list of prefixes");
    if (!nodes) return prefixes;
    std::map<Prefix, const Node*> first;
    for (const Node& element : *nodes) {
        const auto prefix = read_prefix(element);
        if (!prefix) continue;
        const auto [found, added] = first.try_emplace(*prefix, &element);
        if (!added) element.refuse("the same prefix as " + found->second->path());
        prefixes.push_back(*prefix);
    }
    return prefixes;
}

void read_rate(const ObjectNode& object, std::string_view rate_key, std::string_view burst_key, Level level,
               RateConfig& rate)
{
    if (const auto value = object.find(rate_key))
        rate.per_sec = static_cast<u32>(value->integer(1, rate_max).value_or(1));
    const auto burst = object.find(burst_key);
    if (!burst) return;
    rate.burst = static_cast<u32>(burst->integer(1, rate_max).value_or(1));
    if (level == Level::settings && !object.find(rate_key))
        burst->refuse("a burst of no rate: expected " + std::string(rate_key) + " beside it");
}

void read_length(const ObjectNode& object, std::string_view key, u8 bits, std::optional<u8>& length)
{
    if (const auto value = object.find(key)) length = static_cast<u8>(value->integer(1, bits).value_or(1));
}

RateLimitsConfig read_limits(const Node& node, Level level, bool per_source)
{
    RateLimitsConfig limits;
    if (level == Level::proxy && node.kind() == JsonKind::boolean && !*node.boolean()) {
        limits.off = true;
        return limits;
    }
    if (level == Level::proxy && node.kind() != JsonKind::object) {
        node.refuse("expected an object, or false");
        return limits;
    }
    const std::span<const std::string_view> keys = limit_keys;
    const auto object = ObjectNode::read(node, {per_source ? keys : keys.first(target_keys_count), {}});
    if (!object) return limits;
    read_rate(*object, "requests-per-sec", "burst", level, limits.requests);
    read_rate(*object, "packets-per-sec", "packets-burst", level, limits.packets);
    if (!per_source) return limits;
    read_length(*object, "prefix-length-ipv4", 32, limits.prefix_length_ipv4);
    read_length(*object, "prefix-length-ipv6", 128, limits.prefix_length_ipv6);
    return limits;
}

RateLimitKinds read_kinds(const Node& node, Level level)
{
    RateLimitKinds kinds;
    const auto object = ObjectNode::read(node, {kind_keys, {}});
    if (!object) return kinds;
    if (const auto value = object->find("per-source")) kinds.per_source = read_limits(*value, level, true);
    if (const auto value = object->find("per-target")) kinds.per_target = read_limits(*value, level, false);
    return kinds;
}

} // namespace

std::optional<Prefix> read_prefix(const Node& node)
{
    const auto text = node.string(prefix_form);
    if (!text) return std::nullopt;
    const auto prefix = Prefix::parse(*text);
    if (!prefix) {
        node.refuse("expected " + std::string(prefix_form));
    } else if (*prefix != prefix->network()) {
        node.refuse("bits are set below the prefix: the network is " + prefix->network().text());
    } else {
        return prefix;
    }
    return std::nullopt;
}

void read_admission(const ObjectNode& proxy, ProxyConfig& config)
{
    if (const auto value = proxy.find("allow")) config.allow = read_list(*value);
    if (const auto value = proxy.find("deny")) config.deny = read_list(*value);
    if (const auto value = proxy.find("rate-limits")) config.rate_limits = read_kinds(*value, Level::proxy);
}

RateLimitKinds read_default_limits(const Node& node) { return read_kinds(node, Level::settings); }

} // namespace lb::model
