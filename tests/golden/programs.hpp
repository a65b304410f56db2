// Configuration text to the two programs that it generates, for tests of what is generated. No privileges.
#pragma once

#include <string>

#include "datapath/generate.hpp"
#include "lb/asm/program.hpp"

namespace lb::test {

struct Programs {
    bpf::Program ingress = {};
    bpf::Program egress = {};
};

/// Fails the test case where the text is no configuration or the programs cannot be made.
Programs generate(const std::string& text, const std::string& kernel = "6.18");

} // namespace lb::test
