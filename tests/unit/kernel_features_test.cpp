// Kernel versions as people and uname write them, and the features that come with them.
#include "lb/base/kernel_features.hpp"

#include <catch2/catch.hpp>

using namespace lb;

TEST_CASE("a kernel has what its version brought and what those before it had")
{
    struct Row {
        const char* version;
        KernelFeatures features;
    };
    // major, minor, jiffies64, coarse_clock, bpf_loop, xdp_frags, isa_v4, tcx, may_goto, load_acquire
    const Row rows[] = {
        {"5.15", {5, 15, true, true, false, false, false, false, false, false}},
        {"5.17", {5, 17, true, true, true, false, false, false, false, false}},
        {"6.1", {6, 1, true, true, true, true, false, false, false, false}},
        {"6.5", {6, 5, true, true, true, true, false, false, false, false}},
        {"6.6", {6, 6, true, true, true, true, true, true, false, false}},
        {"6.9", {6, 9, true, true, true, true, true, true, true, false}},
        {"6.12", {6, 12, true, true, true, true, true, true, true, false}},
        {"6.15", {6, 15, true, true, true, true, true, true, true, true}},
        {"7.0", {7, 0, true, true, true, true, true, true, true, true}},
    };
    for (const auto& row : rows) {
        INFO(row.version);
        auto features = KernelFeatures::from_version(row.version);
        REQUIRE(features);
        CHECK(*features == row.features);
    }
}

TEST_CASE("a version may go on after its two numbers")
{
    for (const char* text : {"6.1.0-13-amd64", "6.1-rc3", "6.1+", "6.1.99"}) {
        INFO(text);
        auto version = parse_kernel_version(text);
        REQUIRE(version);
        CHECK(*version == KernelVersion{6, 1});
    }
}

TEST_CASE("what is no version is refused, and so is a kernel that is too old")
{
    for (const char* text : {"", "6", "6.", "6.x", ".1", "six.one", "6.1x", "-6.1", "99999999999.1"}) {
        INFO(text);
        auto features = KernelFeatures::from_version(text);
        REQUIRE_FALSE(features);
        CHECK(features.error().kind == ErrorKind::usage);
        CHECK(features.error().message ==
              "kernel version '" + std::string(text) + "' is not of the form 6.1");
    }
    for (const char* text : {"5.14", "5.10.2", "4.19"}) {
        auto features = KernelFeatures::from_version(text);
        REQUIRE_FALSE(features);
        CHECK(features.error().message ==
              "kernel " + std::string(text) + " is too old: lb needs 5.15 or later");
    }
}
