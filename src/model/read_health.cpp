// Health checks: each level of the file says what differs from the one above.
#include <algorithm>
#include <array>

#include "model/config_sections.hpp"

namespace lb::model {
namespace {

constexpr std::array<std::string_view, 14> known_keys = {
    "type",           "path",   "interval-ms", "timeout-ms", "healthy-threshold", "unhealthy-threshold",
    "expected-codes", "host",   "port",        "sni",        "tls-verify",        "send",
    "expect",         "command"};

const Choices<HealthCheckType> types = {{"tcp", HealthCheckType::tcp},     {"http", HealthCheckType::http},
                                        {"https", HealthCheckType::https}, {"udp", HealthCheckType::udp},
                                        {"exec", HealthCheckType::exec},   {"none", HealthCheckType::none}};

// It becomes a part of a request's head, where a space or a line's end would begin another.
bool is_plain(std::string_view text)
{
    return !text.empty() && text.size() <= 1024 &&
           std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
}

void read_path(const Node& node, std::string& path)
{
    constexpr std::string_view form = R"(a path that starts with "/", of printable ASCII without spaces)";
    const auto text = node.string(form);
    if (!text) return;
    if (!is_plain(*text) || text->front() != '/') return node.refuse("expected " + std::string(form));
    path = *text;
}

void read_host(const Node& node, std::string& host)
{
    constexpr std::string_view form = "a host name";
    const auto text = node.string(form);
    if (!text) return;
    if (!is_plain(*text)) return node.refuse("expected " + std::string(form));
    host = *text;
}

void read_datagram(const ObjectNode& object, std::string_view key, std::string& bytes)
{
    const auto node = object.find(key);
    if (!node) return;
    const auto text = node->string("a text");
    if (!text) return;
    if (text->size() > check_datagram_max)
        return node->complain(std::to_string(text->size()) + " bytes: expected at most " +
                              std::to_string(check_datagram_max));
    bytes = *text;
}

void read_command(const Node& node, std::vector<std::string>& command)
{
    const auto nodes = node.list(check_words_max, "a list of a program's path and its arguments");
    if (!nodes) return;
    command.clear();
    for (const Node& each : *nodes)
        if (const auto word = each.string("a text")) command.push_back(*word);
    if (!command.empty() && !command.front().starts_with('/'))
        nodes->front().refuse("expected an absolute path: there is no search path");
}

void read_codes(const Node& node, std::vector<u16>& codes)
{
    const auto nodes = node.list(expected_codes_max, "a list of HTTP status codes that isn't empty");
    if (!nodes) return;
    codes.clear();
    for (const Node& each : *nodes)
        if (const auto code = each.integer(100, 599)) codes.push_back(static_cast<u16>(*code));
}

void read_milliseconds(const ObjectNode& object, std::string_view key, u32 min, u32 max,
                       std::chrono::milliseconds& value)
{
    const auto node = object.find(key);
    if (!node) return;
    if (const auto number = node->integer(min, max)) value = std::chrono::milliseconds(*number);
}

void read_threshold(const ObjectNode& object, std::string_view key, u32& value)
{
    const auto node = object.find(key);
    if (!node) return;
    if (const auto number = node->integer(1, check_threshold_max)) value = static_cast<u32>(*number);
}

} // namespace

HealthCheck read_health_check(const Node& node, const HealthCheck& above)
{
    HealthCheck check = above;
    const std::size_t problems_before = node.problems().count();
    const auto object = ObjectNode::read(node, {known_keys, {}});
    if (!object) return check;
    if (const auto value = object->find("type")) check.type = value->choice(types).value_or(check.type);
    if (const auto value = object->find("path")) read_path(*value, check.path);
    if (const auto value = object->find("host")) read_host(*value, check.host);
    if (const auto value = object->find("sni")) read_host(*value, check.sni);
    if (const auto value = object->find("tls-verify")) check.tls_verify = value->boolean().value_or(true);
    read_datagram(*object, "send", check.send);
    read_datagram(*object, "expect", check.expect);
    if (const auto value = object->find("command")) read_command(*value, check.command);
    if (const auto value = object->find("expected-codes")) read_codes(*value, check.expected_codes);
    read_milliseconds(*object, "interval-ms", check_interval_min, check_interval_max, check.interval);
    read_milliseconds(*object, "timeout-ms", check_timeout_min, check_timeout_max, check.timeout);
    read_threshold(*object, "healthy-threshold", check.healthy_threshold);
    read_threshold(*object, "unhealthy-threshold", check.unhealthy_threshold);
    if (const auto value = object->find("port"))
        check.port = static_cast<u16>(value->integer(1, 65535).value_or(0));
    if (node.problems().count() > problems_before) return check;
    if (check.type == HealthCheckType::exec && check.command.empty())
        node.complain(R"(type "exec" without a "command": expected one)");
    if (check.timeout > check.interval)
        node.complain("timeout-ms " + std::to_string(check.timeout.count()) + " is longer than interval-ms " +
                      std::to_string(check.interval.count()) + ": expected no more");
    return check;
}

} // namespace lb::model
