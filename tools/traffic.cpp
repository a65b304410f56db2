// Traffic for the demo: backends that say who they are, and a client that shows where its connections and
// datagrams went while they go. Made of the lab's servers and clients.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "lab/client.hpp"
#include "lab/netns.hpp"
#include "lab/server.hpp"

namespace {

using namespace lb::lab;
using Clock = std::chrono::steady_clock;

constexpr u64 batch = 20;       // tries between two looks at the clock
constexpr double tolerance = 3; // points that a share may be off
constexpr u64 enough = 5000; // tries from which a share is judged: chance alone is well below the tolerance
constexpr std::size_t bar_width = 24;
constexpr Milliseconds refresh{500}, refresh_in_a_log{2000};
// A pace that a person can follow, and at which the client does not run out of ports.
constexpr Milliseconds tcp_pause{40}, udp_pause{20};

constexpr const char* usage = R"(usage:
  traffic serve NAME ADDRESS:PORT        answer TCP and UDP until a signal comes
  traffic send ADDRESS:PORT SECONDS NAME=PERCENT...
                                         ask by TCP and UDP, and show who answered; fails when a try fails
                                         or a share is off by more than 3 points
)";

struct Wanted {
    std::string name;
    double percent = 0;
};

// What the workers have seen so far.
struct Seen {
    std::mutex lock = {};
    Tally tcp = {}, udp = {};
};

void call_until(Seen& seen, const Call& call, const std::stop_token& stop)
{
    while (!stop.stop_requested()) {
        const Tally tally = run_short({.call = call, .count = batch});
        std::unique_lock guard(seen.lock);
        seen.tcp.add(tally);
        guard.unlock();
        std::this_thread::sleep_for(tcp_pause);
    }
}

void question_until(Seen& seen, const Call& call, const std::stop_token& stop)
{
    while (!stop.stop_requested()) {
        const Tally tally = run_questions({.call = call, .sockets = batch, .per_socket = 1});
        std::unique_lock guard(seen.lock);
        seen.udp.add(tally);
        guard.unlock();
        std::this_thread::sleep_for(udp_pause);
    }
}

u64 count_of(const Tally& tally, const std::string& name)
{
    const auto found = tally.by_server.find(name);
    return found == tally.by_server.end() ? 0 : found->second;
}

double share_of(const Tally& tally, const std::string& name)
{
    return tally.answered() ? tally.percent(name) : 0;
}

// Returns how many lines it printed.
int print_table(const Tally& tcp, const Tally& udp, const std::vector<Wanted>& wanted, double seconds,
                const std::string& to)
{
    std::printf("%5.1f s   client -> %s -> backends\n", seconds, to.c_str());
    std::printf("  backend  weight |  TCP connections       |  UDP answers\n");
    for (const auto& [name, percent] : wanted) {
        const double share = share_of(tcp, name);
        const auto filled = static_cast<std::size_t>(share / 100 * bar_width + 0.5);
        std::printf("  %-8s %5.0f%% | %8llu  %5.1f%%       | %8llu  %5.1f%%   %s\n", name.c_str(), percent,
                    static_cast<unsigned long long>(count_of(tcp, name)), share,
                    static_cast<unsigned long long>(count_of(udp, name)), share_of(udp, name),
                    std::string(filled, '#').c_str());
    }
    std::printf(
        "  total           | %8llu  %llu failed     | %8llu  %llu failed\n",
        static_cast<unsigned long long>(tcp.answered()), static_cast<unsigned long long>(tcp.failed()),
        static_cast<unsigned long long>(udp.answered()), static_cast<unsigned long long>(udp.failed()));
    std::fflush(stdout);
    return static_cast<int>(wanted.size()) + 3;
}

// Says what is wrong with a result; true when nothing is.
bool judge(const char* protocol, const Tally& tally, const std::vector<Wanted>& wanted)
{
    bool fine = true;
    for (const auto& [what, count] : tally.failures) {
        std::printf("%s: %llu times %s\n", protocol, static_cast<unsigned long long>(count), what.c_str());
        fine = false;
    }
    if (tally.answered() == 0) std::printf("%s: nobody answered\n", protocol);
    if (tally.answered() < enough) return fine && tally.answered() > 0;
    for (const auto& [name, percent] : wanted) {
        const double off = share_of(tally, name) - percent;
        if (off <= tolerance && off >= -tolerance) continue;
        std::printf("%s: %s got %.1f%% instead of %.0f%%\n", protocol, name.c_str(), percent + off, percent);
        fine = false;
    }
    return fine;
}

int send(const std::string& to, double seconds, const std::vector<Wanted>& wanted)
{
    Seen seen;
    const auto start = Clock::now();
    const bool terminal = ::isatty(STDOUT_FILENO) == 1;
    int lines = 0;
    {
        std::vector<std::jthread> workers;
        workers.emplace_back([&](const std::stop_token& stop) { call_until(seen, {.to = to}, stop); });
        workers.emplace_back([&](const std::stop_token& stop) { question_until(seen, {.to = to}, stop); });
        for (double now = 0; now < seconds;) {
            std::this_thread::sleep_for(terminal ? refresh : refresh_in_a_log);
            now = std::chrono::duration<double>(Clock::now() - start).count();
            const std::lock_guard guard(seen.lock);
            if (terminal && lines > 0) std::printf("\033[%dA\033[J", lines); // over the last one
            lines = print_table(seen.tcp, seen.udp, wanted, now, to);
        }
    }
    const bool tcp_fine = judge("TCP", seen.tcp, wanted);
    const bool udp_fine = judge("UDP", seen.udp, wanted);
    std::printf("total: %llu TCP connections, %llu UDP answers, %llu failed\n",
                static_cast<unsigned long long>(seen.tcp.answered()),
                static_cast<unsigned long long>(seen.udp.answered()),
                static_cast<unsigned long long>(seen.tcp.failed() + seen.udp.failed()));
    return tcp_fine && udp_fine ? EXIT_SUCCESS : EXIT_FAILURE;
}

int serve(const std::string& name, const std::string& listen)
{
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    sigprocmask(SIG_BLOCK, &ending, nullptr);
    const Server server({.name = name, .listen = listen});
    int number = 0;
    sigwait(&ending, &number);
    return EXIT_SUCCESS;
}

int run_command(const std::vector<std::string>& words)
{
    if (words.size() == 3 && words[0] == "serve") return serve(words[1], words[2]);
    if (words.size() < 4 || words[0] != "send") {
        std::fputs(usage, stderr);
        return 2;
    }
    std::vector<Wanted> wanted;
    for (std::size_t i = 3; i < words.size(); ++i) {
        const auto equals = words[i].find('=');
        if (equals == std::string::npos) throw LabError("'" + words[i] + "' is not NAME=PERCENT");
        wanted.push_back({words[i].substr(0, equals), std::stod(words[i].substr(equals + 1))});
    }
    return send(words[1], std::stod(words[2]), wanted);
}

} // namespace

int main(int argc, char** argv)
{
    try {
        return run_command({argv + 1, argv + argc});
    } catch (const std::exception& error) {
        std::fprintf(stderr, "traffic: %s\n", error.what());
        return EXIT_FAILURE;
    }
}
