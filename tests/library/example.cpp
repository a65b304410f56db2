// How to run a load balancer inside your own program: one proxy on one interface, for some seconds, with
// figures at the end. Run as root: `example eth0 80 10.0.0.1:8080 30`.
#include <lb/lb.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

int main(int argc, char** argv)
{
    if (argc != 5) {
        std::fprintf(stderr, "usage: %s INTERFACE PORT IP:PORT SECONDS\n", argv[0]);
        return 2;
    }
    const auto target = lb::Endpoint::parse(argv[3]);
    if (!target) {
        std::fprintf(stderr, "%s is not of the form 10.0.0.1:8080\n", argv[3]);
        return 2;
    }
    // The same text as in a configuration file.
    const std::string configuration =
        std::string(R"({"proxies": [{"name": "example", "listen": {"interfaces": [")") + argv[1] +
        R"("], "port": )" + argv[2] + R"(}, "default-target": {"ip": ")" + target->ip.text() +
        R"(", "port": )" + std::to_string(target->port) + R"(}}], "settings": {"instance": "example"}})";

    auto balancer = lb::LoadBalancer::start(configuration);
    if (!balancer) {
        std::fprintf(stderr, "%s\n", balancer.error().message.c_str());
        return static_cast<int>(balancer.error().kind);
    }
    std::puts("ready");
    std::fflush(stdout);
    for (int second = 0; second < std::atoi(argv[4]); ++second) {
        std::this_thread::sleep_for(std::chrono::seconds(1));
        if (const auto done = balancer->tick(); !done)
            std::fprintf(stderr, "%s\n", done.error().message.c_str());
    }
    if (const auto statistics = balancer->statistics()) {
        for (const auto& each : statistics->targets)
            std::printf("%s %s: %llu connections, %llu packets there, %llu back\n", each.proxy.c_str(),
                        each.target.text().c_str(), static_cast<unsigned long long>(each.connections),
                        static_cast<unsigned long long>(each.forward_packets),
                        static_cast<unsigned long long>(each.reply_packets));
    }
    const auto stopped = balancer->stop();
    if (!stopped) std::fprintf(stderr, "%s\n", stopped.error().message.c_str());
    return stopped ? 0 : 1;
}
