// Who is let in: allow and deny lists, by the longest prefix of the packet's own proxy.
#include "judge.hpp"

using namespace lb;
using namespace lb::test;
using lab::any_ip;
using lab::build;
using lab::Tcp;
using lab::Udp;
using model::Reason;

namespace {

using Lines = std::vector<std::string>;

struct Lists {
    Lines allow = {}, deny = {};
};

std::string text_of(const Lines& lines)
{
    std::string text;
    for (const auto& line : lines) text += (text.empty() ? "\"" : ", \"") + line + "\"";
    return "[" + text + "]";
}

std::vector<ModelPrefix> prefixes(const Lines& lines)
{
    std::vector<ModelPrefix> all;
    for (const auto& line : lines) {
        const auto prefix = Prefix::parse(line);
        REQUIRE(prefix.has_value());
        all.push_back({.network = any_ip(prefix->address.text()), .length = prefix->length});
    }
    return all;
}

bool is_six(const std::string& address) { return address.find(':') != std::string::npos; }

/// A VIP of each family at port 80 with these lists (but where the allow list names nobody of the family,
/// which is refused); the same VIPs at port 81 without.
struct Scene {
    static constexpr const char *vip4 = "192.0.2.1", *vip6 = "2001:db8::1";

    explicit Scene(const Lists& lists)
    {
        std::vector<ProxyText> proxies;
        for (const char* vip : {vip4, vip6})
            for (const int port : {80, 81}) {
                const bool six = vip == vip6;
                const std::string target = six ? "2001:db8:1::1" : "10.0.0.1";
                ModelProxy proxy{.group = {{any_ip(target), 8080}}};
                ProxyText text{.name = (six ? "six" : "four") + std::to_string(port),
                               .listen = R"("address": ")" + std::string(vip) + "\"",
                               .port = port,
                               .target = R"({"ip": ")" + target + R"(", "port": 8080})"};
                const bool names_family = std::ranges::any_of(
                    lists.allow, [&](const std::string& each) { return is_six(each) == six; });
                if (port == 80 && (lists.allow.empty() || names_family)) {
                    proxy.allow = prefixes(lists.allow);
                    proxy.deny = prefixes(lists.deny);
                    text.more = R"("allow": )" + text_of(lists.allow) + R"(, "deny": )" + text_of(lists.deny);
                }
                for (const u8 protocol : {u8{6}, u8{17}})
                    facts.listeners.push_back({.proxy = facts.proxies.size(),
                                               .protocol = protocol,
                                               .port = static_cast<u16>(port),
                                               .address = any_ip(vip)});
                facts.proxies.push_back(proxy);
                proxies.push_back(text);
            }
        config = config_text(proxies);
    }
    ModelFacts facts = {};
    std::string config = {};
};

Packet request(const std::string& client, const lab::L4& l4)
{
    return {.saddr = any_ip(client), .daddr = any_ip(is_six(client) ? Scene::vip6 : Scene::vip4), .l4 = l4};
}

/// Whether this client's connections come through, by TCP and by UDP alike.
bool let_in(Judge& judge, const std::string& client)
{
    static u16 port = 1000;
    ++port;
    judge.in(build(request(client, Tcp{.sport = port})));
    const Reason tcp = judge.last();
    judge.in(build(request(client, Udp{.sport = port})));
    CHECK(judge.last() == tcp);
    CHECK((tcp == Reason::denied || tcp == Reason::forwarded));
    // The other proxy has no lists.
    judge.in(build(request(client, Udp{.sport = port, .dport = 81})));
    CHECK(judge.last() == Reason::forwarded);
    return tcp == Reason::forwarded;
}

} // namespace

TEST_CASE("the longest prefix that holds a client decides, in whichever list it is", "[datapath][admission]")
{
    const Scene scene({.allow = {"10.0.0.0/8", "10.1.2.0/24", "10.1.2.4", "2001:db8:a::/48",
                                 "2001:db8:a:1:8000::/65", "2001:db8:a:1::5"},
                       .deny = {"10.1.0.0/16", "10.1.2.4/31", "10.9.0.0/16", "2001:db8:a:1::/64",
                                "2001:db8:a:1:8000::/66"}});
    Judge judge(scene.config, scene.facts);
    const std::pair<const char*, bool> clients[] = {
        {"9.255.255.255", false},
        {"10.0.0.0", true},
        {"10.255.255.255", true},
        {"11.0.0.0", false},
        {"10.0.255.255", true},
        {"10.1.0.0", false},
        {"10.1.255.255", false},
        {"10.2.0.0", true},
        {"10.1.1.255", false},
        {"10.1.2.0", true},
        {"10.1.2.3", true},
        {"10.1.2.4", true},
        {"10.1.2.5", false},
        {"10.1.2.6", true},
        {"10.1.2.255", true},
        {"10.1.3.0", false},
        {"10.9.1.1", false},
        {"198.51.100.7", false},
        {"2001:db8:9:ffff::1", false},
        {"2001:db8:a::", true},
        {"2001:db8:a:0:ffff::1", true},
        {"2001:db8:a:1::4", false},
        {"2001:db8:a:1::5", true},
        {"2001:db8:a:1:7fff::", false},
        {"2001:db8:a:1:8000::", false},
        {"2001:db8:a:1:bfff::9", false},
        {"2001:db8:a:1:c000::", true},
        {"2001:db8:a:2::1", true},
        {"2001:db8:b::1", false},
    };
    for (const auto& [client, expected] : clients) {
        INFO(client);
        CHECK(let_in(judge, client) == expected);
    }
}

