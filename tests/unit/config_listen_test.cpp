// The configuration reader, listeners: interfaces, addresses, and what two listeners must not have in common.
#include "config_text.hpp"

using namespace lb;
using namespace lb::model;
using namespace lb::test;

namespace {

// Proxies "p0", "p1", ... with these members of `listen`, each on its own line from 2 on.
std::string listeners(std::initializer_list<const char*> members)
{
    std::string list;
    u32 number = 0;
    for (const char* each : members) {
        list += (list.empty() ? "" : ",\n") + std::string("{\"name\": \"p") + std::to_string(number++) +
                "\", \"listen\": {" + each + "}, " + good_target + "}";
    }
    return "{\"proxies\": [\n" + list + "]}";
}

} // namespace

TEST_CASE("an interface's name is what the kernel takes as one", "[config]")
{
    const std::string form = "expected the name of an interface: 1..15 bytes without blanks, '/' and ':'";
    const Refusal rows[] = {{"\"\"", {}},    {"\".\"", {}},       {"\"..\"", {}},
                            {"\"a b\"", {}}, {"\"a/b\"", {}},     {"\"eth0:1\"", {}},
                            {R"("\t")", {}}, {R"("\u007f")", {}}, {"\"eth0.1234567890x\"", {}}};
    for (const Refusal& row : rows) {
        const std::string shown = row.part == R"("\t")" ? R"("\u0009")" : row.part;
        CHECK(refusal(in_interfaces("[" + row.part + "]")) ==
              "t.json:2:2: proxies[0].listen.interfaces[0]: " + shown + ": " + form);
    }
}

TEST_CASE("an interface twice in a list is refused; in both lists it is not", "[config]")
{
    check_refusals(in_interfaces,
                   {{R"(["eth0", "eth1", "eth0"])",
                     "18: proxies[0].listen.interfaces[2]: \"eth0\": the same interface twice"}});
    check_refusals(in_listen,
                   {{R"({"interfaces": ["eth0"], "port": 80, "egress-interfaces": ["eth1", "eth1"]})",
                     "68: proxies[0].listen.egress-interfaces[1]: \"eth1\": the same interface twice"}});
    CHECK(refusal(in_listen(R"({"interfaces": ["eth0"], "port": 80, "egress-interfaces": ["eth0"]})")) ==
          "accepted");
}

TEST_CASE("a list that is too long is refused with its length", "[config]")
{
    const auto interface = [](std::size_t i) { return "\"eth" + std::to_string(i) + "\""; };
    const auto address = [](std::size_t i) {
        return "\"10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1) + "\"";
    };
    check_refusals(in_interfaces, {{list_of(65, interface),
                                    "1: proxies[0].listen.interfaces: 65 elements: expected at most 64"}});
    check_refusals(in_address, {{list_of(257, address),
                                 "1: proxies[0].listen.address: 257 elements: expected at most 256"}});
    check_refusals(in_proxies, {{list_of(1025, [](std::size_t) { return std::string("1"); }),
                                 "1: proxies: 1025 elements: expected at most 1024"}});
}

TEST_CASE("an address that no listener can have is refused with the reason", "[config]")
{
    const std::string host = R"(: expected the address of a host, or "any")";
    const Refusal rows[] = {
        {"0.0.0.0", ": the unspecified address" + host},
        {"255.255.255.255", ": the broadcast address" + host},
        {"224.0.0.1", ": a multicast address" + host},
        {"::", ": the unspecified address" + host},
        {"ff02::1", ": a multicast address" + host},
        {"fe80::1", ": a link-local address" + host},
        {"febf:ffff::1", ": a link-local address" + host},
        {"::ffff:192.0.2.1", ": an IPv4-mapped address" + host},
    };
    for (const Refusal& row : rows) {
        CHECK(refusal(in_address("\"" + row.part + "\"")) ==
              "t.json:2:1: proxies[0].listen.address: \"" + row.part + "\"" + row.message);
        CHECK(refusal(in_address("[\"192.0.2.1\", \"" + row.part + "\"]")) ==
              "t.json:2:15: proxies[0].listen.address[1]: \"" + row.part + "\"" + row.message);
    }
    check_refusals(
        in_address,
        {{"\"Any\"", R"(1: proxies[0].listen.address: "Any": expected an IP address, a list of them )"
                     R"(that isn't empty, or "any")"},
         {"\"192.0.2.1/24\"", R"(1: proxies[0].listen.address: "192.0.2.1/24": expected an IP address, )"
                              R"(a list of them that isn't empty, or "any")"},
         {R"(["any"])", R"(2: proxies[0].listen.address[0]: "any": expected an IP address)"},
         {R"(["192.0.2.1", "192.0.2.1"])",
          R"(15: proxies[0].listen.address[1]: "192.0.2.1": the same address twice)"}});
}

