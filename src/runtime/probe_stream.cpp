// Checks over a TCP connection: that there is one, and what a web server on it says, with TLS or without.
#include <algorithm>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>

#include "runtime/probe_base.hpp"

namespace lb::runtime {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using model::HealthCheckType;

constexpr std::uint32_t answer_head_max = 16384; // bytes; what is longer is no answer to a health check

// The stream's timer bounds everything together: the connection, the question and the answer.
template <class Stream> class StreamProbe : public Probe {
public:
    template <class... More>
    StreamProbe(asio::io_context& io, const model::HealthCheck& check, const Endpoint& target, Done done,
                More&... more)
        : Probe(check, target, std::move(done)),
          stream_(io, more...)
    {
        answer_.header_limit(answer_head_max);
        answer_.skip(true); // the body
    }
    void start() override
    {
        beast::get_lowest_layer(stream_).expires_after(check().timeout);
        const asio::ip::tcp::endpoint to(asio::ip::make_address(target().ip.text()), port());
        beast::get_lowest_layer(stream_).async_connect(
            to, [this, self = shared_from_this()](const error_code& error) {
                if (error) return fail(error);
                connected();
            });
    }

protected:
    virtual void connected()
    {
        if (check().type != HealthCheckType::tcp) return ask();
        close();
        finish(ProbeError::none, "connected");
    }
    void ask();
    void close() { beast::get_lowest_layer(stream_).close(); }

    Stream stream_;

private:
    void judge();

    beast::flat_buffer buffer_{answer_head_max};
    http::request<http::empty_body> question_ = {};
    http::response_parser<http::empty_body> answer_ = {};
};

template <class Stream> void StreamProbe<Stream>::ask()
{
    question_ = {http::verb::get, check().path, 11};
    question_.set(http::field::host, check().host.empty() ? target().text() : check().host);
    question_.set(http::field::user_agent, "lb-health-check");
    question_.set(http::field::connection, "close");
    http::async_write(stream_, question_,
                      [this, self = shared_from_this()](const error_code& error, std::size_t) {
                          if (error) return fail(error);
                          http::async_read_header(stream_, buffer_, answer_,
                                                  [this, self](const error_code& failed, std::size_t) {
                                                      if (failed) return fail(failed);
                                                      judge();
                                                  });
                      });
}

template <class Stream> void StreamProbe<Stream>::judge()
{
    close();
    const unsigned status = answer_.get().result_int();
    const auto& codes = check().expected_codes;
    const bool expected = std::ranges::find(codes, status) != codes.end();
    finish(expected ? ProbeError::none : ProbeError::unexpected_status, "HTTP " + std::to_string(status));
}

class TlsProbe : public StreamProbe<beast::ssl_stream<beast::tcp_stream>> {
public:
    using StreamProbe::StreamProbe;

private:
    void connected() override;
    std::string name() const;
};

// A name may stand with its port in the Host header.
std::string TlsProbe::name() const
{
    if (!check().sni.empty()) return check().sni;
    const std::string& host = check().host;
    const auto colon = host.rfind(':');
    return colon != std::string::npos && host.find(':') == colon ? host.substr(0, colon) : host;
}

void TlsProbe::connected()
{
    const std::string asked = name();
    // RFC 6066, 3: names only, no addresses.
    if (!asked.empty() && !IpAddress::parse(asked))
        SSL_set_tlsext_host_name(stream_.native_handle(), asked.c_str());
    stream_.set_verify_mode(check().tls_verify ? asio::ssl::verify_peer : asio::ssl::verify_none);
    if (check().tls_verify)
        stream_.set_verify_callback(
            asio::ssl::host_name_verification(asked.empty() ? target().ip.text() : asked));
    stream_.async_handshake(asio::ssl::stream_base::client,
                            [this, self = shared_from_this()](const error_code& error) {
                                if (error) return fail(error);
                                ask();
                            });
}

// With the host's own authorities.
asio::ssl::context& tls_context()
{
    static asio::ssl::context context = [] {
        asio::ssl::context made(asio::ssl::context::tls_client);
        boost::system::error_code none;
        made.set_default_verify_paths(none);
        return made;
    }();
    return context;
}

} // namespace

std::shared_ptr<Probe> make_stream_probe(asio::io_context& io, const model::HealthCheck& check,
                                         const Endpoint& target, Probe::Done done)
{
    if (check.type == HealthCheckType::https)
        return std::make_shared<TlsProbe>(io, check, target, std::move(done), tls_context());
    return std::make_shared<StreamProbe<beast::tcp_stream>>(io, check, target, std::move(done));
}

} // namespace lb::runtime
