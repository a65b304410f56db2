// Every feature at once: the largest programs that a configuration can ask for, apart from more of the same.
// The verifier has to take them, too; it stops after a million instructions that it has followed.
#include "bench.hpp"

using namespace lb;
using namespace lb::test;

namespace {

struct Mode {
    std::string forwarding;
    bool carried = false; // the target's port is the listener's
    bool across = false;  // the targets are of the other IP version
};
const Mode modes[] = {{R"("mode": "nat")"},           {R"("mode": "nat", "path": "fast")"},
                      {R"("mode": "full-nat")"},      {R"("mode": "full-nat", "path": "fast")"},
                      {R"("mode": "dsr-l2")", true},  {R"("mode": "dsr-ipip")", true},
                      {R"("mode": "dsr-gue")", true}, {R"("mode": "full-nat")", false, true}};
constexpr const char* algorithms[] = {"maglev", "source-hash", "random", "round-robin", "least-connections"};

std::string target(bool six, int number, int port)
{
    return R"({"ip": ")" + std::string(six ? "2001:db8:a::" : "10.0.0.") + std::to_string(number) +
           R"(", "port": )" + std::to_string(port) + ", \"weight\": 50}";
}

ProxyText proxy(bool six, std::size_t number, const Mode& mode)
{
    const bool target_six = six != mode.across;
    const int port = 80 + static_cast<int>(number), target_port = mode.carried ? port : port + 8000;
    const std::string network = six ? "2001:db8:7::/48" : "203.0.113.0/24",
                      denied = six ? "2001:db8:5::/48" : "198.51.100.0/24";
    const std::string limit = R"({"requests-per-sec": 10, "packets-per-sec": 1000})";
    return {
        .name = (six ? "six" : "four") + std::to_string(number),
        .listen = six ? R"("address": "2001:db8::80")" : R"("address": "192.0.2.1")",
        .port = port,
        .target = "[" + target(target_six, 1, target_port) + ", " + target(target_six, 2, target_port) + "]",
        .more = "\"forwarding\": {" + mode.forwarding + R"(}, "session-persistence": true, "algorithm": ")" +
                algorithms[number % std::size(algorithms)] + R"(", "deny": [")" + denied +
                R"("], "source-routes": [{"source": ")" + network + R"(", "target": )" +
                target(target_six, 3, target_port) + R"(}], "rate-limits": {"per-source": )" + limit +
                R"(, "per-target": )" + limit + "}",
        .interfaces = number % 2 == 0 ? R"(["eth0"])" : R"(["eth0", "eth1"])"};
}

} // namespace

TEST_CASE("the programs of a configuration with everything are accepted", "[datapath][kernels]")
{
    std::vector<ProxyText> proxies;
    for (const bool six : {false, true})
        for (std::size_t i = 0; i < std::size(modes); ++i) proxies.push_back(proxy(six, i, modes[i]));
    const std::string config = config_text(
        proxies, R"("stats-enabled": true, "full-nat": {"addresses": ["10.0.0.254", "2001:db8:a::fe"]})");
    for (const KernelFeatures& kernel : {KernelFeatures{}, *KernelFeatures::from_version("6.18")}) {
        const Bench bench(config, {.kernel = kernel, .inside = true}); // it loads all of them
        const Passage passage = bench.in(
            lab::build({.saddr = lab::ip("192.0.2.7"), .daddr = lab::ip("192.0.2.1"), .l4 = lab::Udp{}}));
        CHECK(passage.verdict == xdp_pass);
        CHECK(bench.exits() == std::map<model::Reason, u64>{{model::Reason::forwarded, 1}});
    }
}
