// Replies as a network card gets them: the translated header must fit a checksum that the card has yet to
// compute.
#include "setup.hpp"

using namespace lb::e2e;

namespace {

constexpr const char* client = "192.0.2.10";

// A balancer whose listener's interface is a TAP, and a target on the host. The test is the client.
struct TapLab {
    Namespace host{"host"};
    Tap tap{host, "tap0"};
    Server server{{.name = "here", .listen = "10.0.0.1:9000", .netns = prepare()}};
    Daemon lb{host, config({proxy({.interfaces = R"(["tap0"])", .target = target("10.0.0.1", 9000)})}),
              instance_name()};

    TapLab() { lb.start(); }
    int prepare() const
    {
        host.ip("addr add 192.0.2.1/24 dev tap0");
        host.ip("addr add 10.0.0.1/32 dev lo");
        host.ip("neigh add 192.0.2.10 lladdr 02:00:00:00:00:02 dev tap0 nud permanent");
        return host.fd();
    }
    void send(const std::variant<Tcp, Udp, Icmp, Raw>& l4, const Bytes& payload = {}) const
    {
        tap.send(build(
            {.destination = tap.mac(), .saddr = ip(client), .daddr = ip(vip), .l4 = l4, .payload = payload}));
    }
};

// The reply as it would be on the wire; the checksum is left to the card, or complete already.
Packet on_the_wire(std::optional<TapFrame> frame, bool& was_partial)
{
    REQUIRE(frame.has_value());
    was_partial = frame->needs_checksum;
    if (was_partial) REQUIRE(complete_partial(frame->bytes, frame->checksum));
    INFO(describe(frame->bytes));
    CHECK(checksum_fault(frame->bytes) == "");
    Bytes scratch_copy = frame->bytes;
    recompute_checksums(scratch_copy);
    CHECK(scratch_copy == frame->bytes);
    return *parse(frame->bytes);
}

} // namespace

TEST_CASE("a UDP reply with a partial checksum is translated so that the card completes it rightly", "[e2e]")
{
    TapLab lab;
    for (const std::size_t size : {0UL, 1UL, 2UL, 3UL, 64UL, 1001UL, 1400UL}) {
        lab.send(Udp{.sport = 7001, .dport = 80}, pattern(size));
        bool partial = false;
        const Packet reply = on_the_wire(lab.tap.receive(), partial);
        CHECK(partial);
        CHECK(reply.saddr == ip(vip));
        CHECK(reply.daddr == ip(client));
        CHECK(std::get<Udp>(reply.l4).sport == 80);
        CHECK(std::get<Udp>(reply.l4).dport == 7001);
        CHECK(reply.payload.size() == std::string("here 192.0.2.10:7001 ").size() + size);
    }
}

TEST_CASE("a request without a UDP checksum keeps none and is answered", "[e2e]")
{
    TapLab lab;
    lab.send(Udp{.sport = 7002, .dport = 80, .checksum = false}, text("none"));
    bool partial = false;
    CHECK(on_the_wire(lab.tap.receive(), partial).payload == text("here 192.0.2.10:7002 none"));
}

TEST_CASE("a TCP conversation with a card that completes checksums", "[e2e]")
{
    TapLab lab;
    bool partial = false;
    lab.send(Tcp{.sport = 7003, .dport = 80, .seq = 1000, .flags = Tcp::syn});
    const Packet opened = on_the_wire(lab.tap.receive(), partial);
    const Tcp synack = std::get<Tcp>(opened.l4);
    CHECK(opened.saddr == ip(vip));
    CHECK(synack.sport == 80);
    CHECK(synack.dport == 7003);
    CHECK(synack.flags == (Tcp::syn | Tcp::ack_flag));
    CHECK(synack.ack == 1001);

    Tcp mine{.sport = 7003, .dport = 80, .seq = 1001, .ack = synack.seq + 1, .flags = Tcp::ack_flag};
    lab.send(mine);
    mine.flags = Tcp::ack_flag | Tcp::psh;
    lab.send(mine, text("who\n"));
    for (;;) {
        const Packet reply = on_the_wire(lab.tap.receive(), partial);
        if (reply.payload.empty()) continue; // an acknowledgement
        CHECK(reply.payload == text("here 192.0.2.10:7003\n"));
        CHECK(partial);
        break;
    }
}

TEST_CASE("what is not the listener's passes a TAP untouched", "[e2e]")
{
    TapLab lab;
    const Server own({.name = "own", .listen = "192.0.2.1:53", .netns = lab.host.fd()});
    lab.tap.send(build({.destination = lab.tap.mac(),
                        .saddr = ip(client),
                        .daddr = ip("192.0.2.1"),
                        .l4 = Udp{.sport = 7004, .dport = 53},
                        .payload = text("q")}));
    bool partial = false;
    const Packet reply = on_the_wire(lab.tap.receive(), partial);
    CHECK(reply.saddr == ip("192.0.2.1"));
    CHECK(reply.payload == text("own 192.0.2.10:7004 q"));
}
