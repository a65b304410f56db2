// Golden listings: what is generated for some configurations, as text that is reviewed when it changes. A
// listing holds no line numbers of our own sources, so that it changes where generated code does and nowhere
// else.
//
//     LB_UPDATE_GOLDEN=1 build/tests/golden/golden_test    writes all of them anew
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "lb/asm/disasm.hpp"

#include "programs.hpp"
#include "text_diff.hpp"

#include <catch2/catch.hpp>

using namespace lb;
using namespace lb::test;
namespace fs = std::filesystem;

namespace {

const fs::path source_root = LB_SOURCE_ROOT;
const fs::path golden_folder = source_root / "tests/golden";
constexpr const char* newest = "6.18";
constexpr const char* older = "6.1";

std::string read(const fs::path& path)
{
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

// Those of this folder, and the demo's.
std::vector<fs::path> configurations()
{
    std::vector<fs::path> paths = {source_root / "configs/demo.json"};
    for (const auto& entry : fs::directory_iterator(golden_folder))
        if (entry.path().extension() == ".json") paths.push_back(entry.path());
    std::ranges::sort(paths);
    return paths;
}

std::string instructions(const bpf::Program& program) { return disassemble(program, {.positions = false}); }

std::string figures(const Programs& programs, const std::string& kernel)
{
    const auto of = [](const bpf::Program& program) {
        return program.name + " " + std::to_string(program.code.size()) + " slots, attach type " +
               std::to_string(static_cast<u32>(program.attach)) + (program.frags ? ", frags" : "");
    };
    return "# kernel " + kernel + ": " + of(programs.ingress) + "; " + of(programs.egress) + "\n";
}

std::string code_of(const Programs& programs)
{
    return instructions(programs.ingress) + "\n" + instructions(programs.egress);
}

// The whole file for a configuration: the older kernel's instructions only where they are others.
std::string listing(const fs::path& configuration)
{
    const std::string text = read(configuration);
    const Programs programs = generate(text, newest), before = generate(text, older);
    const std::string code = code_of(programs), code_before = code_of(before);
    std::string out = "# " + configuration.filename().string() + "\n" + figures(programs, newest) +
                      figures(before, older) + "\n" + code;
    if (code_before != code) out += "\n# kernel " + std::string(older) + "\n\n" + code_before;
    return out;
}

fs::path golden_of(const fs::path& configuration)
{
    return golden_folder / (configuration.stem().string() + ".txt");
}

} // namespace

TEST_CASE("what is generated is what was reviewed", "[golden]")
{
    const bool update = std::getenv("LB_UPDATE_GOLDEN") != nullptr;
    for (const auto& configuration : configurations()) {
        const fs::path golden = golden_of(configuration);
        const std::string made = listing(configuration);
        const std::string reviewed = read(golden);
        if (made == reviewed) continue;
        if (update) {
            std::ofstream(golden, std::ios::binary) << made;
            WARN(golden.filename().string() << " written anew");
            continue;
        }
        FAIL_CHECK(
            golden.filename().string()
            << (reviewed.empty() ? " is not there" : " (-) is not what is generated now (+)") << ":\n"
            << text_diff(reviewed, made)
            << "Where this is meant: LB_UPDATE_GOLDEN=1 build/tests/golden/golden_test, and commit it.");
    }
}

TEST_CASE("no golden listing is left over", "[golden]")
{
    std::vector<fs::path> expected;
    for (const auto& configuration : configurations()) expected.push_back(golden_of(configuration));
    for (const auto& entry : fs::directory_iterator(golden_folder))
        if (entry.path().extension() == ".txt")
            CHECK(std::ranges::find(expected, entry.path()) != expected.end());
}

TEST_CASE("the same configuration gives the same programs, byte for byte", "[golden]")
{
    for (const auto& configuration : configurations()) {
        const Programs one = generate(read(configuration)), two = generate(read(configuration));
        CHECK(one.ingress.code == two.ingress.code);
        CHECK(one.egress.code == two.egress.code);
    }
}

TEST_CASE("a golden listing names no place in our own sources", "[golden]")
{
    for (const auto& configuration : configurations())
        CHECK(listing(configuration).find(".cpp") == std::string::npos);
}
