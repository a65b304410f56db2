// What a proxy's keys say against each other, and against the settings: combinations of good values that
// can't work. The file, the flags and a Config made by hand are held to the same rules. Pure; safe from any
// thread.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "model/config.hpp"

namespace lb::model {

/// Where in a proxy: keys, and indices of lists. A group of targets is a list here, "targets" also where the
/// file says "target".
using Place = std::vector<std::variant<std::string_view, std::size_t>>;

struct Contradiction {
    Place place = {};
    std::string value = {};   ///< at that place, as messages show values
    std::string message = {}; ///< what is wrong with it, and what was expected
};

/// For where there is no file: `listen.port: 80: expected ...`.
std::string text(const Contradiction& contradiction);

/// All of them. The proxy's single values and its groups are right by themselves.
std::vector<Contradiction> contradictions(const ProxyConfig& proxy, const Settings& settings);

} // namespace lb::model
