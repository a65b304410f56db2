// The command line: commands, flags and their values, and what is said where they are wrong.
#include "cli.hpp"

using namespace lb::cli_test;
using lb::lab::Argv;

TEST_CASE("help and version go to standard output", "[cli]")
{
    for (const Argv& words :
         {Argv{"--help"}, Argv{"-h"}, Argv{"help"}, Argv{"check", "--help"}, Argv{"dump", "-h"}}) {
        const Said said = say(words);
        CHECK(said.status == ok);
        CHECK(said.err.empty());
        for (const char* part :
             {"Usage:", "lb check", "lb dump", "lb verify", "lb detach", "Exit codes:", "--interface"})
            CHECK(said.out.find(part) != std::string::npos);
    }
    for (const Argv& words : {Argv{"--version"}, Argv{"version"}}) {
        const Said said = say(words);
        CHECK(said.status == ok);
        CHECK(said.err.empty());
        CHECK(said.out.starts_with("lb 0."));
        CHECK(said.out.ends_with("\n"));
    }
}

TEST_CASE("a word that is no command is refused", "[cli]")
{
    check_refused(say({"nonsense"}), usage, "unknown command 'nonsense'; see lb --help");
    check_refused(say({"Check"}), usage, "unknown command 'Check'; see lb --help");
    check_refused(say({""}), usage, "unknown command ''; see lb --help");
}

TEST_CASE("a word too many is refused by name", "[cli]")
{
    check_refused(say({"check", "more"}), usage,
                  "unexpected 'more': the command comes first, then flags; see lb --help");
    check_refused(say({"-c", "x.json", "check"}), usage,
                  "unexpected 'check': the command comes first, then flags; see lb --help");
    check_refused(say({"check", "-i", "eth0", "eth1"}), usage,
                  "unexpected 'eth1': the command comes first, then flags; see lb --help");
    check_refused(say({"check", "--", "-i"}), usage,
                  "unexpected '-i': the command comes first, then flags; see lb --help");
}

TEST_CASE("an unknown, half-written or repeated flag, or one without its value, is refused", "[cli]")
{
    check_refused(say({"check", "--nonsense"}), usage, "unrecognised option '--nonsense'; see lb --help");
    check_refused(say({"check", "-x"}), usage, "unrecognised option '-x'; see lb --help");
    check_refused(say({"check", "--conf", "x"}), usage, "unrecognised option '--conf'; see lb --help");
    check_refused(say({"check", "-c", "a", "-c", "b"}), usage,
                  "option '--config' cannot be specified more than once; see lb --help");
    check_refused(say({"check", "-i"}), usage,
                  "the required argument for option '--interface' is missing; see lb --help");
}

TEST_CASE("a flag that does not belong to the command is refused", "[cli]")
{
    struct Row {
        Argv words;
        const char* flag;
    };
    const Row rows[] = {
        {{"check", "-i", "eth0", "--kernel", "6.1"}, "--kernel"},
        {{"check", "-i", "eth0", "--format", "hex"}, "--format"},
        {{"check", "-i", "eth0", "--program", "ingress"}, "--program"},
        {{"check", "-i", "eth0", "--log-level", "1"}, "--log-level"},
        {{"check", "-i", "eth0", "--broken", "null"}, "--broken"},
        {{"check", "-i", "eth0", "--instance", "a"}, "--instance"},
        {{"dump", "-i", "eth0", "--host"}, "--host"},
        {{"dump", "-i", "eth0", "--log-level", "1"}, "--log-level"},
        {{"verify", "-i", "eth0", "--kernel", "6.1"}, "--kernel"},
        {{"-i", "eth0", "--format", "hex"}, "--format"}, // run
        {{"run", "-i", "eth0", "--host"}, "--host"},
        {{"detach", "-c", "x.json"}, "--config"},
        {{"detach", "-i", "eth0"}, "--interface"},
        {{"detach", "-p", "80"}, "--port"},
        {{"detach", "-t", "10.0.0.1:80"}, "--target"},
        {{"detach", "-s"}, "--stats"},
    };
    for (const Row& row : rows)
        check_refused(say(row.words), usage,
                      std::string(row.flag) + " does not go with this command; see lb --help");
}

TEST_CASE("a port or a target that is none is refused as it was written", "[cli]")
{
    for (const char* port :
         {"0", "65536", "99999999999", "-1", "-4294967216", "+80", "80x", "x", "8 0", "0x50"})
        check_refused(say({"check", "-i", "eth0", "--port=" + std::string(port)}), usage,
                      "-p " + std::string(port) + ": expected a port, 1..65535");
    for (const char* target :
         {"10.0.0.1", "10.0.0.1:", ":80", "10.0.0.1:0", "10.0.0.1:65536", "web:80", "::1:80"})
        check_refused(say({"check", "-i", "eth0", "-t", target}), usage,
                      "-t " + std::string(target) +
                          ": expected IP:PORT, as 10.0.0.1:8080 or [2001:db8::1]:8080");
    check_refused(say({"check", "-i", "eth0", "-t", "[::1]:80"}), usage,
                  "-t [::1]:80: IPv6 has no way to route to its loopback address: expected another address "
                  "of this host");
}

TEST_CASE("a choice that is none is refused with the choice", "[cli]")
{
    check_refused(say({"dump", "-i", "eth0", "--format", "xml"}), usage,
                  "--format xml: expected one of text, hex, raw, c, json");
    check_refused(say({"dump", "-i", "eth0", "--program", "both"}), usage,
                  "--program both: expected one of ingress, egress, inside, siit");
    for (const char* level : {"3", "-1", "-4294967295", "x"})
        check_refused(say({"verify", "-i", "eth0", "--log-level=" + std::string(level)}), usage,
                      "--log-level " + std::string(level) + ": expected 0, 1 or 2");
}

TEST_CASE("an instance that is no name is refused before anything is looked at", "[cli]")
{
    const std::string form = ": expected a name: 1..31 of A-Z a-z 0-9 . _ -, not starting with .";
    for (const char* name : {"../x", "a/b", "", ".", "..", "a b"})
        check_refused(say({"detach", "--instance", name}), usage,
                      "--instance \"" + std::string(name) + "\"" + form);
}

TEST_CASE("the flags' port, target and interfaces make a configuration", "[cli]")
{
    const Said said =
        say({"check", "-i", "eth0", "-i", "eth1", "-p", "53", "-t", "10.0.0.1:5353", "-s", "-v"});
    CHECK(said.status == ok);
    CHECK(said.err.empty());
    CHECK(said.out == "ok: 1 proxies, 2 listeners, 1 targets, 0 source routes\n");
    check_refused(say({"check", "-i", "eth0", "-i", "eth0"}), usage, "-i eth0: the same interface twice");
    check_refused(say({"check", "-i", "a/b"}), usage,
                  "-i \"a/b\": expected the name of an interface: 1..15 bytes without blanks, '/' and ':'");
}
