// The ports that full NAT and the host's own sockets share out.
#include <catch2/catch.hpp>

#include "model/port_set.hpp"

using namespace lb;
using namespace lb::model;

namespace {

PortSet set(const std::string& text)
{
    const auto ports = PortSet::parse(text);
    REQUIRE(ports);
    return *ports;
}

std::string needed(const std::string& local, const std::string& reserved, const std::string& full_nat)
{
    const auto value = needed_reserved_ports(set(local), set(reserved), set(full_nat));
    if (!value) return value.error().message;
    return *value ? **value : "as it is";
}

} // namespace

TEST_CASE("sets of ports are read and written as the kernel does", "[ports]")
{
    for (const std::string text : {"", "80", "80-81", "80,82", "1-3,5,7-65535", "0-65535"})
        CHECK(set(text).text() == text);
    CHECK(set("81,80").text() == "80-81");
    CHECK(set("1-5,3-9,10").text() == "1-10");
    CHECK(set("65535").count() == 1);
    for (const std::string wrong : {"a", "-", "1-", "-1", "2-1", "65536", "1,,2", "1-2-3", " 1", "1 "})
        CHECK_FALSE(PortSet::parse(wrong));
}

TEST_CASE("only ports that the kernel would give away are reserved", "[ports]")
{
    CHECK(needed("32768-60999", "", "10000-29999") == "as it is");
    CHECK(needed("32768-60999", "", "10000-32767") == "as it is");
    CHECK(needed("32768-60999", "", "10000-32768") == "10000-32768");
    CHECK(needed("32768-60999", "8080", "40000-40999") == "8080,40000-40999");
    CHECK(needed("32768-60999", "40000-41000", "40000-40999") == "as it is");
    CHECK(needed("1024-65535", "", "10000-29999") == "10000-29999");
}

TEST_CASE("ports that would leave the host too few are refused, with what is left", "[ports]")
{
    const auto refused = [](const std::string& full_nat, int left) {
        return "settings.full-nat.ports, " + full_nat + ", leave the host's own sockets " +
               std::to_string(left) +
               " of their ports, 32768-60999 (net.ipv4.ip_local_port_range): expected ports outside of "
               "these, "
               "or 1024 left";
    };
    CHECK(needed("32768-60999", "", "32768-60999") == refused("32768-60999", 0));
    CHECK(needed("32768-60999", "", "32768-59976") == refused("32768-59976", 1023));
    CHECK(needed("32768-60999", "", "32768-59975") == "32768-59975");
    CHECK(needed("32768-60999", "60000", "32768-59975") == refused("32768-59975", 1023));
}
