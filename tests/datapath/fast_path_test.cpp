// The fast path of translated packets toward targets: what the stack would get, one hop less to live, by the
// Ethernet addresses of the way.
#include "way.hpp"

using namespace lb;
using namespace lb::test;
using lab::any_ip;
using lab::build;

namespace {

std::string config_of(const std::string& path)
{
    const std::string forwarding = R"("forwarding": {"path": ")" + path + "\"}";
    return config_text({{.name = "four", .target = R"({"ip": "10.0.0.1", "port": 8080})", .more = forwarding},
                        {.name = "six",
                         .listen = R"("address": "2001:db8::80")",
                         .target = R"({"ip": "2001:db8:a::1", "port": 8080})",
                         .more = forwarding},
                        {.name = "local",
                         .port = 81,
                         .target = R"({"ip": "192.0.2.254", "port": 8080})",
                         .more = forwarding}});
}

Packet request(bool six, const lab::L4& l4 = lab::Tcp{}, std::size_t payload = 100)
{
    Packet packet{.saddr = any_ip(six ? "2001:db8:1::7" : "192.0.2.7"),
                  .daddr = any_ip(six ? "2001:db8::80" : "192.0.2.1"),
                  .l4 = l4};
    packet.payload = lab::pattern(payload);
    return packet;
}

// The same without the fast path: what the stack is given of a packet, which other tests judge.
Bench by_stack(const BenchOptions& options)
{
    BenchOptions on_lo = options;
    on_lo.real_interface = "";
    return Bench(config_of("stack"), on_lo);
}

} // namespace

TEST_CASE("a translated packet is sent by lb where the way is known, with one hop less", "[datapath][fast]")
{
    const Net net;
    net.balancer.run([&] {
        for (const auto& options : kernels) {
            const Bench bench(config_of("fast"), options), stack = by_stack(options);
            allow(bench, "eth1");
            for (const bool six : {false, true})
                for (const lab::L4& l4 : {lab::L4(lab::Tcp{}), lab::L4(lab::Udp{})})
                    for (const u8 ttl : {u8{2}, u8{64}, u8{255}}) {
                        Packet packet = request(six, l4);
                        packet.ttl = ttl;
                        const Bytes expected = with_macs(one_hop_less(stack.in(build(packet)).frame),
                                                         target_mac, mac_of(net, "eth1"));
                        for (int i = 0; i < 2; ++i)
                            CHECK(pass(bench, build(packet), Reason::sent_on) == expected);
                    }
        }
    });
}

TEST_CASE("whatever is missing or unusual leaves a translated packet to the stack, as it would be without",
          "[datapath][fast]")
{
    const Net net;
    net.balancer.run([&] {
        for (const auto& options : kernels) {
            const Bench bench(config_of("fast"), options), stack = by_stack(options);
            allow(bench, "eth1");
            for (const bool six : {false, true}) {
                const auto to_stack = [&](const char* what, const Packet& packet, bool device = true) {
                    INFO(what << (six ? ", IPv6" : ", IPv4"));
                    if (!device) forbid(bench, "eth1");
                    CHECK(pass(bench, build(packet), Reason::forwarded) == stack.in(build(packet)).frame);
                    allow(bench, "eth1");
                };
                to_stack("no device", request(six), false);
                Packet packet = request(six);
                packet.ttl = 1;
                to_stack("no hop left", packet);
                packet = request(six);
                packet.vlans = {5};
                to_stack("a tag", packet);
                to_stack("too large", request(six, lab::Udp{}, 1500));
                packet = request(six);
                if (six)
                    packet.extensions = {lab::destination_options()};
                else
                    packet.options = {1, 1, 1, 0};
                to_stack("options", packet);
                if (!six) {
                    to_stack("a first fragment",
                             *lab::parse(lab::split(request(six, lab::Udp{}, 300), 200)[0]));
                    packet = request(six);
                    std::get<lab::Tcp>(packet.l4).dport = 81;
                    to_stack("a target on this host", packet);
                }
                net.forget_target();
                to_stack("no neighbour", request(six));
                net.know_target();
            }
        }
    });
}

TEST_CASE("proxies by the stack and by the fast path stand in one program", "[datapath][fast]")
{
    const Net net;
    net.balancer.run([&] {
        for (const auto& options : kernels) {
            const Bench bench(config_text({{.name = "fast", .more = R"("forwarding": {"path": "fast"})"},
                                           {.name = "stack", .port = 81},
                                           {.name = "dsr",
                                            .port = 82,
                                            .target = R"({"ip": "10.0.0.1", "port": 82})",
                                            .more = R"("forwarding": {"mode": "dsr-ipip"})"}}),
                              options);
            allow(bench, "eth1");
            const auto to = [](u16 port) { return build(request(false, lab::Udp{.dport = port})); };
            pass(bench, to(80), Reason::sent_on);
            pass(bench, to(81), Reason::forwarded);
            CHECK(pass(bench, to(82), Reason::sent_on).size() == to(82).size() + 20);
        }
    });
}
