// One end of many connections in a process of its own: the files of all of them are more than one process may
// have.
//   peer serve NAME ADDRESS:PORT      a lab server, until it is killed
//   peer hold ADDRESS:PORT COUNT      opens so many connections, says `holding`, waits for SIGUSR1, and says
//                                     `lost L moved M` after asking each of them again
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>

#include "lab/client.hpp"
#include "lab/server.hpp"

using namespace lb::lab;

namespace {

struct Held {
    Connection connection;
    std::string server;
};

int serve(const std::string& name, const std::string& address)
{
    const Server server({.name = name, .listen = address});
    std::puts("serving");
    std::fflush(stdout);
    for (;;) ::pause();
}

int hold(const std::string& address, std::size_t count, const sigset_t& awaited)
{
    std::vector<Held> all;
    while (all.size() < count) {
        all.push_back({Connection({.to = address}), ""});
        const auto answer = all.back().connection.ask();
        if (!answer) {
            std::printf("connection %zu: %s\n", all.size(), all.back().connection.error().c_str());
            return 1;
        }
        all.back().server = answer->server;
    }
    std::puts("holding");
    std::fflush(stdout);
    int number = 0;
    ::sigwait(&awaited, &number);
    std::size_t lost = 0, moved = 0;
    for (auto& each : all) {
        const auto answer = each.connection.ask();
        if (!answer)
            ++lost;
        else if (answer->server != each.server)
            ++moved;
    }
    std::printf("lost %zu moved %zu\n", lost, moved);
    return 0;
}

} // namespace

int main(int argc, char** argv)
{
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    sigset_t awaited;
    ::sigemptyset(&awaited);
    ::sigaddset(&awaited, SIGUSR1);
    ::pthread_sigmask(SIG_BLOCK, &awaited, nullptr); // inherited by every thread
    const std::string command = argc == 4 ? argv[1] : "";
    if (command == "serve") return serve(argv[2], argv[3]);
    if (command == "hold") return hold(argv[2], std::stoul(argv[3]), awaited);
    std::fputs("usage: peer serve NAME ADDRESS:PORT | peer hold ADDRESS:PORT COUNT\n", stderr);
    return 2;
}
