// The difference of two texts, line by line, for a person. Pure.
#pragma once

#include <string>
#include <vector>

namespace lb::test {

/// The lines of `text`, without their ends.
std::vector<std::string> lines_of(const std::string& text);

/// `-` lines that are only in `was`, `+` those that are only in `is`, with two lines around each change;
/// after `shown_max` lines it ends with how many more there are. Empty where the texts are equal.
std::string text_diff(const std::string& was, const std::string& is, std::size_t shown_max = 40);

} // namespace lb::test
