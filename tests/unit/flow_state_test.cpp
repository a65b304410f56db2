// What the entries of a connection say of its state, and how long it may be idle in each.
#include "model/flow_state.hpp"

#include <optional>

#include <catch2/catch.hpp>

using namespace lb;
using namespace lb::model;
using namespace std::chrono_literals;

namespace {

constexpr u8 fin = 0x01, syn = 0x02, rst = 0x04, psh = 0x08, ack = 0x10;
constexpr FlowKey4 tcp_key = {.protocol = 6}, udp_key = {.protocol = 17};

Flow4 seen(int flags) { return {.tcp_flags = static_cast<u8>(flags)}; }

// The state by the flags seen on the way there and back; no `back`: the reply's entry is gone.
FlowState state(int there, std::optional<int> back, const FlowKey4& key = tcp_key)
{
    Flow4 reply = seen(back.value_or(0));
    reply.packets = reply.tcp_flags == 0 ? 0 : 1;
    return state_of(key, seen(there), back ? &reply : nullptr);
}

} // namespace

TEST_CASE("a TCP connection's state follows from the flags seen in both directions", "[flow]")
{
    struct Row {
        int there;
        std::optional<int> back;
        FlowState expected;
    };
    using enum FlowState;
    const Row rows[] = {
        {0, 0, half_open},
        {syn, 0, half_open},
        {syn, syn | ack, half_open}, // the client has not answered yet
        {syn | ack, 0, half_open},   // nobody has answered
        {syn | ack, syn | ack, established},
        {syn | ack | psh, syn | ack | psh, established},
        {ack, 0, half_open},
        {ack, ack, established}, // taken over in the middle
        {syn | ack | fin, syn | ack, closing},
        {syn | ack, syn | ack | fin, closing},
        {syn | fin, 0, closing},
        {syn | ack | fin, syn | ack | fin, closed},
        {syn | ack | rst, syn | ack, closed},
        {syn | ack, syn | ack | rst, closed},
        {syn, rst | ack, closed}, // refused
        {syn | ack | fin | rst, syn | ack, closed},
        {syn, {}, half_open},
        {syn | ack, {}, established},
        {syn | ack | fin, {}, closing},
        {syn | rst, {}, closed},
    };
    for (const Row& row : rows) {
        INFO(row.there << " there, " << row.back.value_or(-1) << " back");
        CHECK(state(row.there, row.back) == row.expected);
    }
}

TEST_CASE("a UDP flow is one-way until the target has answered, whatever its entries hold of TCP", "[flow]")
{
    const Flow4 client = {.packets = 9, .tcp_flags = fin | rst};
    const Flow4 silent = {.packets = 0, .tcp_flags = fin}, answered = {.packets = 1, .tcp_flags = fin};
    CHECK(state_of<be32, be32>(udp_key, client, nullptr) == FlowState::udp_one_way);
    CHECK(state_of(udp_key, client, &silent) == FlowState::udp_one_way);
    CHECK(state_of(udp_key, client, &answered) == FlowState::udp);
}

TEST_CASE("each state has its time, none longer than an established connection's", "[flow]")
{
    struct Row {
        std::chrono::seconds timeout, half_open, established, closing, closed, udp, udp_one_way;
    };
    const Row rows[] = {{300s, 30s, 300s, 60s, 10s, 60s, 30s}, {604800s, 30s, 604800s, 60s, 10s, 60s, 30s},
                        {60s, 30s, 60s, 60s, 10s, 60s, 30s},   {59s, 30s, 59s, 59s, 10s, 59s, 30s},
                        {20s, 20s, 20s, 20s, 10s, 20s, 20s},   {5s, 5s, 5s, 5s, 5s, 5s, 5s},
                        {1s, 1s, 1s, 1s, 1s, 1s, 1s}};
    for (const Row& row : rows) {
        const auto timeouts = Timeouts::from({.connection_timeout = row.timeout});
        INFO(row.timeout.count());
        CHECK(timeouts.of(FlowState::half_open) == row.half_open);
        CHECK(timeouts.of(FlowState::established) == row.established);
        CHECK(timeouts.of(FlowState::closing) == row.closing);
        CHECK(timeouts.of(FlowState::closed) == row.closed);
        CHECK(timeouts.of(FlowState::udp) == row.udp);
        CHECK(timeouts.of(FlowState::udp_one_way) == row.udp_one_way);
    }
}

