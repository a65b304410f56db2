// A feature that no proxy uses has no instruction, and what is map content changes none.
#include <algorithm>
#include <string>

#include "lb/asm/encode.hpp"
#include "lb/asm/helpers.hpp"

#include "programs.hpp"

#include <catch2/catch.hpp>

using namespace lb;
using namespace lb::test;
using bpf::Helper;
using bpf::Program;

namespace {

// What stands in one proxy of a file; by default the least that there is.
struct Proxy {
    std::string name = "web";
    std::string interfaces = R"(["eth0"])";
    std::string port = "80";
    std::string listen = R"("address": "192.0.2.1", "protocol": "tcp")";
    std::string target = R"({"ip": "10.0.0.1", "port": 8080})";
    std::string more = {};
};

std::string text_of(const std::vector<Proxy>& proxies, const std::string& settings = "")
{
    std::string list;
    for (const Proxy& proxy : proxies)
        list += (list.empty() ? "" : ", ") + ("{\"name\": \"" + proxy.name) +
                "\", \"listen\": {\"interfaces\": " + proxy.interfaces + ", \"port\": " + proxy.port + ", " +
                proxy.listen + "}, \"default-target\": " + proxy.target + (proxy.more.empty() ? "" : ", ") +
                proxy.more + "}";
    return "{\"proxies\": [" + list + "], \"settings\": {" + settings + "}}";
}

Programs with(const std::vector<Proxy>& proxies, const std::string& settings = "")
{
    return generate(text_of(proxies, settings));
}

// Whether the loader fills something of that name in: a map, or an interface as "ifindex:NAME".
bool names(const Program& program, const std::string& start)
{
    return std::ranges::any_of(program.relocs,
                               [&](const bpf::Reloc& reloc) { return reloc.symbol.starts_with(start); });
}

bool notes(const Program& program, const std::string& start)
{
    return std::ranges::any_of(program.lines,
                               [&](const bpf::LineInfo& line) { return line.text.starts_with(start); });
}

bool calls(const Program& program, Helper helper)
{
    return std::ranges::any_of(program.code, [&](const bpf::RawInsn& insn) {
        return insn.opcode == bpf::opcode_call && insn.registers >> 4 == 0 &&
               insn.imm == static_cast<i32>(helper);
    });
}

i64 size(const Program& program) { return static_cast<i64>(program.code.size()); }

const std::string route =
    R"("source-routes": [{"source": "10.1.0.0/16", "target": {"ip": "10.0.0.2", "port": 8080}}])";

} // namespace

TEST_CASE("without source routes no prefix is looked up", "[feature]")
{
    const Programs without = with({{}}), with_route = with({{.more = route}});
    CHECK_FALSE(names(without.ingress, "routes4"));
    CHECK_FALSE(notes(without.ingress, "source route"));
    CHECK(names(with_route.ingress, "routes4"));
    CHECK(notes(with_route.ingress, "source route"));
    CHECK(size(with_route.ingress) > size(without.ingress));
    CHECK(with_route.egress.code == without.egress.code);
}

