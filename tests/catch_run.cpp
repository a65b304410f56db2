#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>

#include "catch_run.hpp"

namespace lb::test {

int run_tests(int argc, const char* const* argv) { return Catch::Session().run(argc, argv); }

} // namespace lb::test
