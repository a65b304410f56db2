// Interfaces and addresses of the host, and hearing of their changes.
#include "kernel/interfaces.hpp"
#include "kernel/monitor.hpp"
#include "kernel_fixture.hpp"

#include <algorithm>
#include <cerrno>
#include <poll.h>

using namespace lb;
using namespace lb::kernel;
using lb::test::contains;
using lb::test::must;
using lb::test::VethPair;
using Kind = HostEvent::Kind;

namespace {

bool has_address(const std::vector<HostAddress>& all, u32 ifindex, const char* text)
{
    return std::any_of(all.begin(), all.end(), [&](const HostAddress& each) {
        return each.ifindex == ifindex && each.address == IpAddress::parse(text);
    });
}

std::vector<HostEvent> wait_for_events(HostMonitor& monitor)
{
    pollfd waiting{.fd = monitor.fd(), .events = POLLIN};
    REQUIRE(::poll(&waiting, 1, 2000) == 1);
    return must(monitor.read());
}

} // namespace

TEST_CASE("an interface is found by name and by index, with what it is")
{
    VethPair pair("n0", "n1", "1400");
    auto found = must(interface_by_name("n0"));
    CHECK(found.index == pair.index);
    CHECK(found.name == "n0");
    CHECK(found.mtu == 1400);
    CHECK(found.kind == "veth");
    CHECK(found.driver == "veth");
    CHECK(found.peer == pair.peer_index);
    CHECK(found.up());
    CHECK(found.ethernet());
    CHECK_FALSE(found.loopback());
    CHECK(must(interface_by_index(pair.peer_index)).name == "n1");
    test::run("ip link set n0 down");
    CHECK_FALSE(must(interface_by_name("n0")).up());

    auto loopback = must(interface_by_index(1));
    CHECK(loopback.name == "lo");
    CHECK(loopback.loopback());
    CHECK(loopback.ethernet());
    CHECK(loopback.driver.empty());
}

TEST_CASE("an interface that is not there is an error that lists those that are")
{
    VethPair pair("n0", "n1");
    auto missing = interface_by_name("eth7");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().kind == ErrorKind::host_not_ready);
    CHECK(missing.error().sys_errno == ENODEV);
    CHECK(contains(missing.error().message, "there is no interface 'eth7' here; there are: lo"));
    CHECK(contains(missing.error().message, "n1"));
    CHECK_FALSE(interface_by_name("").has_value());
    CHECK(interface_by_name("a-name-that-is-too-long").error().sys_errno == ENODEV);
    CHECK(interface_by_index(4242).error().sys_errno == ENODEV);
    CHECK(must(list_interfaces()).size() >= 3);
}

TEST_CASE("the host's own addresses of both families are listed")
{
    VethPair pair("n0", "n1");
    test::run("sysctl -q -w net.ipv6.conf.n0.disable_ipv6=0");
    test::run("ip addr add 192.0.2.1/24 dev n0 && ip addr add 2001:db8::1/64 dev n0 nodad");
    test::run("ip addr add 198.51.100.1 peer 198.51.100.2/32 dev n1");
    auto all = must(host_addresses());
    CHECK(has_address(all, 1, "127.0.0.1"));
    CHECK(has_address(all, pair.index, "192.0.2.1"));
    CHECK(has_address(all, pair.index, "2001:db8::1"));
    // The other end of a point-to-point link is not ours.
    CHECK(has_address(all, pair.peer_index, "198.51.100.1"));
    CHECK_FALSE(has_address(all, pair.peer_index, "198.51.100.2"));
    auto at = std::find_if(all.begin(), all.end(),
                           [&](const auto& each) { return each.address == IpAddress::parse("192.0.2.1"); });
    REQUIRE(at != all.end());
    CHECK(at->prefix_length == 24);
}

TEST_CASE("the monitor tells of addresses and interfaces that come and go")
{
    auto monitor = must(HostMonitor::open());
    CHECK(must(monitor.read()).empty());
    u32 index = 0;
    {
        VethPair pair("n0", "n1");
        index = pair.index;
        auto events = wait_for_events(monitor);
        CHECK(std::any_of(events.begin(), events.end(), [&](const HostEvent& event) {
            return event.kind == Kind::link_changed && event.interface.name == "n0" &&
                   event.interface.index == index;
        }));
        test::run("ip addr add 192.0.2.1/24 dev n0");
        events = wait_for_events(monitor);
        REQUIRE(events.size() == 1);
        CHECK(events[0].kind == Kind::address_added);
        CHECK(events[0].address == HostAddress{index, *IpAddress::parse("192.0.2.1"), 24});
        test::run("ip addr del 192.0.2.1/24 dev n0");
        events = wait_for_events(monitor);
        REQUIRE(events.size() == 1);
        CHECK(events[0].kind == Kind::address_removed);
        CHECK(events[0].address.address == IpAddress::parse("192.0.2.1"));
    }
    auto events = wait_for_events(monitor);
    CHECK(std::any_of(events.begin(), events.end(), [&](const HostEvent& event) {
        return event.kind == Kind::link_removed && event.interface.index == index;
    }));
}

TEST_CASE("a monitor that slept through too many changes asks for a new listing")
{
    VethPair pair("n0", "n1");
    auto monitor = must(HostMonitor::open());
    // Each address costs a message of some hundred bytes; the socket holds a few thousand of them.
    test::run("for b in $(seq 0 79); do for a in $(seq 1 250); do echo addr add 10.9.$b.$a/32 dev n0; done; "
              "done | ip -batch -");
    auto events = must(monitor.read());
    CHECK(std::any_of(events.begin(), events.end(),
                      [](const HostEvent& event) { return event.kind == Kind::lost; }));
    CHECK(must(host_addresses()).size() > 20000);
    // It goes on hearing.
    test::run("ip addr add 192.0.2.9/32 dev n1");
    events = wait_for_events(monitor);
    REQUIRE_FALSE(events.empty());
    CHECK(events.back().kind == Kind::address_added);
}
