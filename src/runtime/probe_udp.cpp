// A datagram that is to be answered.
#include <array>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "runtime/probe_base.hpp"

namespace lb::runtime {
namespace {

namespace asio = boost::asio;
using asio::ip::udp;
using boost::system::error_code;

class UdpProbe : public Probe {
public:
    UdpProbe(asio::io_context& io, const model::HealthCheck& check, const Endpoint& target, Done done)
        : Probe(check, target, std::move(done)),
          socket_(io),
          timer_(io)
    {}
    void start() override;

private:
    void receive();
    void end();

    udp::socket socket_; ///< connected: what routers say of it comes back as an error
    asio::steady_timer timer_;
    std::array<char, 2048> answer_ = {};
    bool timed_out_ = false;
};

void UdpProbe::start()
{
    error_code error;
    const udp::endpoint to(asio::ip::make_address(target().ip.text()), port());
    socket_.open(to.protocol(), error);
    if (!error) socket_.connect(to, error);
    if (!error) socket_.send(asio::buffer(check().send), 0, error);
    if (error)
        return asio::post(socket_.get_executor(), [this, error, self = shared_from_this()] { fail(error); });
    timer_.expires_after(check().timeout);
    timer_.async_wait([this, self = shared_from_this()](const error_code& cancelled) {
        if (cancelled) return;
        timed_out_ = true;
        end();
    });
    receive();
}

void UdpProbe::receive()
{
    socket_.async_receive(
        asio::buffer(answer_), [this, self = shared_from_this()](const error_code& error, std::size_t size) {
            if (timed_out_) return fail_by_timeout();
            end();
            if (error) return fail(error);
            const bool expected =
                std::string_view(answer_.data(), size).find(check().expect) != std::string_view::npos;
            finish(expected ? ProbeError::none : ProbeError::bad_answer,
                   expected ? "answered" : "an answer without what was expected");
        });
}

void UdpProbe::end()
{
    error_code ignored;
    timer_.cancel();
    socket_.close(ignored);
}

} // namespace

std::shared_ptr<Probe> make_udp_probe(asio::io_context& io, const model::HealthCheck& check,
                                      const Endpoint& target, Probe::Done done)
{
    return std::make_shared<UdpProbe>(io, check, target, std::move(done));
}

} // namespace lb::runtime
