// The programs of `lb backend`, loaded on maps of their own and attached to nothing: frames go in by
// BPF_PROG_TEST_RUN. The host's own addresses are 10.0.0.2 and 2001:db8:1::2, its VIPs 192.0.2.1 and
// 2001:db8::1. One thread.
#pragma once

#include <catch2/catch.hpp>
#include <map>

#include "datapath/decap.hpp"
#include "frames.hpp"
#include "kernel/map.hpp"
#include "kernel/program.hpp"
#include "model/reason.hpp"

namespace lb::test {

inline constexpr u32 xdp_drop = 1, xdp_pass = 2;
inline constexpr u32 tc_unspec = 0xffffffff;

struct Passage {
    u32 verdict = 0;
    Bytes frame = {};
    model::Reason reason = model::Reason::internal; ///< the one that was counted
};

/// VIPs, own addresses and the rest as above.
model::Backend backend_of(model::Tunnel tunnel);

class BackendBench {
public:
    explicit BackendBench(const model::Backend& backend, bool frags = true,
                          model::MssLimits limits = {.ipv4 = 1440, .ipv6 = 1420});
    /// Fails the test unless exactly one reason was counted, once.
    Passage in(const Bytes& frame) { return run(decap_, frame); }
    Passage out(const Bytes& frame) { return run(clamp_, frame); }

private:
    Passage run(const kernel::Program& program, const Bytes& frame);
    std::map<model::Reason, u64> exits() const;

    kernel::Map own4_ = {}, own6_ = {}, exits_ = {};
    kernel::Program decap_ = {}, clamp_ = {};
};

} // namespace lb::test
