// Direct server return where XDP knows the way. Verdict, and
// every byte of the frame that would be sent.
#include "model_tunnel.hpp"
#include "way.hpp"

using namespace lb;
using namespace lb::test;
using lab::any_ip;
using lab::build;

namespace {

struct Kind {
    std::string mode, target;
    ModelMode model = ModelMode::ipip;
    std::size_t overhead = 0;
};
const std::vector<Kind> kinds = {
    {"dsr-ipip", "10.0.0.1", ModelMode::ipip, 20}, {"dsr-ipip", "2001:db8:a::1", ModelMode::ipip, 40},
    {"dsr-gue", "10.0.0.1", ModelMode::gue, 28},   {"dsr-gue", "2001:db8:a::1", ModelMode::gue, 48},
    {"dsr-l2", "10.0.0.1", ModelMode::l2, 0},      {"dsr-l2", "2001:db8:a::1", ModelMode::l2, 0}};

std::string config_of(const Kind& kind, const std::string& path = "auto", const std::string& target = "")
{
    const std::string ip = target.empty() ? kind.target : target;
    const bool six = ip.find(':') != std::string::npos;
    const std::string vips = kind.model != ModelMode::l2 ? R"(["192.0.2.1", "2001:db8::80"])"
                             : six                       ? R"("2001:db8::80")"
                                                         : R"("192.0.2.1")";
    return config_text(
        {{.listen = R"("address": )" + vips,
          .target = R"({"ip": ")" + ip + R"(", "port": 80})",
          .more = R"("forwarding": {"mode": ")" + kind.mode + R"(", "path": ")" + path + "\"}"}});
}

Packet request(bool six, std::size_t payload = 100)
{
    Packet packet{.saddr = any_ip(six ? "2001:db8:1::7" : "192.0.2.7"),
                  .daddr = any_ip(six ? "2001:db8::80" : "192.0.2.1"),
                  .l4 = lab::Udp{}};
    packet.payload = lab::pattern(payload);
    return packet;
}
// The payload that makes the client's packet so long, from its IP header on.
Packet request_of(bool six, std::size_t length) { return request(six, length - 8 - (six ? 40 : 20)); }

ModelTunnel tunnel_of(const Kind& kind)
{
    return {.mode = kind.model, .source4 = any_ip("10.0.0.254"), .source6 = any_ip("2001:db8:a::fe")};
}

// Clients of which families the kind can have.
std::vector<bool> clients_of(const Kind& kind)
{
    if (kind.model != ModelMode::l2) return {false, true};
    return {kind.target.find(':') != std::string::npos};
}

template <class F> void each_kind(const F& function)
{
    const Net net;
    net.balancer.run([&] {
        for (const auto& kernel : kernels)
            for (const auto& kind : kinds) {
                INFO(kind.mode << " to " << kind.target);
                function(net, kind, kernel);
            }
    });
}

} // namespace

TEST_CASE("where the way is known to its end, the packet is sent by the target's Ethernet address",
          "[datapath][dsr]")
{
    each_kind([](const Net& net, const Kind& kind, const BenchOptions& options) {
        const Bench bench(config_of(kind), options);
        allow(bench, "eth1");
        for (const bool six : clients_of(kind)) {
            ModelTunnel tunnel = tunnel_of(kind);
            for (int i = 0; i < 2; ++i) {
                const Bytes frame = build(request(six));
                const Bytes out = pass(bench, frame, Reason::sent_on);
                CHECK(tunnel.learn(out) == "");
                const Bytes carried = kind.model == ModelMode::l2 ? frame : encapsulated(frame, tunnel);
                CHECK(out == with_macs(carried, target_mac, mac_of(net, "eth1")));
            }
        }
    });
}

