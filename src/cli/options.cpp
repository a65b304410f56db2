#include "cli/options.hpp"

#include "model/config_rules.hpp"
#include "model/json_text.hpp"

#include <array>
#include <boost/program_options.hpp>
#include <charconv>
#include <limits>
#include <sstream>

namespace lb::cli {
namespace {

namespace po = boost::program_options;

constexpr std::string_view usage = R"(lb - a Layer 4 load balancer that writes its own XDP and TC programs

Usage:
  lb [run]  [-c FILE] [-i IFACE]... [-p PORT] [-t IP:PORT] [-s] [-v] [--watch]
  lb check  [-c FILE] [--host]   validate a configuration; needs no privileges. --host: look at this machine too
  lb dump   [-c FILE] [--format text|hex|raw|c|json] [--program ingress|egress|inside|siit] [--kernel 6.1]
                                 print the programs that it generates; needs no privileges
  lb verify [-c FILE] [--log-level 1|2] [--stats] [--program ingress|egress|inside|siit]
                                 let this kernel's verifier judge them
  lb detach [--instance NAME]    take off what an instance left attached
  lb backend ...                 the receiving side of direct server return; see lb backend --help

Exit codes: 0 ok, 1 failure, 2 usage, 3 configuration invalid, 5 host not ready (permission, interface, kernel),
6 rejected by the verifier.

Options)";

struct Name {
    std::string_view text;
    Command command;
};
constexpr std::array commands{Name{"run", Command::run},       Name{"check", Command::check},
                              Name{"dump", Command::dump},     Name{"verify", Command::verify},
                              Name{"detach", Command::detach}, Name{"backend", Command::backend},
                              Name{"help", Command::help},     Name{"version", Command::version}};

template <class T, std::size_t N>
Result<T> one_of(const std::string& flag, const std::string& value,
                 const std::array<std::pair<std::string_view, T>, N>& known)
{
    std::string expected;
    for (const auto& [name, meaning] : known) {
        if (name == value) return meaning;
        expected += (expected.empty() ? "" : ", ") + std::string(name);
    }
    return fail(ErrorKind::usage, flag + " " + value + ": expected one of " + expected);
}

// Decimal digits alone: Boost's own reading of numbers takes signs, and -4294967216 as 80.
std::optional<u32> whole_number(const std::string& text, u32 max)
{
    u32 number = 0;
    const char* const last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, number);
    if (error != std::errc{} || end != last || number > max) return std::nullopt;
    return number;
}

po::options_description describe()
{
    po::options_description all{std::string(usage)};
    auto add = all.add_options();
    add("config,c", po::value<std::string>(), "configuration file (default: lb.json where there is one)");
    add("interface,i", po::value<std::vector<std::string>>()->composing(),
        "interface to listen on; repeatable");
    add("port,p", po::value<std::string>(), "port to listen on (default 80)");
    add("target,t", po::value<std::string>(), "where connections go (default 127.0.0.1:8080)");
    add("stats,s", "connection statistics; with verify: the verifier's figures");
    add("verbose,v", "log at level debug");
    add("watch", "of run: reload when the configuration file has changed");
    add("format", po::value<std::string>()->default_value("text"), "of dump: text, hex, raw, c, json");
    add("program", po::value<std::string>(), "only ingress, egress, inside or siit");
    add("kernel", po::value<std::string>(), "of dump: generate for this kernel version");
    add("log-level", po::value<std::string>()->default_value("0"),
        "of verify: 1 or 2 prints the kernel's log");
    add("broken", po::value<std::string>(),
        "of verify: a program that must be rejected: packet, null, value");
    add("host", "of check: can this machine run it? Reads interfaces, routes and settings, changes nothing");
    add("instance", po::value<std::string>()->default_value("default"), "of detach: which instance");
    add("version", "print the version");
    add("help,h", "this text");
    return all;
}

Result<void> read_overrides(const po::variables_map& given, model::Overrides& overrides)
{
    if (given.contains("interface")) overrides.interfaces = given["interface"].as<std::vector<std::string>>();
    overrides.stats = given.contains("stats");
    if (given.contains("port")) {
        const auto& text = given["port"].as<std::string>();
        const auto port = whole_number(text, std::numeric_limits<u16>::max());
        if (!port || *port == 0) return fail(ErrorKind::usage, "-p " + text + ": expected a port, 1..65535");
        overrides.port = narrow<u16>(*port);
    }
    if (given.contains("target")) {
        const auto& text = given["target"].as<std::string>();
        overrides.target = Endpoint::parse(text);
        if (!overrides.target)
            return fail(ErrorKind::usage,
                        "-t " + text + ": expected IP:PORT, as 10.0.0.1:8080 or [2001:db8::1]:8080");
    }
    return {};
}

