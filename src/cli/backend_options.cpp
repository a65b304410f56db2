#include "cli/backend_options.hpp"

#include <array>
#include <boost/program_options.hpp>
#include <charconv>
#include <sstream>

#include "model/config_rules.hpp"
#include "model/json_text.hpp"

namespace lb::cli {
namespace {

namespace po = boost::program_options;
using Words = std::vector<std::string>;

constexpr std::string_view usage = R"(lb backend - the receiving side of direct server return

Puts the VIPs on lo, takes the balancer's packets out of their tunnel, and answers clients directly. Runs until
SIGTERM or SIGINT, and puts everything back then.

Usage:
  lb backend -i IFACE... --vip ADDRESS... [--mode ipip|gue|l2] [--from PREFIX...] [--mss N|auto]
  lb backend ... --print              print the commands for a kernel tunnel instead; changes nothing
  lb backend --detach [--instance NAME]   put back what a killed run left

Options)";

po::options_description describe()
{
    po::options_description all{std::string(usage)};
    auto add = all.add_options();
    add("interface,i", po::value<Words>()->composing(), "where the balancer's packets arrive; repeatable");
    add("egress-interface", po::value<Words>()->composing(),
        "further one where answers leave; their MSS is lowered there too; repeatable");
    add("vip", po::value<Words>()->composing(), "address that the balancer serves; repeatable");
    add("mode", po::value<std::string>()->default_value("ipip"),
        "ipip (of all four families), gue (over UDP), l2 (no tunnel)");
    add("gue-port", po::value<std::string>()->default_value("6080"), "of --mode gue: the UDP port");
    add("from", po::value<Words>()->composing(),
        "take tunnels from these addresses only (balancers); repeatable. Without: from anybody");
    add("mss", po::value<std::string>()->default_value("auto"),
        "largest MSS to offer to clients; auto: what the interface's MTU leaves");
    add("instance", po::value<std::string>()->default_value("backend"), "a name, where several run");
    add("print", "print the commands for a kernel tunnel, and change nothing");
    add("detach", "put back what a run left that was killed, or end one that runs");
    add("verbose,v", "log at level debug");
    add("help,h", "this text");
    return all;
}

std::unexpected<Error> wrong(const std::string& flag, const std::string& value, const std::string& expected)
{
    return fail(ErrorKind::usage, flag + " " + value + ": expected " + expected);
}

std::optional<u16> number_of(const std::string& text)
{
    u16 number = 0;
    const char* const last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, number);
    if (error != std::errc{} || end != last) return std::nullopt;
    return number;
}

Words words_of(const po::variables_map& given, const char* flag)
{
    return given.contains(flag) ? given[flag].as<Words>() : Words{};
}

Result<void> read_addresses(const po::variables_map& given, model::Backend& backend)
{
    for (const auto& text : words_of(given, "vip")) {
        const auto address = IpAddress::parse(text);
        if (!address) return wrong("--vip", text, "an address, as 192.0.2.1 or 2001:db8::1");
        backend.vips.push_back(*address);
    }
    for (const auto& text : words_of(given, "from")) {
        const auto prefix = Prefix::parse(text);
        if (!prefix) return wrong("--from", text, "an address or prefix, as 192.0.2.0/24");
        backend.senders.push_back(*prefix);
    }
    return {};
}

Result<void> read_tunnel(const po::variables_map& given, model::Backend& backend)
{
    static constexpr std::array<std::pair<std::string_view, model::Tunnel>, 3> modes{
        {{"ipip", model::Tunnel::ipip}, {"gue", model::Tunnel::gue}, {"l2", model::Tunnel::l2}}};
    const auto& mode = given["mode"].as<std::string>();
    const auto known = std::ranges::find(modes, mode, &std::pair<std::string_view, model::Tunnel>::first);
    if (known == modes.end()) return wrong("--mode", mode, "one of ipip, gue, l2");
    backend.tunnel = known->second;
    const auto& port = given["gue-port"].as<std::string>();
    const auto number = number_of(port);
    if (!number || *number == 0) return wrong("--gue-port", port, "a port, 1..65535");
    if (!given["gue-port"].defaulted() && backend.tunnel != model::Tunnel::gue)
        return fail(ErrorKind::usage, "--gue-port goes with --mode gue only");
    backend.gue_port = *number;
    const auto& mss = given["mss"].as<std::string>();
    if (mss == "auto") return {};
    constexpr u16 mss_least = 88; // below, Linux answers with no data at all (TCP_MIN_MSS)
    backend.mss = number_of(mss);
    if (!backend.mss || *backend.mss < mss_least) return wrong("--mss", mss, "auto, or 88..65535");
    return {};
}

Result<BackendOptions> read(const po::variables_map& given)
{
    BackendOptions options;
    model::Backend& backend = options.backend;
    backend.interfaces = words_of(given, "interface");
    backend.egress_interfaces = words_of(given, "egress-interface");
    backend.instance = given["instance"].as<std::string>();
    options.print = given.contains("print");
    options.detach = given.contains("detach");
    options.verbose = given.contains("verbose");
    if (auto done = read_addresses(given, backend); !done) return std::unexpected(done.error());
    if (auto done = read_tunnel(given, backend); !done) return std::unexpected(done.error());
    if (options.detach && options.print)
        return fail(ErrorKind::usage, "--detach and --print exclude each other");
    if (options.detach) {
        if (const auto problem = model::instance_problem(backend.instance); !problem.empty())
            return fail(ErrorKind::usage, "--instance " + model::quoted(backend.instance) + ": " + problem);
        return options;
    }
    if (auto fine = model::check_backend(backend); !fine) return std::unexpected(fine.error());
    return options;
}

} // namespace

Result<BackendOptions> parse_backend_options(const std::vector<std::string>& words)
{
    const po::options_description described = describe();
    po::variables_map given;
    try {
        const int style = po::command_line_style::default_style & ~po::command_line_style::allow_guessing;
        const auto parsed = po::command_line_parser(words).options(described).style(style).run();
        for (const auto& option : parsed.options)
            if (option.position_key >= 0)
                return fail(ErrorKind::usage,
                            "unexpected '" + option.value.front() + "'; see lb backend --help");
        po::store(parsed, given);
    } catch (const po::error& error) {
        return fail(ErrorKind::usage, std::string(error.what()) + "; see lb backend --help");
    }
    if (!given.contains("help")) return read(given);
    std::ostringstream text;
    text << described;
    return BackendOptions{.help = text.str()};
}

} // namespace lb::cli
