#include "text_diff.hpp"

#include <algorithm>
#include <sstream>

namespace lb::test {
namespace {

using Lines = std::vector<std::string>;

// Marked lines: ' ' in both, '-' in the first only, '+' in the second only. By the longest common
// subsequence.
Lines merge(const Lines& was, const Lines& is)
{
    const std::size_t width = is.size() + 1;
    std::vector<std::size_t> common((was.size() + 1) * width); // of the ends from i and j on
    for (std::size_t i = was.size(); i-- > 0;)
        for (std::size_t j = is.size(); j-- > 0;)
            common[i * width + j] = was[i] == is[j]
                                        ? common[(i + 1) * width + j + 1] + 1
                                        : std::max(common[(i + 1) * width + j], common[i * width + j + 1]);
    Lines merged;
    std::size_t i = 0, j = 0;
    while (i < was.size() || j < is.size()) {
        if (i < was.size() && j < is.size() && was[i] == is[j]) {
            merged.push_back("  " + was[i]);
            ++i, ++j;
        } else if (j == is.size() ||
                   (i < was.size() && common[(i + 1) * width + j] >= common[i * width + j + 1])) {
            merged.push_back("- " + was[i++]);
        } else {
            merged.push_back("+ " + is[j++]);
        }
    }
    return merged;
}

} // namespace

std::vector<std::string> lines_of(const std::string& text)
{
    Lines lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

std::string text_diff(const std::string& was, const std::string& is, std::size_t shown_max)
{
    constexpr std::size_t around = 2;
    const Lines merged = merge(lines_of(was), lines_of(is));
    std::vector<bool> wanted(merged.size());
    for (std::size_t i = 0; i < merged.size(); ++i) {
        if (merged[i].front() == ' ') continue;
        const auto last = std::min(i + around + 1, merged.size());
        for (std::size_t near = i - std::min(i, around); near < last; ++near) wanted[near] = true;
    }
    std::string text;
    std::size_t shown = 0;
    for (std::size_t i = 0; i < merged.size(); ++i) {
        if (!wanted[i] || ++shown > shown_max) continue;
        if (shown > 1 && !wanted[i - 1]) text += "  ...\n";
        text += merged[i] + "\n";
    }
    if (shown > shown_max) text += "  ... and " + std::to_string(shown - shown_max) + " more lines\n";
    return text;
}

} // namespace lb::test