TEST_CASE("a name for two proxies is refused at the second", "[config]")
{
    const std::string second =
        R"({"name": "web", "listen": {"interfaces": ["eth0"], "port": 81}, )" + good_target + "}";
    CHECK(refusal("{\"proxies\": [" + good_proxy + ",\n" + second + "]}") ==
          "t.json:2:1: proxies[1]: \"web\": the same name as proxies[0]");
    // Two without a name have none in common.
    const std::string nameless = good_listen + ", " + good_target + "}";
    CHECK(refusal("{\"proxies\": [{\n" + nameless + ", {\"listen\": 5, " + good_target + "}]}")
              .find("the same name") == std::string::npos);
}

TEST_CASE("two listeners for the same packets are refused at the second", "[config]")
{
    const char* given = R"("interfaces": ["eth0", "eth1"], "port": 80, "address": "192.0.2.1")";
    const char* own = R"("interfaces": ["eth0"], "port": 80)";
    const char* any = R"("interfaces": ["eth0"], "port": 80, "address": "any")";
    const char* udp =
        R"("interfaces": ["eth1"], "port": 80, "address": ["192.0.2.9", "192.0.2.1"], "protocol": "udp")";
    CHECK(
        refusal(listeners({given, given})) ==
        "t.json:3:1: proxies[1]: 192.0.2.1, tcp port 80 on \"eth0\" twice: proxies[0] listens there already");
    CHECK(
        refusal(listeners({given, udp})) ==
        "t.json:3:1: proxies[1]: 192.0.2.1, udp port 80 on \"eth1\" twice: proxies[0] listens there already");
    CHECK(refusal(listeners({own, given, own})) == "t.json:4:1: proxies[2]: the host's own IPv4 addresses, "
                                                   "tcp port 80 on \"eth0\" twice: proxies[0] listens "
                                                   "there already");
    CHECK(refusal(listeners({any, any})) ==
          "t.json:3:1: proxies[1]: any IPv4 address, tcp port 80 on \"eth0\" "
          "twice: proxies[0] listens there already");
}

TEST_CASE("listeners that differ in address, kind, port, protocol or interface live side by side", "[config]")
{
    CHECK(accepted(
              listeners({R"("interfaces": ["eth0"], "port": 80, "address": "192.0.2.1", "protocol": "tcp")",
                         R"("interfaces": ["eth0"], "port": 80, "address": "192.0.2.1", "protocol": "udp")",
                         R"("interfaces": ["eth0"], "port": 80, "address": "192.0.2.2")",
                         R"("interfaces": ["eth0"], "port": 80)",
                         R"("interfaces": ["eth0"], "port": 80, "address": "any")",
                         R"("interfaces": ["eth0"], "port": 81)",
                         R"("interfaces": ["eth1"], "port": 80, "address": "192.0.2.1")",
                         R"("interfaces": ["eth1"], "port": 80)"}))
              .proxies.size() == 8);
}

TEST_CASE("where a listener is wrong it is not compared with others", "[config]")
{
    CHECK(refusal(listeners({R"("interfaces": ["eth0"], "port": 80)",
                             R"("interfaces": ["eth0"], "port": 80, "protocol": 5)"})) ==
          R"(t.json:3:75: proxies[1].listen.protocol: 5: expected "tcp" or "udp" or "both")");
}
