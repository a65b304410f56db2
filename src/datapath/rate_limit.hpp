// How often a client may connect and send: token buckets, shared by all CPUs. A bucket is one number, the
// time at which it will be full again (the generic cell rate algorithm of ITU-T I.371): a token moves it one
// interval on, and where that would be further ahead than the whole burst takes to come back, there is none.
// So a refused packet writes nothing, and an admitted one does one compare-and-exchange.
//
// Only packets that have ports and go toward a target take tokens: replies, later fragments and ICMP errors
// don't.
#pragma once

#include <initializer_list>
#include <vector>

#include "datapath/frame.hpp"
#include "datapath/ways.hpp"
#include "model/plan.hpp"

namespace lb::datapath {

/// The limits of one family and protocol. A limit that no proxy of these has emits nothing.
template <class F, class L4> struct Limiter {
    bpf::Dsl& b;
    const model::Plan& plan;
    const Maps& maps;
    const Frame<F>& frame;
    const NewFlowFrame<F>& fresh;
    Ways& ways;

    /// Emits the taking of one token for each of these, in order, by the limits of the proxy in
    /// `fresh.proxy`; leaves where one has none. Limits of a target are those of the one in `frame.index`.
    void take(std::initializer_list<model::Limit> limits) const;
    /// The same of packets, for a packet of this entry's connection.
    void take_known(const bpf::View<typename F::Flow>& flow) const;

private:
    std::vector<model::Limit> there(std::initializer_list<model::Limit> limits) const;
    void take_each(const std::vector<model::Limit>& limits, const bpf::View<model::LimitsRow>& row) const;
};

/// A compare-and-exchange that fails has met another CPU's packet of the same source or target. After so many
/// of them the token is taken unasked: the bucket may then run into debt, by at most one token per CPU, and
/// what comes later pays for it.
inline constexpr u32 bucket_tries = 4;

} // namespace lb::datapath
