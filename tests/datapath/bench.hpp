// The generated programs of a configuration, loaded on maps of their own and attached to nothing: frames go
// in by BPF_PROG_TEST_RUN, verdict and frame come out. The interface "eth0" stands for lo, the only one that
// a test run can always name; packets arrive there unless told otherwise. One thread, but for run_ingress().
#pragma once

#include <catch2/catch.hpp>
#include <map>
#include <optional>
#include <string>

#include "kernel/link.hpp"
#include "kernel/map_batch.hpp"
#include "kernel/program.hpp"
#include "lab/packet.hpp"
#include "lb/base/kernel_features.hpp"
#include "model/flow_state.hpp"
#include "model/reason.hpp"
#include "runtime/tables.hpp"

namespace lb::test {

using lab::Bytes;
using lab::Packet;

/// A proxy as the file has it.
struct ProxyText {
    std::string name = "web";
    std::string listen = R"("address": "192.0.2.1")"; ///< members besides interfaces and port
    int port = 80;
    std::string target = R"({"ip": "10.0.0.1", "port": 8080})";
    std::string more = {}; ///< further members, such as `"source-routes": [...]`
    std::string interfaces = R"(["eth0"])";
};
std::string config_text(const std::vector<ProxyText>& proxies, const std::string& settings = "");

struct Passage {
    u32 verdict = 0;
    Bytes frame = {};
};

struct BenchOptions {
    std::string arrives_on = "eth0";
    std::vector<std::string> own_addresses = {"192.0.2.1", "192.0.2.2"};
    KernelFeatures kernel = {}; ///< all false: what every kernel has
    /// Empty slots that are a CPU's own, so that two CPUs can be made to choose differently at one moment.
    bool slots_per_cpu = false;
    /// Of the tunnels' packets.
    std::string source4 = "10.0.0.254", source6 = "2001:db8:a::fe";
    u8 sends = model::sends_redirect | model::sends_tx;
    /// Packets arrive on a real interface of this name, which has an XDP program natively (the kernel asks
    /// for that in test runs); else on lo.
    std::string real_interface = "";
    /// The program for the targets' side is there, too, and on the real interface instead of the other.
    bool inside = false;
};

class Bench {
public:
    explicit Bench(const std::string& config, const BenchOptions& options = {});

    Passage in(const Bytes& frame) const { return run(ingress_, frame, arrives_on_); }
    Passage out(const Bytes& frame) const { return run(egress_, frame, 0); }
    Passage inside(const Bytes& frame) const { return run(inside_, frame, arrives_on_); }
    const kernel::Program& ingress() const { return ingress_; }
    const kernel::Program& egress() const { return egress_; }
    const model::Plan& plan() const { return plan_; }
    bool has(const std::string& map) const { return tables_.has(map); }
    const kernel::Map& map(const std::string& name) const
    {
        return name == "slots" && own_slots_ ? own_slots_ : tables_[name];
    }

    /// How often each reason was counted; those never counted are left out. Translated packets are counted by
    /// target.
    std::map<model::Reason, u64> exits() const;
    model::TargetCounters counters(u32 target = 0) const;
    /// What each proxy (by id) has refused; what was never counted is left out. Only with several proxies.
    std::map<std::pair<u32, model::Reason>, u64> refused() const;
    std::optional<model::Flow4> flow(const model::FlowKey4& key) const;
    std::vector<kernel::Entry<model::FlowKey4, model::Flow4>> flows() const;

private:
    static Passage run(const kernel::Program& program, const Bytes& frame, u32 ifindex);
    void fill_carriers(const BenchOptions& options) const;

    model::Plan plan_ = {};
    runtime::Tables tables_ = {};
    kernel::Map own_slots_ = {};
    kernel::Program ingress_ = {}, egress_ = {}, inside_ = {}, siit_ = {};
    u32 arrives_on_ = 0; ///< 0: lo
    kernel::Link attached_ = {};
};

/// The key of a connection's other entry.
template <class A> model::FlowKey<A> pair_key(const model::FlowKey<A>& key, const model::Flow<A>& entry)
{
    return model::other_key<model::FlowKey<A>>(key.protocol, entry);
}
/// The tuple of an IPv4 frame without options, as the flow table has it.
model::FlowKey4 key_of(const Bytes& frame);

inline constexpr u32 xdp_drop = 1, xdp_pass = 2, xdp_tx = 3, xdp_redirect = 4;
inline constexpr u32 tc_unspec = 0xffffffff, tc_shot = 2;

template <class T> T must(Result<T> result)
{
    if (!result) FAIL(result.error().message);
    return std::move(*result);
}
inline void must(const Result<void>& result)
{
    if (!result) FAIL(result.error().message);
}

} // namespace lb::test
