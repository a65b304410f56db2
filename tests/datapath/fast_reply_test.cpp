// The fast path of replies: what the stack and the program on the way out would make of them, one hop less to
// live, by the Ethernet addresses of the way to the client; or nothing at all. In the program of a listener's
// interface, and in the one for the targets' side.
#include "way.hpp"

using namespace lb;
using namespace lb::test;
using lab::any_ip;
using lab::build;

namespace {

std::string proxies(const std::string& forwarding)
{
    return config_text({{.name = "four", .more = forwarding},
                        {.name = "six",
                         .listen = R"("address": "2001:db8::80")",
                         .target = R"({"ip": "2001:db8:a::1", "port": 8080})",
                         .more = forwarding}},
                       R"("full-nat": {"addresses": ["10.0.0.253", "2001:db8:a::fd"]})");
}
const std::string fast_nat = proxies(R"("forwarding": {"path": "fast"})");
const std::string fast_full_nat = proxies(R"("forwarding": {"mode": "full-nat", "path": "fast"})");
const std::string full_nat = proxies(R"("forwarding": {"mode": "full-nat"})");

const lab::L4 both_l4[] = {lab::Tcp{}, lab::Udp{}};

using Run = Passage (Bench::*)(const Bytes&) const;
constexpr Run both_programs[] = {&Bench::in, &Bench::inside};

// Packets come in by eth1, where the targets are, unless told otherwise.
BenchOptions options_of(const BenchOptions& kernel, const std::string& arrives = "eth1")
{
    BenchOptions options = kernel;
    options.real_interface = arrives;
    options.inside = true;
    return options;
}

Packet request(bool six, const lab::L4& l4, const std::string& client4 = "192.0.2.7")
{
    return {.saddr = any_ip(six ? "2001:db8:1::7" : client4),
            .daddr = any_ip(six ? "2001:db8::80" : "192.0.2.1"),
            .l4 = l4};
}

Packet turned(Packet packet)
{
    std::swap(packet.saddr, packet.daddr);
    std::visit(
        [](auto& l4) {
            if constexpr (requires { l4.sport; }) std::swap(l4.sport, l4.dport);
        },
        packet.l4);
    return packet;
}

// A connection; what its target answers.
Packet reply_to(const Bench& bench, const Packet& request, std::size_t payload = 100)
{
    const Passage passage = bench.in(build(request));
    Packet reply = turned(*lab::parse(passage.frame));
    reply.payload = lab::pattern(payload);
    reply.ttl = 64;
    return reply;
}

// What the client is to see of it.
Packet seen(const Packet& request, const Packet& reply)
{
    Packet packet = reply;
    const Packet back = turned(request);
    packet.saddr = back.saddr;
    packet.daddr = back.daddr;
    packet.l4 = back.l4;
    return packet;
}

} // namespace

TEST_CASE("a reply is sent by lb where the way to the client is known, with one hop less", "[datapath][fast]")
{
    const Net net;
    net.know_client();
    net.balancer.run([&] {
        for (const auto& config : {fast_nat, fast_full_nat})
            for (const auto& kernel : kernels) {
                const Bench bench(config, options_of(kernel));
                allow(bench, "eth0");
                u64 replies = 0, bytes = 0;
                for (const bool six : {false, true})
                    for (const auto& l4 : both_l4)
                        for (const Run run : both_programs) {
                            const Packet first = request(six, l4);
                            const Packet reply = reply_to(bench, first);
                            const Bytes expected = with_macs(one_hop_less(build(seen(first, reply))),
                                                             client_mac, mac_of(net, "eth0"));
                            for (int i = 0; i < 2; ++i)
                                CHECK((pass(bench, build(reply), Reason::reply_sent_on, run) == expected));
                            replies += 2;
                            bytes += 2 * (build(reply).size() - 14);
                            auto counted = bench.counters(0);
                            counted += bench.counters(1);
                            CHECK(counted.reply_packets == replies);
                            CHECK(counted.reply_bytes == bytes);
                        }
            }
    });
}

TEST_CASE("a reply goes back by the interface that it came in by", "[datapath][fast]")
{
    const Net net;
    net.balancer.run([&] {
        for (const u8 sends : {u8{model::sends_redirect}, u8{model::sends_redirect | model::sends_tx}})
            for (const Run run : both_programs) {
                BenchOptions options = options_of(kernels[0]);
                options.sends = sends;
                const Bench bench(fast_nat, options);
                allow(bench, "eth1");
                const Packet first = request(false, lab::Tcp{}, "10.9.0.7");
                const Packet reply = reply_to(bench, first);
                const bool tx = (sends & model::sends_tx) != 0;
                CHECK((pass(bench, build(reply), tx ? Reason::reply_sent_back : Reason::reply_sent_on, run) ==
                       with_macs(one_hop_less(build(seen(first, reply))), target_mac, mac_of(net, "eth1"))));
            }
    });
}