TEST_CASE("each list and each limit has code where a proxy has it, and nowhere else", "[feature]")
{
    struct Row {
        const char *more, *map, *note;
    };
    const Row rows[] = {
        {R"("allow": ["10.0.0.0/8"])", "prefixes4", "allow and deny"},
        {R"("deny": ["10.0.0.0/8"])", "prefixes4", "allow and deny"},
        {R"("rate-limits": {"per-source": {"requests-per-sec": 1}})", "sources4",
         "a token of source_connection_rate"},
        {R"("rate-limits": {"per-source": {"packets-per-sec": 1}})", "sources4",
         "a token of source_packet_rate"},
        {R"("rate-limits": {"per-target": {"requests-per-sec": 1}})", "target_buckets",
         "a token of target_connection_rate"},
        {R"("rate-limits": {"per-target": {"packets-per-sec": 1}})", "target_buckets",
         "a token of target_packet_rate"},
    };
    const std::string udp = R"("address": "192.0.2.1", "protocol": "udp")",
                      six = R"("address": "2001:db8::1", "protocol": "tcp")",
                      target6 = R"({"ip": "2001:db8:1::1", "port": 8080})";
    const Programs without = with({{}});
    for (const Row& row : rows) {
        INFO(row.more);
        const Programs with_it = with({{.more = row.more}});
        for (const Row& other : rows) {
            CHECK(names(with_it.ingress, other.map) == (std::string_view(other.map) == row.map));
            CHECK(notes(with_it.ingress, other.note) == (std::string_view(other.note) == row.note));
            CHECK_FALSE(names(without.ingress, other.map));
            CHECK_FALSE(notes(without.ingress, other.note));
        }
        CHECK(size(with_it.ingress) > size(without.ingress));
        CHECK(with_it.egress.code == without.egress.code);
        // A proxy of another protocol or family beside it costs what it costs beside one that has no such
        // thing.
        const Programs udp_beside = with({{.more = row.more}, {.name = "udp", .listen = udp}});
        const Programs six_beside =
            with({{.more = row.more}, {.name = "six", .listen = six, .target = target6}});
        const auto times = [&](const Program& program) {
            return std::ranges::count_if(program.relocs, [&](const bpf::Reloc& reloc) {
                return reloc.symbol.starts_with(std::string_view(row.map).substr(0, 7));
            });
        };
        CHECK(times(udp_beside.ingress) == times(with_it.ingress));
        CHECK(times(six_beside.ingress) == times(with_it.ingress));
    }
    // Fifty proxies with them have the code of two.
    std::vector<Proxy> plain, limited;
    for (int i = 0; i < 50; ++i) {
        const std::string name = "p" + std::to_string(i), port = std::to_string(100 + i);
        plain.push_back({.name = name, .port = port, .more = rows[0].more});
        limited.push_back(
            {.name = name, .port = port, .more = std::string(rows[0].more) + ", " + rows[2].more});
    }
    const std::vector<Proxy> two_plain(plain.begin(), plain.begin() + 2),
        two_limited(limited.begin(), limited.begin() + 2);
    CHECK(size(with(limited).ingress) - size(with(plain).ingress) ==
          size(with(two_limited).ingress) - size(with(two_plain).ingress));
}

TEST_CASE("a protocol that nobody listens to has no code of its own, on either way", "[feature]")
{
    const Programs tcp = with({{}}), udp = with({{.listen = R"("address": "192.0.2.1", "protocol": "udp")"}}),
                   both = with({{.listen = R"("address": "192.0.2.1")"}});
    for (const auto program : {&Programs::ingress, &Programs::egress}) {
        INFO((tcp.*program).name);
        CHECK(notes(tcp.*program, "TCP"));
        CHECK_FALSE(notes(tcp.*program, "UDP"));
        CHECK_FALSE(notes(udp.*program, "TCP"));
        CHECK(notes(udp.*program, "UDP"));
        CHECK(notes(both.*program, "TCP"));
        CHECK(notes(both.*program, "UDP"));
        CHECK(size(tcp.*program) < size(both.*program));
        CHECK(size(udp.*program) < size(both.*program));
    }
}

TEST_CASE("where all listeners are on the same interfaces, none is compared", "[feature]")
{
    const Programs one = with({{}});
    CHECK_FALSE(names(one.ingress, "ifindex:"));
    CHECK_FALSE(names(one.egress, "ifindex:"));
    CHECK_FALSE(notes(one.ingress, "where it came in"));
    // More of them, in another order, and others for the way out alone: still the same code.
    const Programs same = with({{.interfaces = R"(["eth0", "eth1"])"},
                                {.name = "b", .interfaces = R"(["eth1", "eth0"])", .port = "81"}});
    const Programs fewer = with({{}, {.name = "b", .port = "81"}});
    CHECK(same.ingress.code == fewer.ingress.code);
    const Programs out =
        with({{.listen = R"("address": "192.0.2.1", "protocol": "tcp", "egress-interfaces": ["eth9"])"}});
    CHECK(out.ingress.code == one.ingress.code);
    CHECK(out.egress.code == one.egress.code);

    const Programs differ = with(
        {{.interfaces = R"(["eth0", "eth1"])"}, {.name = "b", .interfaces = R"(["eth1"])", .port = "81"}});
    CHECK(notes(differ.ingress, "where it came in"));
    CHECK(names(differ.ingress, "ifindex:eth1"));
    CHECK_FALSE(names(differ.ingress, "ifindex:eth0")); // who is on all interfaces compares none
}

