// The main of test executables that need the lab: they end with 77, the test runner's sign for a skip, and a
// reason where it cannot be had. Include in one file, with CATCH_CONFIG_RUNNER defined before Catch2 is.
#pragma once

#include <catch2/catch.hpp>
#include <cstdio>

#include "lab/netns.hpp"

int main(int argc, char** argv)
{
    if (const auto reason = lb::lab::start_lab()) {
        std::fprintf(stderr, "skipped: %s\n", reason->c_str());
        return 77;
    }
    return Catch::Session().run(argc, argv);
}