TEST_CASE("a timeout that is written holds as it is, longer than an established connection's too", "[flow]")
{
    const auto timeouts = Timeouts::from(
        {.connection_timeout = 5s,
         .timeouts = {
             .tcp_half_open = 1s, .tcp_closing = 600s, .tcp_closed = 6s, .udp = 700s, .udp_one_way = 800s}});
    CHECK(timeouts.of(FlowState::established) == 5s);
    CHECK(timeouts.of(FlowState::half_open) == 1s);
    CHECK(timeouts.of(FlowState::closing) == 600s);
    CHECK(timeouts.of(FlowState::closed) == 6s);
    CHECK(timeouts.of(FlowState::udp) == 700s);
    CHECK(timeouts.of(FlowState::udp_one_way) == 800s);
}

TEST_CASE("where only UDP's time is written, one-way UDP has no longer one", "[flow]")
{
    CHECK(Timeouts::from({.timeouts = {.udp = 10s}}).udp_one_way == 10s);
    CHECK(Timeouts::from({.timeouts = {.udp = 45s}}).udp_one_way == 30s);
    CHECK(Timeouts::from({.connection_timeout = 20s, .timeouts = {.udp = 45s}}).udp_one_way == 20s);
}

TEST_CASE("of a carried connection the client alone tells the state", "[flow]")
{
    const auto state = [](u8 protocol, u8 flags, u64 packets) {
        const Flow4 forward{.carried = 1, .packets = packets, .tcp_flags = flags};
        return state_of(FlowKey4{.protocol = protocol}, forward, static_cast<const Flow4*>(nullptr));
    };
    CHECK(state(6, 0x02, 1) == FlowState::half_open);
    CHECK(state(6, 0x10, 1) == FlowState::half_open); // anybody may send that in anybody's name
    CHECK(state(6, 0x12, 2) == FlowState::established);
    CHECK(state(6, 0x13, 5) == FlowState::closing);
    CHECK(state(6, 0x16, 5) == FlowState::closed);
    CHECK(state(17, 0, 1) == FlowState::udp_one_way);
    CHECK(state(17, 0, 2) == FlowState::udp);
}

TEST_CASE("each entry of a connection leads to the other", "[flow]")
{
    // A client's 198.51.100.7:40000 comes to 192.0.2.1:80, and goes on from port 50000 to 10.0.0.1:8080.
    const FlowKey4 there{be32(0xc6336407), be32(0xc0000201), be16(40000), be16(80), 6};
    const Flow4 forward{be32(0xc6336407), be32(0x0a000001), be16(50000), be16(8080)};
    const FlowKey4 back{be32(0x0a000001), be32(0xc6336407), be16(8080), be16(50000), 6};
    const Flow4 reply{be32(0xc0000201), be32(0xc6336407), be16(80), be16(40000)};
    CHECK(other_key<FlowKey4>(there.protocol, forward) == back);
    CHECK(other_key<FlowKey4>(back.protocol, reply) == there);
    CHECK(other_key<FlowKey4>(17, Flow4{}).protocol == 17);
}

TEST_CASE("replies of a connection between IP versions come this way, and count", "[flow]")
{
    const FlowKey4 key{.protocol = 17};
    Flow6 forward{.carried = carried_across, .packets = 5}, reply{.carried = carried_across, .packets = 0};
    CHECK(state_of(key, forward, &reply) == FlowState::udp_one_way);
    reply.packets = 1;
    CHECK(state_of(key, forward, &reply) == FlowState::udp);
}

TEST_CASE("an entry between IP versions says the other's key, and addresses as they are on the wire",
          "[flow]")
{
    const Address6 six{be64(0x20010db8000a0000), be64(1)}, four{be64(0), be64(0x0000ffff0a000001)};
    const Flow6 to_six{
        .saddr = six, .daddr = six, .sport = be16(10000), .dport = be16(80), .carried = carried_across};
    CHECK(other_key<FlowKey6>(6, to_six) ==
          FlowKey6{.saddr = six, .daddr = six, .sport = be16(80), .dport = be16(10000), .protocol = 6});
    const Flow6 to_four{
        .saddr = four, .daddr = four, .sport = be16(10000), .dport = be16(80), .carried = carried_across};
    CHECK(other_key<FlowKey4>(17, to_four) == FlowKey4{.saddr = be32(0x0a000001),
                                                       .daddr = be32(0x0a000001),
                                                       .sport = be16(80),
                                                       .dport = be16(10000),
                                                       .protocol = 17});
    CHECK(address_in(to_four, four).text() == "10.0.0.1");
    CHECK(address_in(to_six, six).text() == "2001:db8:a::1");
    CHECK(address_in(Flow6{}, four).is_v6()); // of one version, it is what it says
}
