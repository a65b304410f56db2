// How a proxy picks a target, stays with it, and forwards to it.
#include <array>

#include "model/config_sections.hpp"

namespace lb::model {
namespace {

constexpr std::array<std::string_view, 1> persistence_keys = {"timeout-sec"};
constexpr std::array<std::string_view, 3> forwarding_keys = {"mode", "path", "port"};
constexpr std::chrono::seconds default_persistence{3600};

const Choices<Algorithm> algorithms = {{"maglev", Algorithm::maglev},
                                       {"round-robin", Algorithm::round_robin},
                                       {"random", Algorithm::random},
                                       {"least-connections", Algorithm::least_connections},
                                       {"source-hash", Algorithm::source_hash}};
const Choices<ForwardingMode> modes = {{"nat", ForwardingMode::nat},
                                       {"full-nat", ForwardingMode::full_nat},
                                       {"dsr-l2", ForwardingMode::dsr_l2},
                                       {"dsr-ipip", ForwardingMode::dsr_ipip},
                                       {"dsr-gue", ForwardingMode::dsr_gue}};
const Choices<ForwardingPath> paths = {
    {"auto", ForwardingPath::automatic}, {"stack", ForwardingPath::stack}, {"fast", ForwardingPath::fast}};

std::optional<std::chrono::seconds> read_persistence(const Node& node)
{
    if (node.kind() == JsonKind::boolean) {
        if (*node.boolean()) return default_persistence;
        return std::nullopt;
    }
    if (node.kind() != JsonKind::object) {
        node.refuse("expected true, false or an object with timeout-sec");
        return std::nullopt;
    }
    const auto object = ObjectNode::read(node, {persistence_keys, {}});
    const auto value = object->find("timeout-sec");
    return value ? read_timeout(*value) : default_persistence;
}

void read_mode(const Node& node, ForwardingConfig& forwarding)
{
    const auto object = ObjectNode::read(node, {forwarding_keys, {}});
    if (!object) return;
    std::optional<ForwardingMode> mode = ForwardingMode::nat;
    if (const auto value = object->find("mode")) mode = value->choice(modes);
    forwarding.mode = mode.value_or(ForwardingMode::nat);
    if (const auto value = object->find("path"))
        forwarding.path = value->choice(paths).value_or(ForwardingPath::automatic);
    const auto port = object->find("port");
    if (!port) return;
    forwarding.gue_port = static_cast<u16>(port->integer(1, 65535).value_or(1));
    if (mode && mode != ForwardingMode::dsr_gue)
        port->refuse(R"(expected no port, or "mode": "dsr-gue", which alone has one)");
}

bool is_prime(u64 number)
{
    for (u64 divisor = 2; divisor * divisor <= number; ++divisor)
        if (number % divisor == 0) return false;
    return number > 1;
}

} // namespace

std::chrono::seconds read_timeout(const Node& node)
{
    return std::chrono::seconds(node.integer(1, timeout_max).value_or(1));
}

u32 read_table_size(const Node& node)
{
    if (node.kind() == JsonKind::string && node.shown() == "\"auto\"") return 0;
    const auto form = R"(a prime from 2 to )" + std::to_string(maglev_table_size_max) + R"(, or "auto")";
    if (node.kind() != JsonKind::number) return node.refuse("expected " + form), 0;
    const auto size = node.integer(2, maglev_table_size_max);
    if (!size || is_prime(*size)) return static_cast<u32>(size.value_or(0));
    u64 below = *size, above = *size;
    while (!is_prime(below)) --below;
    while (!is_prime(above)) ++above; // the greatest size is a prime
    node.refuse("expected " + form + ": the nearest are " + std::to_string(below) + " and " +
                std::to_string(above));
    return 0;
}

void read_forwarding(const ObjectNode& proxy, ProxyConfig& config)
{
    if (const auto value = proxy.find("algorithm"))
        config.algorithm = value->choice(algorithms).value_or(Algorithm::maglev);
    if (const auto value = proxy.find("maglev-table-size"))
        config.maglev_table_size = read_table_size(*value);
    if (const auto value = proxy.find("session-persistence")) config.persistence = read_persistence(*value);
    if (const auto value = proxy.find("forwarding")) read_mode(*value, config.forwarding);
}

} // namespace lb::model
