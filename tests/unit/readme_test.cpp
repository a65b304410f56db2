// The README keeps up with the code: every way out of the programs stands in its table, with its verdict.
#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "model/reason.hpp"

using namespace lb;

TEST_CASE("the README has a row for each reason, in the order of their numbers, with the verdict", "[readme]")
{
    std::ifstream file(LB_README);
    REQUIRE(file);
    std::stringstream text;
    text << file.rdbuf();
    const std::string readme = text.str();
    std::size_t at = 0;
    for (const auto& reason : model::reasons) {
        const std::string row =
            "\n| `" + std::string(reason.name) + "` | " + std::string(name_of(reason.outcome)) + " | ";
        INFO(row);
        const auto found = readme.find(row, at);
        REQUIRE(found != std::string::npos);
        at = found;
    }
}
