// Packets of full NAT that do not fit on their way: the kernel would tell lb, whose address they are from by
// then, so lb tells whoever has sent them.
#include "lab/socket.hpp"
#include "model_tunnel.hpp"
#include "way.hpp"

using namespace lb;
using namespace lb::test;
using lab::any_ip;
using lab::build;

namespace {

std::string proxies(const std::string& forwarding)
{
    const std::string more = R"("forwarding": {"mode": "full-nat")" + forwarding + "}";
    return config_text({{.name = "four", .more = more},
                        {.name = "six",
                         .listen = R"("address": "2001:db8::80")",
                         .target = R"({"ip": "2001:db8:a::1", "port": 8080})",
                         .more = more},
                        {.name = "nat", .port = 81}},
                       R"("full-nat": {"addresses": ["10.0.0.253", "2001:db8:a::fd"]})");
}
const std::string by_stack = proxies(""), by_lb = proxies(R"(, "path": "fast")");

constexpr u16 to_target = 1400, to_client = 1300; // MTU

// A connection, from the packet that begins it on.
struct Connection {
    Packet request = {}, reply = {}; ///< as they arrive

    Connection(const Bench& bench, bool six, const lab::L4& l4)
    {
        request = {.saddr = any_ip(six ? "2001:db8:1::7" : "192.0.2.7"),
                   .daddr = any_ip(six ? "2001:db8::80" : "192.0.2.1"),
                   .l4 = l4};
        const auto behind = lab::parse(bench.in(build(request)).frame);
        REQUIRE(behind);
        reply = *behind;
        std::swap(reply.saddr, reply.daddr);
        std::visit(
            [](auto& header) {
                if constexpr (requires { header.sport; }) std::swap(header.sport, header.dport);
            },
            reply.l4);
        reply.ttl = 64;
    }
};

// The packet with so many bytes from its IP header on.
Bytes of_length(Packet packet, std::size_t length)
{
    packet.payload = {};
    packet.payload = lab::pattern(length - lab::quote(build(packet)).size());
    return build(packet);
}

} // namespace

TEST_CASE("what does not fit on the way of full NAT is answered to whoever has sent it",
          "[datapath][full-nat][too-big][kernels]")
{
    const Net net;
    net.balancer.ip("link set eth1 mtu 1400");
    net.balancer.ip("link set eth0 mtu 1300");
    net.balancer.run([&] {
        for (const auto& config : {by_stack, by_lb})
            for (auto options : kernels) {
                options.inside = true;
                const Bench bench(config, options);
                for (const bool six : {false, true})
                    for (const lab::L4& l4 : {lab::L4(lab::Tcp{}), lab::L4(lab::Udp{})}) {
                        const Connection connection(bench, six, l4);
                        const auto check = [&](const Packet& packet, u16 mtu,
                                               Passage (Bench::*run)(const Bytes&) const) {
                            INFO((six ? "IPv6, to " : "IPv4, to ") << lab::ip_text(packet.daddr));
                            const Bytes fits = of_length(packet, mtu);
                            CHECK((bench.*run)(fits).frame.size() == fits.size());
                            CHECK((bench.*run)(fits).frame != fits);
                            for (const std::size_t more : {1u, 99u, 1000u}) {
                                const Bytes large = of_length(packet, mtu + more);
                                CHECK(pass(bench, large, Reason::too_big, run) ==
                                      too_big_answer(large, mtu, false));
                            }
                        };
                        check(connection.request, to_target, &Bench::in);
                        check(connection.reply, to_client, &Bench::in);
                        check(connection.reply, to_client, &Bench::inside);
                    }
            }
    });
}

TEST_CASE("what the kernel can see to is not answered: fragments, tags, NAT", "[datapath][full-nat][too-big]")
{
    const Net net;
    net.balancer.ip("link set eth1 mtu 1400");
    net.balancer.run([&] {
        const Bench bench(by_stack, kernels[0]);
        const auto translates = [&](const Packet& packet) {
            const Bytes large = of_length(packet, 1401);
            const auto passage = bench.in(large);
            CHECK(passage.verdict == xdp_pass);
            CHECK(passage.frame.size() == large.size());
            CHECK(lab::parse(passage.frame)->daddr ==
                  any_ip(packet.saddr.six() ? "2001:db8:a::1" : "10.0.0.1"));
        };
        for (const bool six : {false, true}) {
            Packet packet = Connection(bench, six, lab::Udp{}).request;
            packet.vlans = {5};
            translates(packet);
            if (six) continue;
            packet.vlans = {};
            packet.fragment = 0;
            translates(packet);
            packet.fragment = 0x4000;
            std::get<lab::Udp>(packet.l4).dport = 81;
            translates(packet);
        }
        CHECK(bench.exits()[Reason::too_big] == 0);
    });
}

