// lb verify: what the kernel's verifier makes of the programs, and of broken ones.
#include <fstream>
#include <regex>

#include "setup.hpp"

using namespace lb::e2e;

namespace {

constexpr int exit_rejected = 6;

std::string source_root()
{
    const char* root = std::getenv("LB_SOURCE");
    REQUIRE(root != nullptr);
    return root;
}

Output verify(Argv flags)
{
    Argv argv{lb_program(), "verify", "-c", source_root() + "/configs/demo.json"};
    argv.insert(argv.end(), flags.begin(), flags.end());
    return run(argv);
}

std::string line_of(const std::string& file, std::size_t number)
{
    std::ifstream text(file);
    std::string line;
    for (std::size_t i = 0; i < number; ++i) std::getline(text, line);
    return line;
}

} // namespace

TEST_CASE("the demo's programs are accepted, with the verifier's figures", "[e2e]")
{
    const Output output = verify({"--stats"});
    INFO(output.text);
    CHECK(output.status == 0);
    for (const char* name : {"lb_ingress", "lb_egress"})
        CHECK(std::regex_search(output.text,
                                std::regex(std::string(name) +
                                           R"(: accepted; \d+ slots, .*\d+ bytes of machine code; )"
                                           R"(verifier: \d+ instructions processed of \d+, \d+ states.*)"
                                           R"(stack \d+ bytes)")));
    const Output one = verify({"--program", "egress", "--log-level", "2"});
    CHECK(one.status == 0);
    CHECK(one.text.find("lb_ingress: accepted") == std::string::npos);
    // The kernel's own log shows our lines.
    CHECK(std::regex_search(one.text, std::regex(R"(; find the flow @ flow\.cpp:\d+)")));
}

TEST_CASE("a rejected program is explained under the very line that made the instruction", "[e2e]")
{
    struct Row {
        const char* kind;
        const char* note;
        const char* registers;
    };
    for (const auto& row :
         {Row{"packet", "read the packet without a claim", "r2 is a packet pointer"},
          Row{"null", "use a map's value without asking", "r0 is a value of map 'flows4'"},
          Row{"value", "read behind the end of a map's value", "r0 is a value of map 'targets'"}}) {
        const Output output = verify({"--broken", row.kind});
        INFO(output.text);
        CHECK(output.status == exit_rejected);
        std::smatch found;
        REQUIRE(std::regex_search(output.text, found, std::regex(R"(made by verify\.cpp:(\d+) \()")));
        const std::string line = line_of(source_root() + "/src/cli/verify.cpp", std::stoul(found[1]));
        INFO(line);
        CHECK(line.find("b.emit(load(") != std::string::npos);
        CHECK(output.text.find(row.note) != std::string::npos);
        CHECK(output.text.find(row.registers) != std::string::npos);
        CHECK(output.text.find("What to change: ") != std::string::npos);
    }
}
