// The checks themselves, against servers on sockets: what each finds, and that none waits for another.
#include <sys/resource.h>

#include <boost/asio/ip/tcp.hpp>

#include "runtime/health_checker.hpp"
#include "setup.hpp"

using namespace lb;
using namespace lb::e2e;
using runtime::ProbeError;
using runtime::ProbeResult;

namespace {

model::HealthCheck http(std::chrono::milliseconds timeout = 1s)
{
    return {.type = model::HealthCheckType::http, .timeout = timeout, .expected_codes = {200}};
}

// A socket on which connections are accepted by the kernel, and by nobody else.
Fd silent_server(const std::string& address)
{
    const SocketAddress at(address);
    Fd fd = make_socket(-1, at.family(), SOCK_STREAM);
    if (::bind(fd.get(), at.data(), at.size()) != 0 || ::listen(fd.get(), 16) != 0)
        throw LabError("cannot listen on " + address);
    return fd;
}

// Takes one connection, reads a request's head, and answers with these bytes.
class Canned {
public:
    Canned(const std::string& address, std::string answer)
        : listener_(silent_server(address)),
          answer_(std::move(answer)),
          thread_([this] { serve(); })
    {}
    const std::string& asked()
    {
        thread_.join();
        return asked_;
    }

private:
    void serve()
    {
        const Fd fd(::accept(listener_.get(), nullptr, nullptr));
        set_timeouts(fd.get(), 2s);
        std::string line;
        while (read_line(fd.get(), line) && !line.empty() && line != "\r") asked_ += line + "\n";
        send_all(fd.get(), {reinterpret_cast<const u8*>(answer_.data()), answer_.size()});
    }
    Fd listener_;
    std::string answer_, asked_ = {};
    std::jthread thread_;
};

ProbeResult check_once(const model::HealthCheck& check, const std::string& target)
{
    boost::asio::io_context io{1};
    std::optional<ProbeResult> result;
    runtime::probe(io, check, *Endpoint::parse(target), [&](const ProbeResult& found) { result = found; });
    io.run();
    REQUIRE(result);
    return *result;
}

std::string answer(const std::string& status, const std::string& body = "ok")
{
    return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

} // namespace

TEST_CASE("a check says what it found, by kind and in words", "[e2e][health]")
{
    const Namespace host("host");
    host.ip("link set lo up");
    host.ip("route add unreachable 10.9.9.0/24");
    host.run([] {
        u16 port = 8080;
        const auto next = [&] { return "127.0.0.1:" + std::to_string(++port); };
        const std::string at = next();
        CHECK(check_once({}, at).error == ProbeError::refused);
        CHECK(check_once({}, "10.9.9.9:80").error == ProbeError::no_route);
        {
            const Fd listening = silent_server(at);
            const auto connected = check_once({}, at);
            CHECK(connected.good());
            CHECK(connected.message == "connected");
            CHECK(connected.latency < 1s);
            const auto silent = check_once(http(300ms), at);
            CHECK(silent.error == ProbeError::timeout);
            CHECK(silent.message == "no answer within 300 ms");
            CHECK(silent.latency >= 300ms);
            CHECK(silent.latency < 1s);
        }
        const auto asked_for = [&](const std::string& bytes) {
            const std::string there = next();
            Canned server(there, bytes);
            return check_once(http(), there);
        };
        CHECK(asked_for(answer("200 OK")).good());
        const auto refused = asked_for(answer("503 Service Unavailable"));
        CHECK(refused.error == ProbeError::unexpected_status);
        CHECK(refused.message == "HTTP 503");
        CHECK(asked_for("").error == ProbeError::bad_answer);
        CHECK(asked_for("SSH-2.0-OpenSSH_9.2\r\n").error == ProbeError::bad_answer);
        CHECK(asked_for("HTTP/1.1 200 OK\r\nX: " + std::string(20000, 'x')).error == ProbeError::bad_answer);
    });
}

TEST_CASE("a check asks for the path and host of the file, at the port of the file", "[e2e][health]")
{
    const Namespace host("host");
    host.ip("link set lo up");
    host.run([] {
        Canned server("127.0.0.1:9000", answer("204 No Content", ""));
        auto check = http();
        check.path = "/ready?deep=1";
        check.host = "web.example";
        check.port = 9000;
        check.expected_codes = {204};
        CHECK(check_once(check, "127.0.0.1:8080").message == "HTTP 204");
        const std::string asked = server.asked();
        CHECK(asked.find("GET /ready?deep=1 HTTP/1.1\r\n") == 0);
        CHECK(asked.find("Host: web.example\r\n") != std::string::npos);
        Canned six("[::1]:9001", answer("200 OK"));
        CHECK(check_once(http(), "[::1]:9001").good());
        CHECK(six.asked().find("Host: [::1]:9001\r\n") != std::string::npos);
    });
}

TEST_CASE("of a thousand targets one that does not answer delays no other", "[e2e][health]")
{
    const Namespace host("host");
    host.ip("link set lo up");
    host.ip("address add 10.0.0.0/16 dev lo");
    host.run([] {
        Server server({.name = "all", .listen = "0.0.0.0:8080", .udp = false});
        const Fd stuck = silent_server("10.0.200.1:9000");
        model::Plan plan;
        plan.settings.health_check_enabled = true;
        for (u32 i = 0; i < 1000; ++i) {
            const std::string address = "10.0." + std::to_string(i / 200) + "." + std::to_string(i % 200 + 1);
            plan.targets.push_back(
                {.id = i,
                 .endpoint = *Endpoint::parse(address + ":8080"),
                 .health_check = {.interval = 1s, .timeout = 1s, .unhealthy_threshold = 1}});
        }
        plan.targets[500].endpoint = *Endpoint::parse("10.0.200.1:9000");
        plan.targets[500].health_check.type = model::HealthCheckType::http;
        boost::asio::io_context io{1};
        std::vector<runtime::HealthChange> changes;
        const runtime::HealthChecker checker(io, plan,
                                             [&](const auto& change) { changes.push_back(change); });
        io.run_for(500ms); // half of the interval: they are spread over it
        CHECK(server.connections() > 200);
        CHECK(server.connections() < 800);
        io.run_for(2700ms);
        CHECK(server.connections() >= 3 * 999); // each began three times
        REQUIRE(changes.size() == 1);
        CHECK(changes[0].target == 500);
        CHECK(changes[0].percent == 0);
        CHECK(changes[0].result.error == ProbeError::timeout);
    });
}

TEST_CASE("what this host has not got counts against no target", "[e2e][health]")
{
    const Namespace host("host");
    host.ip("link set lo up");
    host.run([] {
        rlimit before{};
        REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
        const Fd listening = silent_server("127.0.0.1:8080");
        boost::asio::io_context io{1};
        const boost::asio::ip::tcp::socket first(io); // from here on the context has what it needs itself
        std::optional<ProbeResult> result;
        const rlimit none{.rlim_cur = 3, .rlim_max = before.rlim_max};
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
        runtime::probe(io, {}, *Endpoint::parse("127.0.0.1:8080"),
                       [&](const ProbeResult& found) { result = found; });
        io.run();
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
        REQUIRE(result);
        CHECK(result->error == ProbeError::local);
        CHECK(result->message == "Too many open files");
    });
}