Result<void> read_command_options(const po::variables_map& given, Options& options)
{
    using enum DumpFormat;
    const auto format =
        one_of<DumpFormat, 5>("--format", given["format"].as<std::string>(),
                              {{{"text", text}, {"hex", hex}, {"raw", raw}, {"c", c}, {"json", json}}});
    if (!format) return std::unexpected(format.error());
    options.format = *format;
    if (given.contains("program")) {
        const auto which = one_of<Which, 4>("--program", given["program"].as<std::string>(),
                                            {{{"ingress", Which::ingress},
                                              {"egress", Which::egress},
                                              {"inside", Which::inside},
                                              {"siit", Which::siit}}});
        if (!which) return std::unexpected(which.error());
        options.program = *which;
    }
    if (given.contains("kernel")) options.kernel = given["kernel"].as<std::string>();
    if (given.contains("broken")) options.broken = given["broken"].as<std::string>();
    const auto& level = given["log-level"].as<std::string>();
    const auto log_level = whole_number(level, 2);
    if (!log_level) return fail(ErrorKind::usage, "--log-level " + level + ": expected 0, 1 or 2");
    options.log_level = *log_level;
    options.instance = given["instance"].as<std::string>();
    // It names folders that are removed.
    if (const std::string problem = model::instance_problem(options.instance); !problem.empty())
        return fail(ErrorKind::usage, "--instance " + model::quoted(options.instance) + ": " + problem);
    return {};
}

/// What a flag means elsewhere must not be ignored here.
Result<void> refuse_foreign_flags(const po::variables_map& given, Command command)
{
    struct Flag {
        const char* name;
        std::vector<Command> of;
    };
    const std::vector<Command> configured{Command::run, Command::check, Command::dump, Command::verify};
    const std::array flags{Flag{"config", configured},
                           Flag{"interface", configured},
                           Flag{"port", configured},
                           Flag{"target", configured},
                           Flag{"stats", configured},
                           Flag{"format", {Command::dump}},
                           Flag{"program", {Command::dump, Command::verify}},
                           Flag{"kernel", {Command::dump}},
                           Flag{"log-level", {Command::verify}},
                           Flag{"broken", {Command::verify}},
                           Flag{"host", {Command::check}},
                           Flag{"watch", {Command::run}},
                           Flag{"instance", {Command::detach}}};
    for (const auto& flag : flags) {
        const bool here = std::ranges::find(flag.of, command) != flag.of.end();
        if (given.contains(flag.name) && !given[flag.name].defaulted() && !here)
            return fail(ErrorKind::usage,
                        std::string("--") + flag.name + " does not go with this command; see lb --help");
    }
    return {};
}

} // namespace

Result<Options> parse_options(int argc, const char* const* argv)
{
    Options options;
    int first = 1;
    if (argc > 1 && argv[1][0] != '-') {
        const std::string_view word = argv[1];
        const auto known = std::ranges::find(commands, word, &Name::text);
        if (known == commands.end())
            return fail(ErrorKind::usage, "unknown command '" + std::string(word) + "'; see lb --help");
        options.command = known->command;
        first = 2;
    }
    const std::vector<std::string> words(argv + first, argv + argc);
    if (options.command == Command::backend) {
        auto read = parse_backend_options(words);
        if (!read) return std::unexpected(read.error());
        options.backend = std::move(*read);
        options.help = options.backend.help;
        if (!options.help.empty()) options.command = Command::help;
        return options;
    }
    const po::options_description described = describe();
    po::variables_map given;
    try {
        // No guessing: a flag is what it says in full, and a stray word is an error, not a value.
        const int style = po::command_line_style::default_style & ~po::command_line_style::allow_guessing;
        const auto parsed = po::command_line_parser(words).options(described).style(style).run();
        for (const auto& option : parsed.options)
            if (option.position_key >= 0)
                return fail(ErrorKind::usage, "unexpected '" + option.value.front() +
                                                  "': the command comes first, then flags; see lb --help");
        po::store(parsed, given);
    } catch (const po::error& error) {
        return fail(ErrorKind::usage, std::string(error.what()) + "; see lb --help");
    }
    std::ostringstream text;
    text << described;
    options.help = text.str();
    if (given.contains("help")) options.command = Command::help;
    if (given.contains("version")) options.command = Command::version;
    if (options.command == Command::help || options.command == Command::version) return options;
    if (auto fine = refuse_foreign_flags(given, options.command); !fine) return std::unexpected(fine.error());
    if (given.contains("config")) options.config_file = given["config"].as<std::string>();
    options.verbose = given.contains("verbose");
    options.watch = given.contains("watch");
    options.stats = given.contains("stats");
    options.host = given.contains("host");
    if (auto read = read_overrides(given, options.overrides); !read) return std::unexpected(read.error());
    // There it asks for the verifier's figures, not for another program.
    if (options.command == Command::verify) options.overrides.stats = false;
    if (auto read = read_command_options(given, options); !read) return std::unexpected(read.error());
    return options;
}

} // namespace lb::cli
