// Egress by a clsact filter, as on kernels without TCX: this one is told that it has none.
#include <filesystem>

#include "kernel/features.hpp"
#include "model/config_reader.hpp"
#include "runtime/balancer.hpp"
#include "setup.hpp"

using namespace lb::e2e;

namespace {

lb::runtime::Balancer start_without_tcx(const Namespace& host, const std::string& text)
{
    return host.run([&] {
        const auto config = lb::model::read_config(text, "clsact");
        auto features = lb::kernel::probe_features();
        if (!config || !features) throw LabError("no configuration or no features");
        features->tcx = false;
        auto balancer = lb::runtime::Balancer::start(*config, *features);
        if (!balancer) throw LabError(balancer.error().message);
        return std::move(*balancer);
    });
}

void take_off(const Namespace& host, lb::runtime::Balancer& balancer)
{
    const auto done = host.run([&] { return balancer.take_off(); });
    INFO((done ? "" : done.error().message));
    CHECK(done.has_value());
}

std::string filters(const Namespace& host) { return host.exec("tc filter show dev eth0 egress"); }

std::size_t count(const std::string& text, const std::string& part)
{
    std::size_t found = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
    return found;
}

} // namespace

TEST_CASE("replies are translated by a clsact filter, which a later start replaces and the end removes",
          "[e2e]")
{
    const bool others_qdisc = GENERATE(false, true);
    Topology net;
    const auto servers = start_backends(net);
    if (others_qdisc) net.balancer.exec("tc qdisc add dev eth0 clsact");
    const std::string before = net.balancer.exec("tc qdisc show dev eth0");
    const Call call{.to = vip_web, .netns = net.c1.fd()};
    const std::string text = config({proxy({})}, "", instance_name("clsact"));
    {
        const auto killed = start_without_tcx(net.balancer, text); // and never taken off
        CHECK(count(filters(net.balancer), "lb_egress") >= 1);
        CHECK(run_short({.call = call, .count = 200}).answered() == 200);
    }
    BusyConnections busy(call, 5);
    const std::string once = filters(net.balancer);
    auto again = start_without_tcx(net.balancer, text);
    CHECK(count(filters(net.balancer), "lb_egress") == count(once, "lb_egress"));
    CHECK(run_short({.call = call, .count = 200}).answered() == 200);
    CHECK(run_questions({.call = call, .sockets = 20, .per_socket = 3}).answered() == 60);
    CHECK(busy.stop().broken == 0);
    take_off(net.balancer, again);
    CHECK(filters(net.balancer).find("lb_egress") == std::string::npos);
    CHECK(net.balancer.exec("tc qdisc show dev eth0") == before);
    CHECK(who(call, 300ms).rfind("failed", 0) == 0);
}
