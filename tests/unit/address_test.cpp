// Addresses, prefixes, endpoints and byte order as text and values.
#include <catch2/catch.hpp>

#include "lb/base/address.hpp"
#include "lb/base/bytes.hpp"

using namespace lb;

TEST_CASE("an address is read in its one form and written back in the canonical one", "[base]")
{
    struct Row {
        const char* text;
        const char* canonical;
    };
    const Row rows[] = {
        {"0.0.0.0", "0.0.0.0"},
        {"10.0.0.1", "10.0.0.1"},
        {"255.255.255.255", "255.255.255.255"},
        {"2001:db8::1", "2001:db8::1"},
        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
        {"::", "::"},
        {"::ffff:10.0.0.1", "::ffff:10.0.0.1"},
    };
    for (const Row& row : rows) {
        INFO(row.text);
        const auto ip = IpAddress::parse(row.text);
        REQUIRE(ip);
        CHECK(ip->text() == row.canonical);
    }
}

TEST_CASE("what is not exactly an address is refused", "[base]")
{
    for (const char* text : {"", "10", "10.0.0", "10.0.0.256", "10.0.0.1.2", "010.0.0.1", "10.0.0.01",
                             " 10.0.0.1", "10.0.0.1 ", "10.0.0.1:80", "10.0.0.1/8", "0x7f.1", "[::1]",
                             "fe80::1%eth0", "2001:db8::1::2", "12345::", "web"}) {
        INFO(text);
        CHECK_FALSE(IpAddress::parse(text));
    }
    CHECK_FALSE(IpAddress::parse(std::string_view("10.0.0.1\0", 9)));
}

TEST_CASE("an IPv4 address keeps the order of the wire", "[base]")
{
    const auto ip = IpAddress::parse("192.0.2.1");
    REQUIRE(ip);
    CHECK(ip->v4().raw == 0x010200c0); // as a little-endian load sees c0 00 02 01
    CHECK(ip->v4().host() == 0xc0000201);
    CHECK(be16(80).raw == 0x5000);
    CHECK(be16::from_raw(0x5000).host() == 80);
}

TEST_CASE("loopback is all of 127/8, and ::1 alone", "[base]")
{
    CHECK(IpAddress::parse("127.0.0.1")->is_loopback());
    CHECK(IpAddress::parse("127.255.255.254")->is_loopback());
    CHECK_FALSE(IpAddress::parse("128.0.0.1")->is_loopback());
    CHECK(IpAddress::parse("::1")->is_loopback());
    CHECK_FALSE(IpAddress::parse("::2")->is_loopback());
    CHECK_FALSE(IpAddress::parse("::")->is_loopback());
}

TEST_CASE("addresses sort as numbers do, IPv4 before IPv6", "[base]")
{
    CHECK(*IpAddress::parse("2.0.0.0") < *IpAddress::parse("10.0.0.0"));
    CHECK(*IpAddress::parse("10.0.0.1") < *IpAddress::parse("10.0.1.0"));
    CHECK(*IpAddress::parse("255.255.255.255") < *IpAddress::parse("::"));
}

TEST_CASE("a prefix is an address and a length, or one address alone", "[base]")
{
    struct Row {
        const char* text;
        const char* written;
        const char* network;
    };
    const Row rows[] = {
        {"192.168.0.0/16", "192.168.0.0/16", "192.168.0.0/16"},
        {"10.1.2.3", "10.1.2.3/32", "10.1.2.3/32"},
        {"10.1.2.3/8", "10.1.2.3/8", "10.0.0.0/8"},
        {"10.1.2.255/25", "10.1.2.255/25", "10.1.2.128/25"},
        {"255.255.255.255/0", "255.255.255.255/0", "0.0.0.0/0"},
        {"10.1.2.3/31", "10.1.2.3/31", "10.1.2.2/31"},
        {"2001:db8::1", "2001:db8::1/128", "2001:db8::1/128"},
        {"2001:db8:ffff::/33", "2001:db8:ffff::/33", "2001:db8:8000::/33"},
        {"ffff::/0", "ffff::/0", "::/0"},
    };
    for (const Row& row : rows) {
        INFO(row.text);
        const auto prefix = Prefix::parse(row.text);
        REQUIRE(prefix);
        CHECK(prefix->text() == row.written);
        CHECK(prefix->network().text() == row.network);
    }
}

TEST_CASE("what is not exactly a prefix is refused", "[base]")
{
    for (const char* text :
         {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/08", "10.0.0.0/8/8",
          "10.0.0.0/ 8", "10.0.0.0/255.0.0.0", "2001:db8::/129", "10.0.0.0/99999999999"}) {
        INFO(text);
        CHECK_FALSE(Prefix::parse(text));
    }
}

TEST_CASE("a prefix contains the addresses that share its bits, of its own family", "[base]")
{
    struct Row {
        const char* prefix;
        const char* address;
        bool inside;
    };
    const Row rows[] = {
        {"10.0.0.0/8", "10.255.255.255", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.0.0.0/9", "10.128.0.0", false},
        {"0.0.0.0/0", "255.1.2.3", true},
        {"10.0.0.1/32", "10.0.0.1", true},
        {"10.0.0.1/32", "10.0.0.2", false},
        {"0.0.0.0/0", "::", false},
        {"::/0", "0.0.0.0", false},
        {"2001:db8::/32", "2001:db8:1::", true},
        {"2001:db8::/32", "2001:db9::", false},
    };
    for (const Row& row : rows) {
        INFO(row.prefix << " contains " << row.address);
        CHECK(Prefix::parse(row.prefix)->contains(*IpAddress::parse(row.address)) == row.inside);
    }
}

TEST_CASE("an endpoint is written as it is read", "[base]")
{
    for (const char* text :
         {"10.0.0.1:8080", "127.0.0.1:1", "10.0.0.1:65535", "[2001:db8::1]:8080", "[::]:80"}) {
        INFO(text);
        const auto endpoint = Endpoint::parse(text);
        REQUIRE(endpoint);
        CHECK(endpoint->text() == text);
    }
    CHECK(Endpoint::parse("10.0.0.1:8080")->port == 8080);
}

TEST_CASE("what is not exactly an endpoint is refused", "[base]")
{
    for (const char* text : {"", ":", "10.0.0.1", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:080",
                             "10.0.0.1:+80", "10.0.0.1:80 ", "[10.0.0.1]:80", "2001:db8::1:80", "[]:80",
                             "[2001:db8::1]", "[2001:db8::1]80", "host:80"}) {
        INFO(text);
        CHECK_FALSE(Endpoint::parse(text));
    }
}

TEST_CASE("a number that came from outside is narrowed only where it fits", "[base]")
{
    CHECK(narrow<u16>(u32{65535}) == u16{65535});
    CHECK_FALSE(narrow<u16>(u32{65536}));
    CHECK_FALSE(narrow<u8>(-1));
    CHECK(narrow<i8>(i64{-128}) == i8{-128});
}
