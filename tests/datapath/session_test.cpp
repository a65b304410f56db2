// Session persistence: whom a client's next connection goes to, and when that is forgotten.
#include <time.h>

#include "judge.hpp"
#include "shares.hpp"
#include "two_cpus.hpp"

using namespace lb;
using namespace lb::test;
using lab::build;
using model::Reason;
using model::Session;
using SessionKey4 = model::SessionKey<be32>;

namespace {

constexpr i64 second = 1'000'000'000;
const std::vector<u32> weights{1, 1, 1, 1, 1, 1, 1, 1};

i64 now_ns()
{
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now); // what bpf_ktime_get_ns says
    return now.tv_sec * second + now.tv_nsec;
}

ProxyText kept(const std::string& algorithm, bool six = false, const std::string& more = "")
{
    auto proxy = proxy_by(algorithm, weights, six);
    proxy.more += R"(, "session-persistence": {"timeout-sec": 100})" + more;
    return proxy;
}

SessionKey4 key_of_client(u32 client, u32 proxy = 0)
{
    return {.proxy = proxy, .client = be32(datagram_of(client).saddr.v4())};
}
std::optional<Session> session(const Bench& bench, u32 client, u32 proxy = 0)
{
    return must(bench.map("sessions4").lookup<SessionKey4, Session>(key_of_client(client, proxy)));
}
void set_session(const Bench& bench, u32 client, u32 target, i64 ago, u32 proxy = 0)
{
    must(bench.map("sessions4")
             .update(key_of_client(client, proxy), Session{.target = target, .seen = now_ns() - ago}));
}
u32 pick(const Bench& bench, u32 client, u16 port = 80)
{
    return target_of(bench.in(build(datagram_of(client, false, port))).frame);
}

} // namespace

TEST_CASE("a client keeps its target over every port, whatever the algorithm", "[session]")
{
    for (const std::string algorithm : algorithms)
        for (const bool six : {false, true}) {
            INFO(algorithm << (six ? ", IPv6" : ", IPv4"));
            ModelFacts facts;
            for (const u8 protocol : {u8{6}, u8{17}})
                facts.listeners.push_back({.protocol = protocol, .address = datagram_of(0, six).daddr});
            ModelGroup group;
            for (u32 target = 0; target < weights.size(); ++target)
                group.push_back({target_address(target, six), 8080});
            facts.proxies = {{.group = group, .persistent = true}};
            Judge judge(config_text({kept(algorithm, six)}), facts);
            std::set<u32> seen;
            for (u32 client = 0; client < 20 * 16; ++client) {
                seen.insert(target_of(judge.in(build(datagram_of(client, six)))));
                Packet packet = datagram_of(client, six);
                packet.l4 = lab::Tcp{.sport = static_cast<u16>(client)};
                judge.in(build(packet));
                CHECK(judge.last() == Reason::forwarded);
            }
            CHECK(seen.size() > 1);
        }
}

TEST_CASE("a session is used until its timeout has passed, and begun anew by each connection", "[session]")
{
    const Bench bench(config_text({kept("source-hash")}));
    const u32 own = pick(bench, 0), other = (own + 1) % 8; // what the algorithm gives, and another
    REQUIRE(session(bench, 0));
    CHECK(session(bench, 0)->target == own);
    set_session(bench, 0, other, 50 * second);
    const i64 before = session(bench, 0)->seen;
    CHECK(pick(bench, 1) == other);
    const i64 after = session(bench, 0)->seen;
    CHECK(after - before >= 50 * second);
    CHECK(pick(bench, 1) == other); // a packet of that connection
    CHECK(session(bench, 0)->seen == after);
    CHECK(session(bench, 0)->target == other);

    set_session(bench, 0, other, 100 * second + 1);
    CHECK(pick(bench, 2) == own);
    CHECK(session(bench, 0)->target == own);
    CHECK(session(bench, 0)->seen > after);
    set_session(bench, 0, other, -60 * second); // another CPU's clock is ahead, if it can be so far
    CHECK(pick(bench, 3) == other);
}

