// How connections were shared out among targets, and whether that is chance.
#pragma once

#include <cmath>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "bench.hpp"
#include "lab/chance.hpp"

namespace lb::test {

using lab::chi_square_bound;

/// Pearson's chi-square of counts against weights, over those with a weight above 0.
inline double chi_square(std::span<const u32> counts, std::span<const u32> weights)
{
    const double all = std::accumulate(counts.begin(), counts.end(), 0.0);
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    double result = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        const double expected = all * weights[i] / sum;
        if (weights[i] > 0) result += std::pow(counts[i] - expected, 2) / expected;
    }
    return result;
}

/// The i-th target of the tests: 10.0.1.0 and on, or 2001:db8:b::.
inline lab::Address target_address(u32 number, bool six = false)
{
    if (!six) return lab::ip("10.0.1.0") + number;
    auto address = lab::ip6("2001:db8:b::");
    address.octets[15] = static_cast<u8>(number);
    address.octets[14] = static_cast<u8>(number >> 8);
    return address;
}
/// These targets as the file has them.
inline std::string targets_of(std::span<const u32> weights, bool six = false)
{
    std::string list;
    for (u32 i = 0; i < weights.size(); ++i)
        list += (i == 0 ? "" : ", ") + (R"({"ip": ")" + lab::ip_text(target_address(i, six))) +
                R"(", "port": 8080, "weight": )" + std::to_string(weights[i]) + "}";
    return "[" + list + "]";
}

/// The i-th client of the tests: 16 to an address.
inline Packet datagram_of(u32 client, bool six = false, u16 port = 80)
{
    Packet packet{.saddr = lab::ip("198.18.0.0") + client / 16,
                  .daddr = lab::ip("192.0.2.1"),
                  .l4 = lab::Udp{.sport = static_cast<u16>(30000 + client % 16 * 97), .dport = port}};
    if (!six) return packet;
    auto address = lab::ip6("2001:db8:c::");
    for (u32 byte = 0; byte < 4; ++byte) address.octets[15 - byte] = static_cast<u8>(client / 16 >> 8 * byte);
    packet.saddr = address;
    packet.daddr = lab::ip6("2001:db8:a::1");
    return packet;
}

/// The number of the target that the frame is sent to.
inline u32 target_of(const Bytes& frame)
{
    const auto packet = lab::parse(frame);
    REQUIRE(packet.has_value());
    const auto& octets = packet->daddr.octets;
    return packet->daddr.six() ? octets[14] << 8u | octets[15] : packet->daddr.v4() - lab::ip("10.0.1.0");
}

/// How many of these clients each target gets.
inline std::vector<u32> counts_of(const Bench& bench, std::size_t targets, u32 clients, bool six = false)
{
    std::vector<u32> counts(targets);
    for (u32 client = 0; client < clients; ++client)
        ++counts.at(target_of(bench.in(lab::build(datagram_of(client, six))).frame));
    return counts;
}

/// A proxy with these targets and this algorithm.
inline ProxyText proxy_by(const std::string& algorithm, std::span<const u32> weights, bool six = false)
{
    return {.listen = six ? R"("address": "2001:db8:a::1")" : R"("address": "192.0.2.1")",
            .target = targets_of(weights, six),
            .more = R"("weight-mode": "relative", "algorithm": ")" + algorithm + "\""};
}

inline constexpr const char* algorithms[] = {"maglev", "source-hash", "random", "round-robin",
                                             "least-connections"};

} // namespace lb::test
