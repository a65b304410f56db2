// One check of one target: does it answer? Asynchronous, on an io_context of one thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <string>

#include "lb/base/address.hpp"
#include "model/health_check.hpp"

namespace lb::runtime {

/// Why a check failed. `local`: for want of something of this host's, which says nothing of the target.
enum class ProbeError { none, refused, timeout, no_route, tls, unexpected_status, bad_answer, other, local };
std::string_view name_of(ProbeError error);

struct ProbeResult {
    ProbeError error = ProbeError::none;
    std::string message = {};             ///< for a person: "HTTP 503", "Connection refused"
    std::chrono::microseconds latency{0}; ///< until the answer, or the error
    bool good() const { return error == ProbeError::none; }
};

/// Checks the target once; `done` gets the result, on the context's thread, within the check's timeout. A
/// check of type `none` is not for here.
void probe(boost::asio::io_context& io, const model::HealthCheck& check, const Endpoint& target,
           std::function<void(const ProbeResult&)> done);

} // namespace lb::runtime
