// Catch2's implementation is compiled once for every test program; a main of one's own calls it by this.
#pragma once

namespace lb::test {

/// Runs the tests that the arguments name; what main returns.
int run_tests(int argc, const char* const* argv);

} // namespace lb::test