TEST_CASE("where lb can send, it sends the answers of full NAT itself", "[datapath][full-nat][too-big]")
{
    const Net net;
    net.balancer.ip("link set eth1 mtu 1400");
    net.balancer.run([&] {
        BenchOptions options = kernels[1];
        options.real_interface = "eth0";
        const Bench bench(by_lb, options);
        const u32 index = index_of("eth0");
        must(bench.map("devices").update(index, index));
        for (const bool six : {false, true}) {
            const Bytes large = of_length(Connection(bench, six, lab::Tcp{}).request, 1500);
            CHECK(pass(bench, large, Reason::too_big_sent) == too_big_answer(large, to_target, true));
        }
    });
}

TEST_CASE("senders of too large packets are told so a thousand times a second, on each CPU",
          "[datapath][full-nat][too-big]")
{
    const Net net;
    net.balancer.ip("link set eth1 mtu 1400");
    net.balancer.run([&] {
        const Bench bench(by_stack, kernels[0]);
        const Bytes large = of_length(Connection(bench, false, lab::Udp{}).request, 1401);
        u64 told = 0, unsaid = 0;
        for (int i = 0; i < 20'000; ++i) {
            const auto passage = bench.in(large);
            if (passage.verdict == xdp_drop) {
                ++unsaid;
                CHECK(passage.frame == large);
            } else {
                ++told;
            }
        }
        CHECK(bench.exits()[Reason::too_big] == told);
        CHECK(bench.exits()[Reason::too_big_unsaid] == unsaid);
        CHECK(told >= 1000);
        CHECK(told < 10'000); // how many seconds this takes depends on the machine
        CHECK(unsaid > 0);
    });
}

TEST_CASE("a port that a socket of the host's has is no source", "[datapath][full-nat]")
{
    const Net net;
    net.balancer.run([&] {
        const std::string more = R"("forwarding": {"mode": "full-nat"})";
        const Bench bench(config_text(
            {{.name = "four", .more = more},
             {.name = "six",
              .listen = R"("address": "2001:db8::80")",
              .target = R"({"ip": "2001:db8:a::1", "port": 8080})",
              .more = more}},
            R"("full-nat": {"addresses": ["10.0.0.254", "2001:db8:a::fe"], "ports": "20000-20007"})"));
        for (const bool six : {false, true})
            for (const bool tcp : {false, true}) {
                std::vector<lab::Fd> sockets;
                for (int port = 20000; port < 20006; ++port) {
                    const lab::SocketAddress own((six ? "[2001:db8:a::fe]:" : "10.0.0.254:") +
                                                 std::to_string(port));
                    sockets.push_back(lab::make_socket(-1, own.family(), tcp ? SOCK_STREAM : SOCK_DGRAM));
                    REQUIRE(::bind(sockets.back().get(), own.data(), own.size()) == 0);
                    if (tcp) REQUIRE(::listen(sockets.back().get(), 1) == 0);
                }
                std::map<u16, int> ports;
                for (u16 client = 1; client <= 50; ++client) {
                    Packet request{.saddr = any_ip(six ? "2001:db8:1::7" : "192.0.2.7"),
                                   .daddr = any_ip(six ? "2001:db8::80" : "192.0.2.1")};
                    if (tcp)
                        request.l4 = lab::Tcp{.sport = client};
                    else
                        request.l4 = lab::Udp{.sport = client};
                    const auto passage = bench.in(build(request));
                    if (passage.verdict == xdp_drop) continue;
                    const auto behind = lab::parse(passage.frame);
                    ++ports[tcp ? std::get<lab::Tcp>(behind->l4).sport
                                : std::get<lab::Udp>(behind->l4).sport];
                }
                INFO((six ? "IPv6 " : "IPv4 ") << (tcp ? "TCP" : "UDP"));
                CHECK(ports.size() == 2);
                CHECK(ports.begin()->first == 20006);
                CHECK(ports.rbegin()->first == 20007);
            }
    });
}