TEST_CASE("where every listener has an address or any, the host's own are not looked up", "[feature]")
{
    const Programs given = with({{}}), any = with({{.listen = R"("address": "any", "protocol": "tcp")"}}),
                   own = with({{.listen = R"("protocol": "tcp")"}});
    CHECK_FALSE(names(given.ingress, "own4"));
    CHECK_FALSE(names(any.ingress, "own4"));
    CHECK(names(own.ingress, "own4"));
    CHECK(size(any.ingress) < size(given.ingress));
    CHECK(size(given.ingress) < size(own.ingress));
}

TEST_CASE("without a target in 127/8, and off lo, nothing guards 127/8", "[feature]")
{
    const Programs without = with({{}}), loopback = with({{.target = R"({"ip": "127.0.0.1", "port": 80})"}});
    for (const auto program : {&Programs::ingress, &Programs::egress}) {
        INFO((without.*program).name);
        CHECK_FALSE(notes(without.*program, "127/8"));
        CHECK(notes(loopback.*program, "127/8"));
        CHECK(size(without.*program) < size(loopback.*program));
        CHECK_FALSE(names(loopback.*program, "ifindex:lo")); // no program is attached there
    }
}

TEST_CASE("a guard of 127/8 lets pass what comes in or leaves by lo itself", "[feature]")
{
    const std::string local = R"({"ip": "127.0.0.1", "port": 80})";
    const Programs listens = with({{.interfaces = R"(["eth0", "lo"])", .target = local}});
    CHECK(names(listens.ingress, "ifindex:lo"));
    CHECK(names(listens.egress, "ifindex:lo"));
    // Replies are translated on lo, too, and nobody listens there: what this host says to itself must go on.
    const Programs replies =
        with({{.listen = R"("address": "192.0.2.1", "protocol": "tcp", "egress-interfaces": ["lo"])",
               .target = local}});
    CHECK_FALSE(names(replies.ingress, "ifindex:lo"));
    CHECK(names(replies.egress, "ifindex:lo"));
}

TEST_CASE("without stats-enabled no connection is told", "[feature]")
{
    const Programs without = with({{}}), told = with({{}}, R"("stats-enabled": true)");
    CHECK_FALSE(calls(without.ingress, Helper::ringbuf_output));
    CHECK_FALSE(names(without.ingress, "events"));
    CHECK(calls(told.ingress, Helper::ringbuf_output));
    CHECK(names(told.ingress, "events"));
    CHECK(names(told.ingress, "events_lost"));
    CHECK(size(without.ingress) < size(told.ingress));
    CHECK(told.egress.code == without.egress.code);
}

TEST_CASE("an algorithm that no proxy picks by has no instruction and no map", "[feature]")
{
    const auto by = [](const std::string& name) {
        return with({{.more = "\"algorithm\": \"" + name + "\""}});
    };
    const Programs maglev = with({{}}), source = by("source-hash"), random = by("random"),
                   turns = by("round-robin"), least = by("least-connections");
    CHECK(by("maglev").ingress.code == maglev.ingress.code);
    for (const auto* without : {&maglev, &source, &random, &turns})
        for (const auto program : {&Programs::ingress, &Programs::egress}) {
            CHECK_FALSE(names(without->*program, "live"));
            CHECK_FALSE(names(without->*program, "members"));
        }
    for (const auto* without : {&maglev, &source, &random, &least})
        CHECK_FALSE(names(without->ingress, "turns"));
    for (const auto* without : {&maglev, &source, &turns})
        CHECK_FALSE(calls(without->ingress, Helper::get_prandom_u32));
    CHECK_FALSE(names(maglev.ingress, "proxies"));
    CHECK(names(turns.ingress, "turns"));
    CHECK(calls(random.ingress, Helper::get_prandom_u32));
    CHECK(names(least.ingress, "live"));
    CHECK(names(least.ingress, "members"));
    CHECK(names(least.egress, "live"));
    for (const auto* each : {&source, &random, &turns}) CHECK(each->egress.code == maglev.egress.code);
}

