#include "runtime/probe.hpp"

#include <array>
#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/error.hpp>
#include <cerrno>

#include "runtime/probe_base.hpp"

namespace lb::runtime {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using boost::system::error_code;
using model::HealthCheckType;

ProbeError kind_of(const error_code& error)
{
    if (error == beast::error::timeout || error == asio::error::timed_out) return ProbeError::timeout;
    if (error == asio::error::connection_refused) return ProbeError::refused;
    if (error == asio::error::host_unreachable || error == asio::error::network_unreachable)
        return ProbeError::no_route;
    for (const int number : {EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL, EAGAIN})
        if (error == error_code(number, boost::system::system_category())) return ProbeError::local;
    if (error.category() == asio::error::get_ssl_category() || error == asio::ssl::error::stream_truncated)
        return ProbeError::tls;
    if (error.category() == beast::http::make_error_code(beast::http::error::end_of_stream).category())
        return ProbeError::bad_answer;
    return ProbeError::other;
}

} // namespace

void Probe::finish(ProbeError error, std::string message)
{
    const auto latency =
        std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - began_);
    done_({.error = error, .message = std::move(message), .latency = latency});
}

void Probe::fail(const error_code& error)
{
    const ProbeError kind = kind_of(error);
    if (kind == ProbeError::timeout) return fail_by_timeout();
    finish(kind, error.message());
}

void Probe::fail_by_timeout()
{
    finish(ProbeError::timeout, "no answer within " + std::to_string(check_.timeout.count()) + " ms");
}

std::string_view name_of(ProbeError error)
{
    constexpr std::array<std::string_view, 9> names = {
        "none", "refused", "timeout", "no-route", "tls", "unexpected-status", "bad-answer", "other", "local"};
    return names[static_cast<std::size_t>(error)];
}

void probe(asio::io_context& io, const model::HealthCheck& check, const Endpoint& target,
           std::function<void(const ProbeResult&)> done)
{
    const auto made = check.type == HealthCheckType::udp ? make_udp_probe(io, check, target, std::move(done))
                      : check.type == HealthCheckType::exec
                          ? make_exec_probe(io, check, target, std::move(done))
                          : make_stream_probe(io, check, target, std::move(done));
    made->start();
}

} // namespace lb::runtime
