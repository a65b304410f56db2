// The main of test executables that need the lab: they end with 77, the test runner's sign for a skip, and a
// reason where it cannot be had. Include in one file.
#pragma once

#include <cstdio>

#include "catch_run.hpp"
#include "lab/netns.hpp"

int main(int argc, char** argv)
{
    if (const auto reason = lb::lab::start_lab()) {
        std::fprintf(stderr, "skipped: %s\n", reason->c_str());
        return 77;
    }
    return lb::test::run_tests(argc, argv);
}
