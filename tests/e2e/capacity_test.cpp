// The connection table: as many live connections as max-connections says, and half as many besides, rounded
// up to a power of two, no more; idle ones make room.
#include "setup.hpp"

using namespace lb::e2e;

namespace {

std::vector<std::unique_ptr<Connection>> open_many(const Balanced& lab, std::size_t count)
{
    std::vector<std::unique_ptr<Connection>> out;
    for (std::size_t i = 0; i < count; ++i) {
        out.push_back(std::make_unique<Connection>(lab.from_c1(vip_web)));
        INFO("connection " << i << ": " << out.back()->error());
        REQUIRE(out.back()->ok());
    }
    return out;
}

std::size_t alive(std::vector<std::unique_ptr<Connection>>& connections)
{
    std::size_t count = 0;
    for (auto& connection : connections) count += connection->ask() ? 1U : 0U;
    return count;
}

} // namespace

TEST_CASE("live connections from one CPU are all held up to the table's end, and one more is refused",
          "[e2e]")
{
    pin_to_cpu(client_cpu);
    Balanced lab(config({proxy({})}, R"("max-connections": 1000)"));
    auto connections = open_many(lab, 1512);
    CHECK(alive(connections) == 1512);
    CHECK(who(lab.from_c1(vip_web), 800ms) == "failed: connect: Connection timed out");
    // The one too many did not push another out.
    CHECK(alive(connections) == 1512);
    CHECK(wait_for_log(lab.lb,
                       "1 packets dropped as table_full: the connection table is full (max-connections)"));
}

TEST_CASE("connections that are idle for longer than the timeout make room", "[e2e]")
{
    Balanced lab(config({proxy({})}, R"("max-connections": 5, "connection-timeout-sec": 2)"));
    const auto idle = open_many(lab, 5 + 4);
    CHECK(who(lab.from_c1(vip_web), 300ms) == "failed: connect: Connection timed out");
    const auto start = std::chrono::steady_clock::now();
    std::string answer = "failed";
    while (answer.rfind("failed", 0) == 0 && std::chrono::steady_clock::now() - start < 10s)
        answer = who(lab.from_c1(vip_web), 300ms);
    CHECK(answer.front() == 'b');
}

TEST_CASE("a connection that is in use outlives the idle timeout", "[e2e]")
{
    Balanced lab(config({proxy({})}, R"("connection-timeout-sec": 2)"));
    BusyConnections busy(lab.from_c1(vip_web), 3);
    std::this_thread::sleep_for(5s);
    const auto report = busy.stop();
    INFO(report.first_error);
    CHECK(report.broken == 0);
    CHECK(report.moved == 0);
    CHECK(report.asked > 1000);
}