TEST_CASE("without session-persistence no session is looked up", "[feature]")
{
    const Programs without = with({{}}), kept = with({{.more = R"("session-persistence": true)"}});
    CHECK_FALSE(names(without.ingress, "sessions"));
    CHECK(names(kept.ingress, "sessions4"));
    CHECK(names(kept.ingress, "members"));
    CHECK_FALSE(names(kept.ingress, "live"));
    CHECK(kept.egress.code == without.egress.code);
    // How long is a row's content.
    CHECK(with({{.more = R"("session-persistence": {"timeout-sec": 7})"}}).ingress.code == kept.ingress.code);
}

TEST_CASE("a way of forwarding that no proxy has costs nothing", "[feature]")
{
    struct Row {
        std::string forwarding;
        bool sends, own_source, tunnel;
    };
    const std::string port = R"({"ip": "10.0.0.1", "port": 80})";
    const Row rows[] = {{R"("mode": "nat", "path": "fast")", true, false, false},
                        {R"("mode": "full-nat")", false, true, false},
                        {R"("mode": "full-nat", "path": "fast")", true, true, false},
                        {R"("mode": "dsr-l2")", true, false, false},
                        {R"("mode": "dsr-ipip")", true, false, true},
                        {R"("mode": "dsr-gue")", true, false, true}};
    const Programs without = with({{.target = port}});
    const auto check = [](const Programs& programs, const Row& row) {
        INFO(row.forwarding);
        for (const char* map : {"carriers", "devices"}) CHECK(names(programs.ingress, map) == row.sends);
        const bool asks = row.sends || row.own_source; // whether a packet fits
        CHECK(calls(programs.ingress, Helper::fib_lookup) == asks);
        CHECK(calls(programs.ingress, Helper::redirect_map) == row.sends);
        CHECK(names(programs.ingress, "nat_sources") == row.own_source);
        CHECK(calls(programs.ingress, Helper::get_prandom_u32) == row.own_source);
        if (row.tunnel || !row.sends) // or to tell that it does not
            CHECK(calls(programs.ingress, Helper::xdp_adjust_head) == (row.tunnel || row.own_source));
    };
    check(without, {"nat", false, false, false});
    for (const Row& row : rows) {
        const Programs with_it = with({{.target = port, .more = "\"forwarding\": {" + row.forwarding + "}"}});
        check(with_it, row);
        CHECK(size(with_it.ingress) > size(without.ingress));
        // Beside a proxy that has it, one without costs its listener alone.
        const Programs beside = with({{.target = port, .more = "\"forwarding\": {" + row.forwarding + "}"},
                                      {.name = "b", .port = "80", .listen = R"("address": "192.0.2.2")"}});
        check(beside, row);
    }
}

TEST_CASE("what is off by default is off when it is written, too", "[feature]")
{
    const Programs base = with({{}});
    for (const char* more :
         {R"("algorithm": "maglev")", R"("session-persistence": false)", R"("allow": [])", R"("deny": [])",
          R"("source-routes": [])", R"("weight-mode": "relative")", R"("forwarding": {"mode": "nat"})",
          R"("forwarding": {"path": "auto"})", R"("forwarding": {"path": "stack"})", R"("rate-limits": {})",
          R"("rate-limits": {"per-source": false, "per-target": false})"}) {
        INFO(more);
        const Programs written = with({{.more = more}});
        CHECK(written.ingress.code == base.ingress.code);
        CHECK(written.egress.code == base.egress.code);
    }
    for (const char* settings : {R"("stats-enabled": false)", R"("full-nat": {"ports": "20000-29999"})",
                                 R"("full-nat": {"addresses": ["10.0.0.254"]})", R"("rate-limits": {})"}) {
        INFO(settings);
        const Programs written = with({{}}, settings);
        CHECK(written.ingress.code == base.ingress.code);
        CHECK(written.egress.code == base.egress.code);
    }
}

