#include "model/json_reader.hpp"

#include <algorithm>
#include <charconv>

namespace lb::model {
namespace {

constexpr std::size_t suggested_key_max = 40; // bytes; a longer key isn't a misspelling of ours

char folded(char c)
{
    if (c >= 'A' && c <= 'Z') return static_cast<char>(c + ('a' - 'A'));
    return c == '_' ? '-' : c;
}

// Levenshtein distance, letters folded to lower case and '_' to '-'.
std::size_t distance(std::string_view a, std::string_view b)
{
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = diagonal + (folded(a[i - 1]) == folded(b[j - 1]) ? 0 : 1);
            diagonal = std::exchange(row[j], std::min({replaced, row[j] + 1, row[j - 1] + 1}));
        }
    }
    return row[b.size()];
}

// The key that `given` was meant to be, or nothing: at most two changes, and most of it right.
std::string_view nearest(std::string_view given, Keys keys)
{
    std::string_view best;
    std::size_t best_distance = std::min<std::size_t>(given.size() / 2, 2) + 1;
    if (given.size() > suggested_key_max) return best;
    for (const auto list : {keys.known, keys.later}) {
        for (const std::string_view key : list) {
            const std::size_t d = distance(given, key);
            if (d < best_distance) best = key, best_distance = d;
        }
    }
    return best;
}

bool contains(std::span<const std::string_view> list, std::string_view key)
{
    return std::ranges::find(list, key) != list.end();
}

std::string place(Position at) { return std::to_string(at.line) + ":" + std::to_string(at.column); }

} // namespace

void Problems::add(Position at, std::string_view path, std::string_view message)
{
    if (kept_.size() == kept_errors_max) {
        ++more_;
        return;
    }
    std::string line = path.empty() ? std::string() : std::string(path) + ": ";
    kept_.emplace_back(at, line.append(message));
}

Error Problems::error(std::size_t lines_max) const
{
    auto sorted = kept_;
    std::ranges::stable_sort(sorted, {}, [](const auto& problem) { return problem.first; });
    const std::size_t shown = std::min(sorted.size(), lines_max);
    std::string message;
    for (const auto& [at, text] : std::span(sorted).first(shown)) {
        message += (message.empty() ? "" : "\n") + file_ + ":" + place(at) + ": " + text;
    }
    if (count() > shown) message += "\n" + file_ + ": and " + std::to_string(count() - shown) + " more";
    return Error{ErrorKind::config, std::move(message)};
}

std::string Node::shown() const
{
    constexpr std::size_t number_max = 60;
    switch (kind()) {
    case JsonKind::null:
        return "null";
    case JsonKind::boolean:
        return value_->boolean ? "true" : "false";
    case JsonKind::number:
        return value_->text.substr(0, number_max);
    case JsonKind::string:
        return quoted(value_->text);
    case JsonKind::array:
        return value_->items.empty() ? "[]" : "[...]";
    case JsonKind::object:
        return value_->members.empty() ? "{}" : "{...}";
    }
    return {};
}

std::optional<u64> Node::integer(u64 min, u64 max) const
{
    u64 number = 0;
    const std::string& text = value_->text;
    const char* const last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, number);
    const bool whole = kind() == JsonKind::number && error == std::errc{} && end == last;
    if (whole && number >= min && number <= max) return number;
    refuse("expected an integer " + std::to_string(min) + ".." + std::to_string(max));
    return std::nullopt;
}

std::optional<bool> Node::boolean() const
{
    if (kind() == JsonKind::boolean) return value_->boolean;
    refuse("expected true or false");
    return std::nullopt;
}

std::optional<std::string> Node::string(std::string_view expected) const
{
    if (kind() == JsonKind::string) return value_->text;
    refuse("expected " + std::string(expected));
    return std::nullopt;
}

std::optional<std::vector<Node>> Node::list(std::size_t max, std::string_view expected) const
{
    const auto& items = value_->items;
    if (kind() != JsonKind::array || items.empty()) {
        refuse("expected " + std::string(expected));
        return std::nullopt;
    }
    if (items.size() > max) {
        complain(std::to_string(items.size()) + " elements: expected at most " + std::to_string(max));
        return std::nullopt;
    }
    std::vector<Node> nodes;
    nodes.reserve(items.size());
    for (std::size_t i = 0; i < items.size(); ++i) nodes.push_back(*element(i));
    return nodes;
}

std::optional<Node> Node::element(std::size_t index) const
{
    if (index >= value_->items.size()) return std::nullopt;
    return Node(value_->items[index], path_ + "[" + std::to_string(index) + "]", *problems_);
}

std::optional<Node> Node::member(std::string_view key) const
{
    const auto found = std::ranges::find(value_->members, key, &JsonMember::key);
    if (found == value_->members.end()) return std::nullopt;
    return Node(found->value, path_of(key), *problems_);
}

std::string Node::path_of(std::string_view key) const
{
    const auto plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '_';
    };
    if (key.empty() || !std::ranges::all_of(key, plain)) return path_ + "[" + quoted(key) + "]";
    return (path_.empty() ? "" : path_ + ".") + std::string(key);
}

std::optional<ObjectNode> ObjectNode::read(const Node& node, Keys keys)
{
    if (node.kind() != JsonKind::object) {
        node.refuse("expected an object");
        return std::nullopt;
    }
    ObjectNode object(node);
    object.check_keys(keys);
    return object;
}

std::optional<Node> ObjectNode::find(std::string_view key) const { return node_.member(key); }

std::optional<Node> ObjectNode::require(std::string_view key, std::string_view expected) const
{
    auto found = find(key);
    if (!found)
        node_.problems().add(node_.at(), node_.path_of(key), "missing: expected " + std::string(expected));
    return found;
}

void ObjectNode::check_keys(Keys keys) const
{
    std::vector<const JsonMember*> seen; // of the known keys, so it stays short
    for (const JsonMember& member : node_.value_->members) {
        if (contains(keys.later, member.key)) {
            node_.problems().add(member.at, node_.path_of(member.key),
                                 "this version of lb does not have it yet");
        } else if (!contains(keys.known, member.key)) {
            report_unknown(member, keys);
        } else if (const auto first = std::ranges::find(seen, member.key, &JsonMember::key);
                   first != seen.end()) {
            node_.problems().add(member.at, node_.path_of(member.key),
                                 "duplicate key: it was given at " + place((*first)->at) + " already");
        } else {
            seen.push_back(&member);
        }
    }
}

void ObjectNode::report_unknown(const JsonMember& member, Keys keys) const
{
    std::string message = "unknown key";
    if (const auto meant = nearest(member.key, keys); !meant.empty()) {
        message += ": did you mean " + quoted(meant) + "?";
    } else {
        message += ": expected one of";
        for (const auto key : keys.known) message += (key == keys.known.front() ? " " : ", ") + quoted(key);
    }
    node_.problems().add(member.at, node_.path_of(member.key), message);
}

} // namespace lb::model