TEST_CASE("whatever is missing or unusual leaves a reply to the stack, untouched", "[datapath][fast]")
{
    const Net net;
    net.know_client();
    net.balancer.run([&] {
        for (const auto& kernel : kernels) {
            const Bench bench(fast_nat, options_of(kernel));
            allow(bench, "eth0");
            for (const bool six : {false, true})
                for (const Run run : both_programs) {
                    const auto to_stack = [&](const char* what, const auto& change, bool device = true) {
                        INFO(what << (six ? ", IPv6" : ", IPv4"));
                        if (!device) forbid(bench, "eth0");
                        const Packet first = request(six, lab::Udp{});
                        Packet reply = reply_to(bench, first);
                        change(reply);
                        const u64 before = bench.counters(six ? 1 : 0).reply_packets;
                        const u64 exits = bench.exits()[Reason::reply_forwarded];
                        CHECK((pass(bench, build(reply), Reason::reply, run) == build(reply)));
                        CHECK(bench.counters(six ? 1 : 0).reply_packets == before);
                        const Passage out = bench.out(build(reply)); // and there it is translated
                        CHECK((out.frame == build(seen(first, reply))));
                        CHECK(bench.counters(six ? 1 : 0).reply_packets == before + 1);
                        CHECK(bench.exits()[Reason::reply_forwarded] == exits + 1);
                        allow(bench, "eth0");
                    };
                    const auto as_it_is = [](Packet&) {};
                    to_stack("no device", as_it_is, false);
                    to_stack("no hop left", [](Packet& packet) { packet.ttl = 1; });
                    to_stack("a tag", [](Packet& packet) { packet.vlans = {5}; });
                    to_stack("too large", [](Packet& packet) { packet.payload = lab::pattern(1500); });
                    to_stack("options", [&](Packet& packet) {
                        if (six)
                            packet.extensions = {lab::destination_options()};
                        else
                            packet.options = {1, 1, 1, 0};
                    });
                    net.forget_client();
                    to_stack("no neighbour", as_it_is);
                    net.know_client();
                }
        }
    });
}

TEST_CASE("a checksum that the device is to finish is left to the kernel, which knows of it",
          "[datapath][fast]")
{
    const Net net;
    net.know_client();
    net.balancer.run([&] {
        const Bench bench(fast_nat, options_of(kernels[0]));
        allow(bench, "eth0");
        for (const bool six : {false, true})
            for (const auto& l4 : both_l4)
                for (const std::size_t payload : {0uz, 1uz, 100uz, 1400uz})
                    for (const Run run : both_programs) {
                        const Packet reply = reply_to(bench, request(six, l4), payload);
                        Bytes partial = build(reply);
                        lab::make_partial(partial);
                        CHECK((pass(bench, partial, Reason::reply, run) == partial));
                        pass(bench, build(reply), Reason::reply_sent_on, run);
                    }
    });
}

TEST_CASE("the way is that of the packet as the client will see it", "[datapath][fast]")
{
    const Net net;
    net.know_client();
    net.balancer.run([&] {
        const Bench bench(fast_nat, options_of(kernels[0]));
        allow(bench, "eth0");
        const Packet reply = reply_to(bench, request(false, lab::Tcp{}));
        for (const char* rule : {"from 192.0.2.1", "from 192.0.2.1 ipproto tcp sport 80"}) {
            INFO(rule);
            net.balancer.ip(std::string("rule add prio 10 ") + rule + " prohibit");
            pass(bench, build(reply), Reason::reply);
            net.balancer.ip("rule del prio 10");
            pass(bench, build(reply), Reason::reply_sent_on);
        }
    });
}

TEST_CASE("fragments of replies and errors about them are the stack's, on the fast path, too",
          "[datapath][fast]")
{
    const Net net;
    net.know_client();
    net.balancer.run([&] {
        for (const Run run : both_programs) {
            const Bench bench(fast_nat, options_of(kernels[0]));
            allow(bench, "eth0");
            const Packet first = request(false, lab::Udp{});
            const Packet reply = reply_to(bench, first, 1200);
            const auto pieces = lab::split(reply, 800), expected = lab::split(seen(first, reply), 800);
            const bool inside = run == &Bench::inside;
            CHECK((pass(bench, pieces[0], Reason::reply, run) == pieces[0]));
            CHECK((pass(bench, pieces[1], inside ? Reason::not_a_reply : Reason::fragment_early, run) ==
                   pieces[1]));
            for (std::size_t i = 0; i < 2; ++i) CHECK((bench.out(pieces[i]).frame == expected[i]));

            const Packet asked = turned(reply);
            const Bytes error = build({.saddr = asked.daddr,
                                       .daddr = asked.saddr,
                                       .l4 = lab::Icmp{.type = 3, .code = 3},
                                       .payload = lab::quote(build(asked), 28)});
            CHECK((pass(bench, error, inside ? Reason::not_a_reply : Reason::reply, run) == error));
            const auto told = lab::parse(bench.out(error).frame);
            CHECK(told->saddr == first.daddr);
        }
    });
}

