// Typed reading of a JSON tree. A Node is a value with its path; what it doesn't like it reports to the
// Problems of the file and reading goes on, so that a person sees every error at once. Nodes borrow the tree
// and the Problems. Not shared between threads.
#pragma once

#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lb/base/result.hpp"
#include "model/json_text.hpp"

namespace lb::model {

inline constexpr std::size_t kept_errors_max = 1000; ///< beyond this they are only counted

/// The errors of one file.
class Problems {
public:
    explicit Problems(std::string_view file_name) : file_(file_name) {}
    void add(Position at, std::string_view path, std::string_view message);
    bool empty() const { return kept_.empty(); }
    std::size_t count() const { return kept_.size() + more_; }
    /// All of them by place in the file, one per line, at most `lines_max` and a line that counts the rest.
    Error error(std::size_t lines_max) const;

private:
    std::string file_;
    std::vector<std::pair<Position, std::string>> kept_ = {};
    std::size_t more_ = 0;
};

/// A word of the file for a value of an enum.
template <class E> using Choices = std::initializer_list<std::pair<std::string_view, E>>;

/// One value of the file. The readers return nothing where they have reported.
class Node {
public:
    Node(const JsonValue& value, std::string path, Problems& problems)
        : value_(&value),
          path_(std::move(path)),
          problems_(&problems)
    {}

    Position at() const { return value_->at; }
    JsonKind kind() const { return value_->kind; }
    const std::string& path() const { return path_; }
    Problems& problems() const { return *problems_; }

    /// Reports `path: message`.
    void complain(std::string_view message) const { problems_->add(at(), path_, message); }
    /// Reports `path: value: message`.
    void refuse(std::string_view message) const { complain(shown() + ": " + std::string(message)); }
    /// The value for a message: as written, cut where it is long.
    std::string shown() const;

    std::optional<u64> integer(u64 min, u64 max) const;
    std::optional<bool> boolean() const;
    /// `expected` completes the message: "expected ...".
    std::optional<std::string> string(std::string_view expected) const;
    template <class E> std::optional<E> choice(Choices<E> choices) const;
    /// The elements of a list of 1..`max`, `expected` as for string().
    std::optional<std::vector<Node>> list(std::size_t max, std::string_view expected) const;

    /// The member of an object, the element of a list; nothing where there is none. Nothing is reported.
    std::optional<Node> member(std::string_view key) const;
    std::optional<Node> element(std::size_t index) const;

private:
    friend class ObjectNode;
    std::string path_of(std::string_view key) const;
    const JsonValue* value_;
    std::string path_;
    Problems* problems_;
};

/// The keys that an object may have: those read now, and those of the file format that this version hasn't
/// built yet.
struct Keys {
    std::span<const std::string_view> known = {};
    std::span<const std::string_view> later = {};
};

/// An object, whose keys were checked: unknown and repeated ones are reported.
class ObjectNode {
public:
    /// Nothing where the value isn't an object.
    static std::optional<ObjectNode> read(const Node& node, Keys keys);
    std::optional<Node> find(std::string_view key) const;
    /// Reports a key that is missing.
    std::optional<Node> require(std::string_view key, std::string_view expected) const;
    const Node& node() const { return node_; }

private:
    explicit ObjectNode(const Node& node) : node_(node) {}
    void check_keys(Keys keys) const;
    void report_unknown(const JsonMember& member, Keys keys) const;
    Node node_;
};

template <class E> std::optional<E> Node::choice(Choices<E> choices) const
{
    std::string expected;
    for (const auto& [word, value] : choices) {
        if (kind() == JsonKind::string && value_->text == word) return value;
        expected += (expected.empty() ? "expected " : " or ") + quoted(word);
    }
    refuse(expected);
    return std::nullopt;
}

} // namespace lb::model