TEST_CASE("a target of weight 0 is picked anew, and its connections stay", "[session]")
{
    const Bench bench(config_text({kept("source-hash")}));
    const u32 own = pick(bench, 0), other = (own + 1) % 8;
    set_session(bench, 0, other, 0);
    CHECK(pick(bench, 1) == other);
    must(bench.map("members").update(model::MemberKey{.group = 0, .target = other}, u32{0}));
    CHECK(pick(bench, 2) == own);
    CHECK(pick(bench, 1) == other);
    CHECK(session(bench, 0)->target == own);
    set_session(bench, 0, other, 0);
    must(bench.map("members").remove(model::MemberKey{.group = 0, .target = other}));
    CHECK(pick(bench, 3) == own);
}

TEST_CASE("a target of another group than the client's route names is not used", "[session]")
{
    const Bench bench(config_text({kept("source-hash", false, R"(, "source-routes": [
        {"source": "198.18.0.0/32", "targets": [{"ip": "10.0.1.3", "port": 8080, "weight": 1},
                                                {"ip": "10.0.1.77", "port": 8080, "weight": 1}]}])")}));
    for (const auto& target : bench.plan().targets) // ids are the numbers of addresses, but for the last
        CHECK((target.id == 8 || target.endpoint.ip.text() == lab::ip_text(target_address(target.id))));
    set_session(bench, 0, 5, 0); // one of the default group
    CHECK_FALSE(pick(bench, 0) == 5);
    CHECK((session(bench, 0)->target == 3 || session(bench, 0)->target == 8));
    set_session(bench, 0, 3, 0); // one of both
    CHECK(pick(bench, 1) == 3);
    set_session(bench, 0, 8, 0);
    CHECK(pick(bench, 2) == 77);
    set_session(bench, 16, 8, 0); // a client of the default group
    CHECK_FALSE(pick(bench, 16) == 77);
}

TEST_CASE("proxies have sessions of their own, and those without persistence have none", "[session]")
{
    auto second_proxy = kept("source-hash"), without = proxy_by("source-hash", weights);
    second_proxy.name = "second";
    second_proxy.port = 81;
    without.name = "without";
    without.port = 82;
    const Bench bench(config_text({kept("source-hash"), second_proxy, without}));
    const u32 own = pick(bench, 0), other = (own + 1) % 8;
    set_session(bench, 0, other, 0);
    CHECK(pick(bench, 1) == other);
    CHECK_FALSE(session(bench, 0, 1));
    CHECK(pick(bench, 2, 82) == own);
    CHECK_FALSE(session(bench, 0, 2));
    pick(bench, 2, 81);
    REQUIRE(session(bench, 0, 1));
    CHECK(session(bench, 0, 1)->target >= 8); // ids of the second proxy's own targets
    CHECK(session(bench, 0)->target == other);
    set_session(bench, 0, other, 0, 2); // even if there were one
    CHECK(pick(bench, 3, 82) == own);
}

TEST_CASE("a client whose first connections begin on two CPUs at once gets one target", "[session]")
{
    constexpr u32 rounds = 20000;
    const Bench bench(config_text({kept("random")}));
    std::array<std::vector<u32>, 2> chosen{std::vector<u32>(rounds), std::vector<u32>(rounds)};
    REQUIRE(on_two_cpus(rounds, [&](u32 cpu, u32 round) {
        const auto run = bench.ingress().run(build(datagram_of(16 * round + cpu)));
        if (run) chosen[cpu][round] = target_of(run->out);
        return run && run->retval == xdp_pass;
    }));
    u32 apart = 0;
    for (u32 round = 0; round < rounds; ++round)
        if (chosen[0][round] != chosen[1][round]) ++apart;
    CHECK(apart == 0);
}