TEST_CASE("on the targets' side everything but replies passes as it is", "[datapath][fast]")
{
    const Net net;
    net.know_client();
    net.balancer.run([&] {
        for (const auto& config : {fast_nat, fast_full_nat, full_nat})
            for (const bool six : {false, true}) {
                const Bench bench(config, options_of(kernels[1]));
                if (bench.has("devices")) allow(bench, "eth0");
                const Packet first = request(six, lab::Tcp{});
                const Packet reply = reply_to(bench, first);
                const auto untouched = [&](const char* what, const Packet& packet) {
                    INFO(what);
                    const Passage passage = bench.inside(build(packet));
                    CHECK(passage.verdict == xdp_pass);
                    CHECK((passage.frame == build(packet)));
                };
                const u64 before = bench.exits()[Reason::not_a_reply];
                untouched("a request", first);
                Packet other = reply;
                std::get<lab::Tcp>(other.l4).sport = 8081;
                untouched("from another port", other);
                other = reply;
                std::get<lab::Tcp>(other.l4).dport = 9;
                untouched("to another port", other);
                other = reply;
                other.daddr = any_ip(six ? "2001:db8:1::8" : "192.0.2.8");
                untouched("to somebody else", other);
                other = reply;
                other.l4 = lab::Udp{.sport = 8080, .dport = std::get<lab::Tcp>(reply.l4).dport};
                untouched("of another protocol", other);
                CHECK(bench.exits()[Reason::not_a_reply] == before + 5);
                CHECK(bench.counters(six ? 1 : 0).reply_packets == 0);
            }
    });
}

TEST_CASE("replies of full NAT are translated on the targets' side, whoever sends them",
          "[datapath][full-nat]")
{
    const Net net;
    net.balancer.run([&] {
        for (const auto& config : {fast_full_nat, full_nat}) { // nobody knows the client's neighbour
            const Bench bench(config, options_of(kernels[1]));
            for (const bool six : {false, true})
                for (const auto& l4 : both_l4) {
                    const Packet first = request(six, l4);
                    const Packet reply = reply_to(bench, first);
                    CHECK((pass(bench, build(reply), Reason::reply_translated, &Bench::inside) ==
                           build(seen(first, reply))));
                    // It came to lb's address: on the way out it is nobody's.
                    CHECK((bench.out(build(reply)).frame == build(reply)));
                }
        }
    });
}

TEST_CASE("nobody sends a packet of full NAT whose hop is the last one", "[datapath][full-nat]")
{
    const Net net;
    net.know_client();
    net.balancer.run([&] {
        for (const auto& config : {fast_full_nat, full_nat}) {
            const Bench bench(config, options_of(kernels[1]));
            if (bench.has("devices")) allow(bench, "eth0");
            for (const bool six : {false, true})
                for (const auto& l4 : both_l4) {
                    Packet first = request(six, l4), reply = reply_to(bench, first);
                    first.ttl = reply.ttl = 1;
                    for (const auto& [packet, run] :
                         {std::pair{first, &Bench::in}, {reply, &Bench::in}, {reply, &Bench::inside}})
                        CHECK((pass(bench, build(packet), Reason::last_hop, run) == build(packet)));
                }
        }
    });
}

TEST_CASE("replies by the stack and by the fast path stand in one program", "[datapath][fast][kernels]")
{
    const Net net;
    net.know_client();
    net.balancer.run([&] {
        for (const auto& kernel : kernels)
            for (const Run run : both_programs) {
                const Bench bench(
                    config_text({{.name = "fast", .more = R"("forwarding": {"path": "fast"})"},
                                 {.name = "stack", .port = 81, .target = R"({"ip": "10.0.0.1", "port": 81})"},
                                 {.name = "full",
                                  .port = 82,
                                  .target = R"({"ip": "10.0.0.1", "port": 82})",
                                  .more = R"("forwarding": {"mode": "full-nat"})"},
                                 {.name = "dsr",
                                  .port = 83,
                                  .target = R"({"ip": "10.0.0.1", "port": 83})",
                                  .more = R"("forwarding": {"mode": "dsr-ipip"})"}}),
                    options_of(kernel));
                allow(bench, "eth0");
                const auto answer = [&](u16 port) {
                    return build(reply_to(bench, request(false, lab::Tcp{.dport = port})));
                };
                const bool inside = run == &Bench::inside;
                pass(bench, answer(80), Reason::reply_sent_on, run);
                pass(bench, answer(81), inside ? Reason::not_a_reply : Reason::no_listener, run);
                pass(bench, answer(82), Reason::reply_translated, run);
            }
    });
}