TEST_CASE("who is in no list is let in, unless there is an allow list", "[datapath][admission]")
{
    struct Row {
        Lists lists;
        bool four, six; // clients that no list holds
    };
    const Row rows[] = {
        {{}, true, true},
        {{.deny = {"10.0.0.0/8"}}, true, true},
        {{.deny = {"2001:db8:a::/48"}}, true, true},
        {{.allow = {"10.0.0.0/8"}}, false, true},
        {{.allow = {"2001:db8:a::/48"}}, true, false},
        {{.allow = {"10.0.0.0/8", "2001:db8:a::/48"}}, false, false},
        {{.allow = {"0.0.0.0/0", "2001:db8:a::/48"}}, true, false},
        {{.allow = {"10.0.0.0/8", "::/0"}}, false, true},
        {{.allow = {"10.0.0.0/8"}, .deny = {"0.0.0.0/0"}}, false, true},
        {{.deny = {"0.0.0.0/0", "::/0"}}, false, false},
        // The same in both is denied; and as it stands in the allow list, so is everybody else.
        {{.allow = {"10.0.0.0/8"}, .deny = {"10.0.0.0/8"}}, false, true},
        {{.allow = {"0.0.0.0/0"}, .deny = {"0.0.0.0/0"}}, false, true},
    };
    for (const Row& row : rows) {
        INFO("allow " << text_of(row.lists.allow) << " deny " << text_of(row.lists.deny));
        const Scene scene(row.lists);
        Judge judge(scene.config, scene.facts);
        CHECK(let_in(judge, "198.51.100.7") == row.four);
        CHECK(let_in(judge, "2001:db8:c::7") == row.six);
        let_in(judge, "10.1.2.3");
        let_in(judge, "2001:db8:a::1");
    }
}

TEST_CASE("a connection that is there goes on when its client is denied, and none begins",
          "[datapath][admission]")
{
    const std::string client = GENERATE(as<std::string>(), "198.51.100.7", "2001:db8:c::7");
    const bool six = is_six(client);
    const Scene scene({.allow = {"198.51.100.7", "2001:db8:c::7"}});
    const Bench bench(scene.config);
    const auto verdict = [&](const lab::L4& l4) { return bench.in(build(request(client, l4))).verdict; };
    CHECK(verdict(Tcp{.sport = 1}) == xdp_pass);
    const auto bytes = Prefix::parse(client)->address;
    const u32 length = 32 + bytes.bits(), proxy = six ? 2 : 0;
    if (six)
        must(bench.map("prefixes6").update(model::RouteKey6{length, proxy, bytes.address6()}, u32{0}));
    else
        must(bench.map("prefixes4").update(model::RouteKey4{length, proxy, bytes.v4()}, u32{0}));
    CHECK(verdict(Tcp{.sport = 1, .flags = Tcp::ack_flag}) == xdp_pass);
    CHECK(verdict(Tcp{.sport = 1}) == xdp_pass); // its SYN once more
    CHECK(verdict(Tcp{.sport = 2}) == xdp_drop);
    CHECK(verdict(Tcp{.sport = 2, .flags = Tcp::ack_flag}) == xdp_drop);
    CHECK(verdict(Udp{.sport = 1}) == xdp_drop);
    CHECK(bench.exits()[Reason::denied] == 3);
    CHECK(bench.counters(six ? 2 : 0).connections == 1);
    // It ends; the next one of the same port is a new one.
    CHECK(verdict(Tcp{.sport = 1, .flags = Tcp::rst}) == xdp_pass);
    CHECK(verdict(Tcp{.sport = 1}) == xdp_drop);
}

TEST_CASE("fragments and ICMP follow the connection that they belong to, and ask no list",
          "[datapath][admission]")
{
    const Scene scene({.allow = {"198.51.100.7"}});
    Judge judge(scene.config, scene.facts);
    Packet large = request("198.51.100.7", Udp{});
    large.payload = lab::pattern(1000);
    for (const Bytes& part : split(large, 600)) judge.in(part);
    CHECK(judge.last() == Reason::fragment_forwarded);
    large.saddr = any_ip("198.51.100.8");
    const auto parts = split(large, 600);
    judge.in(parts[0]);
    CHECK(judge.last() == Reason::denied);
    judge.in(parts[1]); // as any whose first one was not translated
    CHECK(judge.last() == Reason::fragment_early);
    judge.in(build(request("198.51.100.8", lab::Icmp{})));
    CHECK(judge.last() == Reason::icmp_other);
}

TEST_CASE("ten thousand prefixes of each list are each of their own length", "[datapath][admission]")
{
    Lists lists;
    for (u32 i = 0; i < 10000; ++i) {
        lists.allow.push_back(lab::ip_text(lab::ip("10.0.0.0") + 4 * i) + "/30");
        lists.deny.push_back(lab::ip_text(lab::ip("10.0.0.0") + 4 * i + 1));
    }
    const Scene scene(lists);
    const Bench bench(scene.config);
    const auto verdict = [&](u32 from) {
        return bench.in(build({.saddr = from, .daddr = any_ip(Scene::vip4), .l4 = Udp{}})).verdict;
    };
    u32 wrong = 0;
    for (u32 i = 0; i < 40000; i += 7)
        if (verdict(lab::ip("10.0.0.0") + i) != (i % 4 == 1 ? xdp_drop : xdp_pass)) ++wrong;
    CHECK(wrong == 0);
    CHECK(verdict(lab::ip("10.0.0.0") + 40000) == xdp_drop);
    CHECK(verdict(lab::ip("9.255.255.255")) == xdp_drop);
}
