// What is chance, and what is not.
#pragma once

#include <cmath>
#include <cstddef>

namespace lb::lab {

/// What Pearson's chi-square of a fair choice among so many exceeds once in a million times: the cube of a
/// normal distribution (Wilson and Hilferty).
inline double chi_square_bound(std::size_t choices)
{
    constexpr double normal = 4.753; // one in a million is beyond
    const double degrees = static_cast<double>(choices) - 1;
    const double part = 2 / (9 * degrees);
    return degrees * std::pow(1 - part + normal * std::sqrt(part), 3);
}

} // namespace lb::lab
