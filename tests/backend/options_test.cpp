// The command line of `lb backend` as values.
#include "cli/options.hpp"

#include <catch2/catch.hpp>

using namespace lb;
using namespace lb::cli;

namespace {

Result<BackendOptions> parse(const std::string& words)
{
    std::vector<std::string> split;
    for (std::size_t at = 0; at < words.size();) {
        const auto end = std::min(words.find(' ', at), words.size());
        split.push_back(words.substr(at, end - at));
        at = end + 1;
    }
    return parse_backend_options(split);
}

std::string refusal(const std::string& words)
{
    const auto options = parse(words);
    if (options) return "fine";
    CHECK(options.error().kind == ErrorKind::usage);
    return options.error().message;
}

} // namespace

TEST_CASE("what is not given has its default", "[backend]")
{
    const auto options = parse("-i eth0 --vip 192.0.2.1");
    REQUIRE(options);
    const auto& backend = options->backend;
    CHECK(backend.interfaces == std::vector<std::string>{"eth0"});
    CHECK(backend.egress_interfaces.empty());
    CHECK(backend.vips == std::vector{*IpAddress::parse("192.0.2.1")});
    CHECK(backend.tunnel == model::Tunnel::ipip);
    CHECK(backend.gue_port == 6080);
    CHECK_FALSE(backend.mss);
    CHECK(backend.senders.empty());
    CHECK(backend.instance == "backend");
    CHECK_FALSE(options->print);
    CHECK_FALSE(options->detach);
}

TEST_CASE("every flag of a backend arrives", "[backend]")
{
    const auto options =
        parse("--interface eth0 -i eth1 --egress-interface eth2 --vip 192.0.2.1 --vip 2001:db8::1 "
              "--mode gue --gue-port 5555 --from 10.0.0.0/8 --from 2001:db8:1::1 --mss 1300 "
              "--instance b --print -v");
    REQUIRE(options);
    const auto& backend = options->backend;
    CHECK(backend.interfaces == std::vector<std::string>{"eth0", "eth1"});
    CHECK(backend.egress_interfaces == std::vector<std::string>{"eth2"});
    CHECK(backend.vips == std::vector{*IpAddress::parse("192.0.2.1"), *IpAddress::parse("2001:db8::1")});
    CHECK(backend.tunnel == model::Tunnel::gue);
    CHECK(backend.gue_port == 5555);
    CHECK(backend.mss == 1300);
    CHECK(backend.senders == std::vector{*Prefix::parse("10.0.0.0/8"), *Prefix::parse("2001:db8:1::1")});
    CHECK(backend.instance == "b");
    CHECK(options->print);
    CHECK(options->verbose);
}

TEST_CASE("a wrong word of a backend's command line is refused, and the message says what was expected",
          "[backend]")
{
    const std::string good = "-i eth0 --vip 192.0.2.1 ";
    CHECK(refusal(good) == "fine");
    CHECK(refusal("-i eth0 --vip 192.0.2.1:80") ==
          "--vip 192.0.2.1:80: expected an address, as 192.0.2.1 or 2001:db8::1");
    CHECK(refusal(good + "--from x") == "--from x: expected an address or prefix, as 192.0.2.0/24");
    CHECK(refusal(good + "--mode IPIP") == "--mode IPIP: expected one of ipip, gue, l2");
    for (const char* port : {"0", "65536", "-1", "+1", "x", "80x"})
        CHECK(refusal(good + "--mode gue --gue-port " + port) ==
              std::string("--gue-port ") + port + ": expected a port, 1..65535");
    CHECK(refusal(good + "--gue-port 5555") == "--gue-port goes with --mode gue only");
    for (const char* mss : {"0", "87", "65536", "x"})
        CHECK(refusal(good + "--mss " + mss) ==
              std::string("--mss ") + mss + ": expected auto, or 88..65535");
    CHECK(refusal(good + "--print --detach") == "--detach and --print exclude each other");
    CHECK(refusal(good + "stray") == "unexpected 'stray'; see lb backend --help");
    CHECK(refusal("--detach") == "fine");
    CHECK(refusal("--detach --instance ../x").starts_with("--instance \"../x\": "));
    CHECK(refusal("") == "--interface is missing: where the balancer's packets arrive");
}

TEST_CASE("lb backend is a command, with a help of its own", "[backend]")
{
    const std::vector<const char*> run{"lb", "backend", "-i", "eth0", "--vip", "192.0.2.1"};
    const auto options = parse_options(static_cast<int>(run.size()), run.data());
    REQUIRE(options);
    CHECK(options->command == Command::backend);
    CHECK(options->backend.backend.interfaces == std::vector<std::string>{"eth0"});
    const std::vector<const char*> ask{"lb", "backend", "--help"};
    const auto help = parse_options(static_cast<int>(ask.size()), ask.data());
    REQUIRE(help);
    CHECK(help->command == Command::help);
    CHECK(help->help.find("--gue-port") != std::string::npos);
}
