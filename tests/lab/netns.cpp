#include "lab/netns.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace lb::lab {
namespace {

namespace fs = std::filesystem;

constexpr const char* netns_folder = "/run/netns";
constexpr const char* prefix = "lbt-";
constexpr std::size_t namespaces_max = 64;

// Paths for the signal handler, which may use neither locks nor memory.
struct Place {
    std::atomic<bool> used{false};
    std::array<char, 64> path{};
};
std::array<Place, namespaces_max> places;

void remember(const std::string& path)
{
    for (Place& place : places) {
        if (place.used.load()) continue;
        std::snprintf(place.path.data(), place.path.size(), "%s", path.c_str());
        place.used.store(true);
        return;
    }
    throw LabError("more than 64 namespaces");
}

void forget(const std::string& path)
{
    for (Place& place : places)
        if (place.used.load() && path == place.path.data()) place.used.store(false);
}

void remove_namespace(const char* path) noexcept
{
    ::umount2(path, MNT_DETACH);
    ::unlink(path);
}

extern "C" void clean_up_and_die(int number)
{
    kill_children();
    for (Place& place : places)
        if (place.used.load()) remove_namespace(place.path.data());
    ::signal(number, SIG_DFL);
    ::raise(number);
}

// The pid between `front` and the next '-' of a name belongs to a process that is gone.
bool is_leftover(const std::string& name, const std::string& front)
{
    if (name.rfind(front, 0) != 0) return false;
    const auto pid = name.substr(front.size(), name.find('-', front.size()) - front.size());
    return !pid.empty() && !fs::exists("/proc/" + pid);
}

// A process that was killed could not clean up.
void remove_leftovers()
{
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(netns_folder, none))
        if (is_leftover(entry.path().filename(), prefix)) remove_namespace(entry.path().c_str());
    for (const auto& entry : fs::directory_iterator(fs::temp_directory_path(), none))
        if (is_leftover(entry.path().filename(), "lb-lab-")) fs::remove_all(entry.path(), none);
}

Argv split(const std::string& words)
{
    std::istringstream in(words);
    Argv out;
    for (std::string word; in >> word;) out.push_back(word);
    return out;
}

} // namespace

std::optional<std::string> start_lab()
{
    if (::geteuid() != 0) return "network namespaces need root";
    for (const char* tool : {"ip", "ethtool", "nft"}) {
        const Output found = run({tool, "--version"});
        if (found.status == 127) return std::string("the program '") + tool + "' is missing";
    }
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGABRT, SIGSEGV}) ::signal(number, clean_up_and_die);
    ::signal(SIGPIPE, SIG_IGN);
    remove_leftovers();
    return std::nullopt;
}

void enter_netns(int fd)
{
    if (fd >= 0 && ::setns(fd, CLONE_NEWNET) != 0)
        throw LabError("setns: " + std::string(std::strerror(errno)));
}

void pin_to_cpu(int cpu)
{
    if (cpu < 0) return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<std::size_t>(cpu % cpu_count()), &set);
    ::sched_setaffinity(0, sizeof(set), &set);
}

int cpu_count() { return static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)); }

Namespace::Namespace(const std::string& label) : name_(prefix + std::to_string(::getpid()) + '-' + label)
{
    const std::string path = netns_folder + ("/" + name_);
    remember(path);
    must_run({"ip", "netns", "add", name_});
    fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd_ < 0) throw LabError("cannot open " + path);
    ip("link set lo up");
    // IPv6 is switched on where it has an address: link-local traffic would only disturb elsewhere.
    set_sysctl("ipv6/conf/default/disable_ipv6", "1");
    for (const char* none : {"accept_dad", "dad_transmits", "accept_ra", "router_solicitations"})
        set_sysctl(std::string("ipv6/conf/default/") + none, "0");
}

Namespace::~Namespace()
{
    const std::string path = netns_folder + ("/" + name_);
    if (fd_ >= 0) ::close(fd_);
    remove_namespace(path.c_str());
    forget(path);
}

void Namespace::ip(const std::string& words) const
{
    Argv argv = split(words);
    argv.insert(argv.begin(), {"ip", "-n", name_});
    must_run(argv);
}

void Namespace::add_ipv6(const std::string& interface, const std::string& address) const
{
    set_sysctl("ipv6/conf/" + interface + "/disable_ipv6", "0");
    ip("addr add " + address + " dev " + interface + " nodad");
}

std::string Namespace::exec(const std::string& words) const { return must_run(split(words), fd_); }

void Namespace::set_sysctl(const std::string& key, const std::string& value) const
{
    run([&] {
        std::ofstream out("/proc/sys/net/" + key);
        out << value;
        if (!out.flush()) throw LabError("cannot set " + key + " to " + value);
    });
}

std::string Namespace::sysctl(const std::string& key) const
{
    return run([&] {
        std::ifstream in("/proc/sys/net/" + key);
        std::string value;
        if (!(in >> value)) throw LabError("cannot read " + key);
        return value;
    });
}

void Namespace::nft(const std::string& rules) const
{
    static std::atomic<int> serial{0};
    const auto file = write_file("rules-" + std::to_string(++serial), rules);
    must_run({"nft", "-f", file.string()}, fd_);
}

void connect(const VethEnd& a, const VethEnd& b)
{
    a.where.ip("link add " + a.interface + " type veth peer name " + b.interface + " netns " +
               b.where.name());
    for (const VethEnd* end : {&a, &b}) {
        end->where.exec("ethtool -K " + end->interface + " tx off");
        if (!end->address.empty()) end->where.ip("addr add " + end->address + " dev " + end->interface);
        if (!end->address6.empty()) end->where.add_ipv6(end->interface, end->address6);
        end->where.ip("link set " + end->interface + " mtu " + std::to_string(end->mtu) + " up");
    }
}

} // namespace lb::lab