TEST_CASE("to a target on the side where it came from, it is sent back out there", "[datapath][dsr]")
{
    each_kind([](const Net& net, const Kind& kind, const BenchOptions& options) {
        net.balancer.ip("addr flush dev eth1");
        const bool six = kind.target.find(':') != std::string::npos;
        const std::string neighbour = six ? "2001:db8:1::1" : "192.0.2.9";
        net.balancer.ip("neigh replace " + neighbour + " lladdr " + target_mac_text +
                        " dev eth0 nud permanent");
        BenchOptions here = options;
        here.source4 = "192.0.2.254";
        here.source6 = "2001:db8:1::fe";
        std::optional<Bench> bench(std::in_place, config_of(kind, "fast", neighbour), here);
        allow(*bench, "eth0");
        ModelTunnel tunnel{
            .mode = kind.model, .source4 = any_ip(here.source4), .source6 = any_ip(here.source6)};
        const Bytes frame = build(request(six));
        const Bytes out = pass(*bench, frame, Reason::sent_back);
        bench.reset(); // an interface has one XDP program
        CHECK(tunnel.learn(out) == "");
        const Bytes carried = kind.model == ModelMode::l2 ? frame : encapsulated(frame, tunnel);
        CHECK(out == with_macs(carried, target_mac, mac_of(net, "eth0")));
        here.sends = model::sends_redirect;
        const Bench without_tx(config_of(kind, "fast", neighbour), here);
        allow(without_tx, "eth0");
        pass(without_tx, frame, Reason::sent_on);
    });
}

TEST_CASE("where something is missing, a tunnel's packet goes to the kernel as it came", "[datapath][dsr]")
{
    each_kind([](const Net& net, const Kind& kind, const BenchOptions& options) {
        if (kind.model == ModelMode::l2) return;
        const Bytes frame = build(request(false));
        const auto by_kernel = [&](const Bench& bench) {
            ModelTunnel tunnel = tunnel_of(kind);
            const Bytes out = pass(bench, frame, Reason::encapsulated);
            CHECK(tunnel.learn(out) == "");
            CHECK(out == encapsulated(frame, tunnel));
        };
        {
            INFO("no device");
            by_kernel(Bench(config_of(kind), options));
        }
        {
            INFO("path: stack");
            const Bench bench(config_of(kind, "stack"), options);
            allow(bench, "eth1");
            by_kernel(bench);
        }
        INFO("no neighbour");
        net.forget_target();
        const Bench bench(config_of(kind), options);
        allow(bench, "eth1");
        by_kernel(bench);
        net.know_target();
    });
}

TEST_CASE("dsr-l2 drops what it cannot send, and says why", "[datapath][dsr]")
{
    each_kind([](const Net& net, const Kind& kind, const BenchOptions& options) {
        if (kind.model != ModelMode::l2) return;
        const bool six = kind.target.find(':') != std::string::npos;
        const Bytes frame = build(request(six));
        {
            const Bench bench(config_of(kind), options);
            CHECK(pass(bench, frame, Reason::dsr_no_device) == frame);
        }
        {
            const Bench bench(config_of(kind, "auto", six ? "2001:db8:ffff::1" : "172.16.0.1"), options);
            CHECK(pass(bench, frame, Reason::dsr_no_route) == frame);
        }
        if (!six) {
            const Bench bench(config_of(kind, "auto", "10.9.0.1"), options);
            CHECK(pass(bench, frame, Reason::dsr_not_on_link) == frame);
        }
        net.forget_target();
        const Bench bench(config_of(kind), options);
        allow(bench, "eth1");
        CHECK(pass(bench, frame, Reason::dsr_no_neighbour) == frame);
        net.know_target();
        CHECK(pass(bench, frame, Reason::sent_on) != frame);
    });
}

