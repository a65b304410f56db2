// The command line as values.
#include "cli/options.hpp"

#include <catch2/catch.hpp>

using namespace lb;
using namespace lb::cli;

namespace {

Options parsed(std::vector<const char*> words)
{
    words.insert(words.begin(), "lb");
    const auto options = parse_options(static_cast<int>(words.size()), words.data());
    if (!options) FAIL(options.error().message);
    return *options;
}

} // namespace

TEST_CASE("without a word the command is run, with or without flags", "[cli]")
{
    CHECK(parsed({}).command == Command::run);
    CHECK(parsed({"-i", "eth0"}).command == Command::run);
    CHECK(parsed({"run"}).command == Command::run);
    CHECK(parsed({"check"}).command == Command::check);
    CHECK(parsed({"dump"}).command == Command::dump);
    CHECK(parsed({"verify"}).command == Command::verify);
    CHECK(parsed({"detach"}).command == Command::detach);
    CHECK(parsed({"help"}).command == Command::help);
    CHECK(parsed({"check", "--version"}).command == Command::version);
}

TEST_CASE("what is not given has its default", "[cli]")
{
    const Options options = parsed({"verify"});
    CHECK_FALSE(options.config_file);
    CHECK(options.overrides.interfaces.empty());
    CHECK_FALSE(options.overrides.port);
    CHECK_FALSE(options.overrides.target);
    CHECK_FALSE(options.overrides.stats);
    CHECK_FALSE(options.verbose);
    CHECK(options.format == DumpFormat::text);
    CHECK(options.program == Which::all);
    CHECK_FALSE(options.kernel);
    CHECK(options.log_level == 0);
    CHECK_FALSE(options.stats);
    CHECK_FALSE(options.broken);
    CHECK(options.instance == "default");
    CHECK_FALSE(options.host);
}

TEST_CASE("every flag arrives, by its short and its long name", "[cli]")
{
    for (const auto& words :
         {std::vector{"-c", "x.json", "-i", "eth0", "-i", "eth1", "-p", "65535", "-t", "[2001:db8::1]:8080",
                      "-s", "-v"},
          std::vector{"--config", "x.json", "--interface", "eth0", "--interface=eth1", "--port=65535",
                      "--target", "[2001:db8::1]:8080", "--stats", "--verbose"}}) {
        const Options options = parsed(words);
        CHECK(options.config_file == "x.json");
        CHECK(options.overrides.interfaces == std::vector<std::string>{"eth0", "eth1"});
        CHECK(options.overrides.port == 65535);
        REQUIRE(options.overrides.target);
        CHECK(options.overrides.target->text() == "[2001:db8::1]:8080");
        CHECK(options.overrides.stats);
        CHECK(options.verbose);
    }
    const Options dump = parsed({"dump", "--format", "hex", "--program", "egress", "--kernel", "6.1"});
    CHECK(dump.format == DumpFormat::hex);
    CHECK(dump.program == Which::egress);
    CHECK(dump.kernel == "6.1");
    CHECK(parsed({"verify", "--log-level", "2", "--broken", "null"}).log_level == 2);
    CHECK(parsed({"verify", "--broken", "null"}).broken == "null");
    CHECK(parsed({"detach", "--instance", "two"}).instance == "two");
    CHECK(parsed({"check", "--host"}).host);
    CHECK(parsed({"run", "--watch"}).watch);
    CHECK_FALSE(parsed({"run"}).watch);
}

TEST_CASE("with verify, --stats asks for the verifier's figures and changes no configuration", "[cli]")
{
    const Options options = parsed({"verify", "--stats"});
    CHECK(options.stats);
    CHECK_FALSE(options.overrides.stats);
}
