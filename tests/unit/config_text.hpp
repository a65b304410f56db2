// Configuration texts for the tests of the reader: right in all but the part that a test writes, which stands
// alone on line 2 from column 1, so that a message's place can be read off the part itself.
#pragma once

#include <string>

#include "model/config_reader.hpp"

#include <catch2/catch.hpp>

namespace lb::test {

inline const std::string good_name = R"("name": "web")";
inline const std::string good_listen = R"("listen": {"interfaces": ["eth0"], "port": 80})";
inline const std::string good_target = R"("default-target": {"ip": "10.0.0.1", "port": 8080})";
inline const std::string good_proxy = "{" + good_name + ", " + good_listen + ", " + good_target + "}";

inline std::string in_root(const std::string& part) { return "\n" + part; }
inline std::string in_proxies(const std::string& part) { return "{\"proxies\":\n" + part + "}"; }
inline std::string in_proxy(const std::string& part) { return "{\"proxies\": [\n" + part + "]}"; }
inline std::string in_settings(const std::string& part)
{
    return "{\"proxies\": [" + good_proxy + "], \"settings\":\n" + part + "}";
}

/// A file with one proxy: `before`, and the part, which is a member or the value that `before` ends for.
inline std::string one_proxy(const std::string& before, const std::string& part,
                             const std::string& after = "")
{
    return "{\"proxies\": [{" + before + "\n" + part + after + "}]}";
}
/// Members of a proxy, besides those that it must have.
inline std::string in_good_proxy(const std::string& part)
{
    return one_proxy(good_name + ", " + good_listen + ", " + good_target + ",", part);
}
inline std::string in_name(const std::string& part)
{
    return one_proxy(good_listen + ", " + good_target + ", \"name\":", part);
}
inline std::string in_listen(const std::string& part)
{
    return one_proxy(good_name + ", " + good_target + ", \"listen\":", part);
}
inline std::string in_interfaces(const std::string& part)
{
    return one_proxy(good_name + ", " + good_target + R"(, "listen": {"port": 80, "interfaces":)", part, "}");
}
inline std::string in_address(const std::string& part)
{
    return one_proxy(good_name + ", " + good_target +
                         R"(, "listen": {"interfaces": ["eth0"], "port": 80, "address":)",
                     part, "}");
}
inline std::string in_target(const std::string& part)
{
    return one_proxy(good_name + ", " + good_listen + ", \"default-target\":", part);
}
inline std::string in_relative_target(const std::string& part)
{
    return one_proxy(good_name + ", " + good_listen + R"(, "weight-mode": "relative", "default-target":)",
                     part);
}
inline std::string in_routes(const std::string& part)
{
    return one_proxy(good_name + ", " + good_listen + ", " + good_target + ", \"source-routes\":", part);
}

/// What the reader says of a text, all lines; "accepted" where it has nothing to say.
inline std::string refusal(const std::string& text)
{
    const auto config = model::read_config(text, "t.json");
    if (config) return "accepted";
    CHECK(config.error().kind == ErrorKind::config);
    return config.error().message;
}

inline model::Config accepted(const std::string& text)
{
    INFO(text.substr(0, 500));
    const auto config = model::read_config(text, "t.json");
    if (!config) FAIL(config.error().message);
    return *config;
}

/// A part of a text, and what is said of it after "t.json:2:", where every such part stands.
struct Refusal {
    std::string part = {};
    std::string message = {};
};

template <std::size_t N> void check_refusals(std::string (*in)(const std::string&), const Refusal (&rows)[N])
{
    for (const Refusal& row : rows) {
        INFO(row.part.substr(0, 500));
        CHECK(refusal(in(row.part)) == "t.json:2:" + row.message);
    }
}

/// `count` times what `element` gives for 0, 1, ..., as a JSON list.
template <class Element> std::string list_of(std::size_t count, const Element& element)
{
    std::string list;
    for (std::size_t i = 0; i < count; ++i) list += (i == 0 ? "" : ", ") + element(i);
    return "[" + list + "]";
}

} // namespace lb::test
