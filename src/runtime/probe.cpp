#include "runtime/probe.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <memory>

namespace lb::runtime {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using tcp = asio::ip::tcp;
using Clock = std::chrono::steady_clock;

constexpr std::uint32_t answer_head_max = 16384; // bytes; what is longer is no answer to a health check

asio::ip::address to_asio(const IpAddress& ip) { return asio::ip::make_address(ip.text()); }

ProbeError kind_of(const error_code& error)
{
    if (error == beast::error::timeout || error == asio::error::timed_out) return ProbeError::timeout;
    if (error == asio::error::connection_refused) return ProbeError::refused;
    if (error == asio::error::host_unreachable || error == asio::error::network_unreachable)
        return ProbeError::no_route;
    for (const int number : {EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL})
        if (error == error_code(number, boost::system::system_category())) return ProbeError::local;
    if (error.category() == http::make_error_code(http::error::end_of_stream).category())
        return ProbeError::bad_answer;
    return ProbeError::other;
}

class Probe : public std::enable_shared_from_this<Probe> {
public:
    Probe(asio::io_context& io, const model::HealthCheck& check, const Endpoint& target,
          std::function<void(const ProbeResult&)> done)
        : check_(check),
          target_(target),
          done_(std::move(done)),
          stream_(io)
    {
        answer_.header_limit(answer_head_max);
        answer_.skip(true); // the body
    }
    void start();

private:
    void ask();
    void judge();
    void finish(ProbeError error, std::string message);
    void fail(const error_code& error);

    const model::HealthCheck check_;
    const Endpoint target_;
    std::function<void(const ProbeResult&)> done_;
    Clock::time_point began_ = Clock::now();
    beast::tcp_stream stream_;
    beast::flat_buffer buffer_{answer_head_max};
    http::request<http::empty_body> question_ = {};
    http::response_parser<http::empty_body> answer_ = {};
};

// The stream's timer bounds the connection, the question and the answer together.
void Probe::start()
{
    stream_.expires_after(check_.timeout);
    const u16 port = check_.port != 0 ? check_.port : target_.port;
    stream_.async_connect(tcp::endpoint(to_asio(target_.ip), port),
                          [self = shared_from_this()](const error_code& error) {
                              if (error) return self->fail(error);
                              if (self->check_.type == model::HealthCheckType::http) return self->ask();
                              self->finish(ProbeError::none, "connected");
                          });
}

void Probe::ask()
{
    question_ = {http::verb::get, check_.path, 11};
    question_.set(http::field::host, check_.host.empty() ? target_.text() : check_.host);
    question_.set(http::field::user_agent, "lb-health-check");
    question_.set(http::field::connection, "close");
    http::async_write(stream_, question_, [self = shared_from_this()](const error_code& error, std::size_t) {
        if (error) return self->fail(error);
        http::async_read_header(self->stream_, self->buffer_, self->answer_,
                                [self](const error_code& failed, std::size_t) {
                                    if (failed) return self->fail(failed);
                                    self->judge();
                                });
    });
}

void Probe::judge()
{
    const unsigned status = answer_.get().result_int();
    const bool expected = std::ranges::find(check_.expected_codes, status) != check_.expected_codes.end();
    finish(expected ? ProbeError::none : ProbeError::unexpected_status, "HTTP " + std::to_string(status));
}

void Probe::fail(const error_code& error)
{
    const ProbeError kind = kind_of(error);
    if (kind == ProbeError::timeout)
        return finish(kind, "no answer within " + std::to_string(check_.timeout.count()) + " ms");
    finish(kind, error.message());
}

void Probe::finish(ProbeError error, std::string message)
{
    const auto latency = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began_);
    stream_.close();
    done_({.error = error, .message = std::move(message), .latency = latency});
}

} // namespace

std::string_view name_of(ProbeError error)
{
    constexpr std::array<std::string_view, 8> names = {
        "none", "refused", "timeout", "no-route", "unexpected-status", "bad-answer", "other", "local"};
    return names[static_cast<std::size_t>(error)];
}

void probe(asio::io_context& io, const model::HealthCheck& check, const Endpoint& target,
           std::function<void(const ProbeResult&)> done)
{
    std::make_shared<Probe>(io, check, target, std::move(done))->start();
}

} // namespace lb::runtime
