// How a target's health is found out, as the file says it after its levels are merged: settings, proxy,
// target. Pure values.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "lb/base/bytes.hpp"

namespace lb::model {

/// `tcp`: a connection can be made. `http`, `https`: and a GET is answered with one of the expected codes.
/// `udp`: a datagram is answered. `exec`: a command ends with status 0. `none`: always healthy.
enum class HealthCheckType { tcp, http, https, udp, exec, none };

struct HealthCheck {
    HealthCheckType type = HealthCheckType::tcp;
    std::string path = "/health";              ///< http: starts with '/', printable, no spaces
    std::chrono::milliseconds interval{10000}; ///< 1000..300000, between the beginnings of two checks
    std::chrono::milliseconds timeout{3000};   ///< 100..60000, of a whole check; not more than `interval`
    u32 healthy_threshold = 2;                 ///< 1..10 good checks in a row
    u32 unhealthy_threshold = 3;               ///< 1..10 bad ones
    std::vector<u16> expected_codes = {200, 201, 202, 204}; ///< http: not empty
    std::string host = {};                                  ///< http: the Host header; empty: the target
    u16 port = 0;                                           ///< 0: the target's own
    std::string sni = {};    ///< https: the name to ask for; empty: that of `host`
    bool tls_verify = true;  ///< https: whether the certificate has to be good, and of that name
    std::string send = {};   ///< udp: what the datagram has
    std::string expect = {}; ///< udp: what an answer has somewhere; empty: any will do
    std::vector<std::string> command = {}; ///< exec: an absolute path, and arguments; not empty there
    friend bool operator==(const HealthCheck&, const HealthCheck&) = default;
};

/// What happens where no target of a group is healthy: all keep their weights, or nothing new is taken.
enum class AllUnhealthy { keep, reject };

// Limits of the file format.
inline constexpr u32 check_interval_min = 1000, check_interval_max = 300000; // milliseconds
inline constexpr u32 check_timeout_min = 100, check_timeout_max = 60000;     // milliseconds
inline constexpr u32 check_threshold_max = 10;
inline constexpr u32 expected_codes_max = 500;
inline constexpr u32 check_datagram_max = 1024; // bytes
inline constexpr u32 check_words_max = 64;      // of a command

} // namespace lb::model