TEST_CASE("one port is compared once; ports beyond four are searched by halves", "[feature]")
{
    const auto listeners = [](u32 count) {
        std::vector<Proxy> proxies;
        for (u32 i = 0; i < count; ++i)
            proxies.push_back({.name = "p" + std::to_string(i), .port = std::to_string(1000 + i)});
        return size(with(proxies).ingress);
    };
    // One: its gate. From two on: the gate, and the leaves that it leads to.
    CHECK(listeners(3) - listeners(2) == 8);
    CHECK(listeners(4) - listeners(3) == 8);
}

TEST_CASE("an address more costs four instructions", "[feature]")
{
    const auto addresses = [](const std::string& list) {
        return size(with({{.listen = R"("protocol": "tcp", "address": )" + list}}).ingress);
    };
    // load, compare, the group, and on
    CHECK(addresses(R"(["192.0.2.1", "192.0.2.2"])") - addresses(R"(["192.0.2.1"])") == 4);
    CHECK(addresses(R"(["192.0.2.1", "192.0.2.2", "192.0.2.3"])") - addresses(R"(["192.0.2.1"])") == 8);
}

TEST_CASE("what is map content changes no instruction", "[feature]")
{
    const Programs base = with({{}});
    const std::pair<const char*, Programs> others[] = {
        {"target", with({{.target = R"({"ip": "10.9.9.9", "port": 9})"}})},
        {"targets and weights", with({{.target = R"([{"ip": "10.0.0.1", "port": 8080, "weight": 60},
                                                     {"ip": "10.0.0.2", "port": 8080, "weight": 40}])"}})},
        {"name", with({{.name = "other"}})},
        {"interface", with({{.interfaces = R"(["eth7"])"}})},
        {"timeouts", with({{}}, R"("connection-timeout-sec": 9, "timeouts": {"udp-sec": 3})")},
        {"life", with({{}}, R"("instance": "two", "on-exit": "keep", "xdp-mode": "generic")")},
        {"log", with({{}}, R"("log": {"level": "trace", "format": "json"})")},
    };
    for (const auto& [what, programs] : others) {
        INFO(what);
        CHECK(programs.ingress.code == base.ingress.code);
        CHECK(programs.egress.code == base.egress.code);
    }
    const auto routed = [](const std::string& routes) {
        return with({{.more = "\"source-routes\": [" + routes + "]"}}).ingress.code;
    };
    const std::string first = R"({"source": "10.1.0.0/16", "target": {"ip": "10.0.0.2", "port": 8080}})";
    CHECK(routed(first) ==
          routed(first + R"(, {"source": "10.2.0.0/16", "target": {"ip": "10.0.0.3", "port": 8080}})"));
}

TEST_CASE("replies do not know of listeners: the program for them is the same for any", "[feature]")
{
    const Programs base = with({{}});
    CHECK(with({{.port = "443"}}).egress.code == base.egress.code);
    CHECK(with({{.listen = R"("address": "any", "protocol": "tcp")"}}).egress.code == base.egress.code);
    CHECK(with({{}, {.name = "b", .interfaces = R"(["eth1"])", .port = "81"}}).egress.code ==
          base.egress.code);
}

TEST_CASE("a kernel's features decide what is loaded, and what the programs may call", "[feature]")
{
    const Programs newest = generate(text_of({{}}), "6.18"), oldest = generate(text_of({{}}), "5.15");
    CHECK(newest.ingress.frags);
    CHECK_FALSE(oldest.ingress.frags);
    CHECK(newest.egress.attach == bpf::AttachType::tcx_egress);
    CHECK(oldest.egress.attach == bpf::AttachType::none);
    CHECK(newest.egress.code == oldest.egress.code);
    CHECK_FALSE(calls(oldest.ingress, Helper::xdp_get_buff_len)); // Linux 5.18
    CHECK(calls(newest.ingress, Helper::xdp_get_buff_len));
}