TEST_CASE("a target without a way, and a tag in the frame", "[datapath][dsr]")
{
    each_kind([](const Net&, const Kind& kind, const BenchOptions& options) {
        const Bench bench(config_of(kind), options);
        const bool six = clients_of(kind).back();
        Packet tagged = request(six);
        tagged.vlans = {7};
        CHECK(pass(bench, build(tagged), Reason::dsr_tagged) == build(tagged));
        const auto proxy = bench.plan().proxies.front();
        must(bench.map("carriers").update(0u, carrier_row(bench.plan().targets.front(), proxy, {}, 0)));
        CHECK(pass(bench, build(request(six)), Reason::dsr_no_route) == build(request(six)));
    });
}

TEST_CASE("what just fits is carried, and one byte more is answered with what fits",
          "[datapath][dsr][too-big]")
{
    each_kind([](const Net&, const Kind& kind, const BenchOptions& options) {
        const Bench bench(config_of(kind), options);
        allow(bench, "eth1");
        const auto fits = static_cast<u16>(1500 - kind.overhead);
        for (const bool six : clients_of(kind)) {
            pass(bench, build(request_of(six, fits)), Reason::sent_on);
            for (const std::size_t more : {1u, 2u, 3u, 500u}) {
                INFO(more << " bytes too much");
                const Bytes frame = build(request_of(six, fits + more));
                CHECK(pass(bench, frame, Reason::too_big) == too_big_answer(frame, fits, false));
            }
        }
        allow(bench, "eth0");
        for (const bool six : clients_of(kind)) {
            const Bytes frame = build(request_of(six, fits + 1u));
            CHECK(pass(bench, frame, Reason::too_big_sent) == too_big_answer(frame, fits, true));
        }
    });
}

TEST_CASE("a client of IPv6 is told of 1280 bytes at least, however narrow the way",
          "[datapath][dsr][too-big]")
{
    each_kind([](const Net& net, const Kind& kind, const BenchOptions& options) {
        const Bench bench(config_of(kind), options);
        allow(bench, "eth1");
        net.balancer.ip("link set eth1 mtu 1300"); // a tunnel leaves less
        for (const bool six : clients_of(kind)) {
            const std::size_t left = 1300 - kind.overhead;
            const auto fits = static_cast<u16>(six ? std::max(left, 1280uz) : left);
            const Bytes frame = build(request_of(six, 1400));
            CHECK(pass(bench, frame, Reason::too_big) == too_big_answer(frame, fits, false));
        }
        net.balancer.ip("link set eth1 mtu 1500");
    });
}

TEST_CASE("senders who don't forbid fragments are told, later fragments and ICMP are not",
          "[datapath][dsr][too-big]")
{
    each_kind([](const Net&, const Kind& kind, const BenchOptions& options) {
        if (kind.target.find(':') != std::string::npos) return;
        const Bench bench(config_of(kind), options);
        allow(bench, "eth1");
        const auto fits = static_cast<u16>(1500 - kind.overhead);
        Packet packet = request_of(false, 1501);
        packet.fragment = 0;
        const Bytes frame = build(packet);
        CHECK(pass(bench, frame, Reason::too_big) == too_big_answer(frame, fits, false));
        const auto pieces = lab::split(request(false, 4000), 1504);
        CHECK(pass(bench, pieces[0], Reason::too_big) == too_big_answer(pieces[0], fits, false));
        CHECK(pass(bench, pieces[1], Reason::too_big_unsaid) == pieces[1]);
        pass(bench, pieces[2], Reason::sent_on);
        // An error that quotes more than anybody should.
        Packet answer{.saddr = any_ip("192.0.2.1"),
                      .daddr = any_ip("192.0.2.7"),
                      .l4 = lab::Udp{.sport = 80, .dport = 40000}};
        answer.payload = lab::pattern(1490);
        Packet error{.saddr = any_ip("203.0.113.9"),
                     .daddr = any_ip("192.0.2.1"),
                     .l4 = lab::Icmp{.type = 3, .code = 1}};
        error.payload = lab::quote(build(answer));
        CHECK(pass(bench, build(error), Reason::too_big_unsaid) == build(error));
    });
}
