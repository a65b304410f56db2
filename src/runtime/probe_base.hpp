// What the kinds of checks have in common: each ends once, with a result.
#pragma once

#include <boost/system/error_code.hpp>
#include <memory>

#include "runtime/probe.hpp"

namespace lb::runtime {

/// One check under way; it keeps itself alive by the handlers that it waits in.
class Probe : public std::enable_shared_from_this<Probe> {
public:
    using Done = std::function<void(const ProbeResult&)>;

    Probe(const model::HealthCheck& check, const Endpoint& target, Done done)
        : check_(check),
          target_(target),
          done_(std::move(done))
    {}
    virtual ~Probe() = default;
    Probe(const Probe&) = delete;
    Probe& operator=(const Probe&) = delete;
    virtual void start() = 0;

protected:
    const model::HealthCheck& check() const { return check_; }
    const Endpoint& target() const { return target_; }
    u16 port() const { return check_.port != 0 ? check_.port : target_.port; }
    void finish(ProbeError error, std::string message);
    void fail(const boost::system::error_code& error);
    void fail_by_timeout();

private:
    const model::HealthCheck check_;
    const Endpoint target_;
    Done done_;
    std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

std::shared_ptr<Probe> make_stream_probe(boost::asio::io_context& io, const model::HealthCheck& check,
                                         const Endpoint& target, Probe::Done done);
std::shared_ptr<Probe> make_udp_probe(boost::asio::io_context& io, const model::HealthCheck& check,
                                      const Endpoint& target, Probe::Done done);
std::shared_ptr<Probe> make_exec_probe(boost::asio::io_context& io, const model::HealthCheck& check,
                                       const Endpoint& target, Probe::Done done);

} // namespace lb::runtime
