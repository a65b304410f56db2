// The plan: a configuration resolved to what the datapath needs, with ids instead of names and everything
// that can be computed before the packet comes. Code is generated from the structural part (listeners,
// features, sizes), maps are filled from the rest (targets, groups, routes). The same Config and Ids give the
// same Plan everywhere. Pure values.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lb/base/result.hpp"
#include "model/config.hpp"
#include "model/layout.hpp"

namespace lb::model {

/// Ids that stay with a name over reloads and restarts: a flow entry refers to them.
struct Ids {
    std::map<std::string, u32> proxies = {}; ///< by proxy name
    std::map<std::string, u32> targets = {}; ///< by "proxy name/ip:port"
    friend bool operator==(const Ids&, const Ids&) = default;
};

/// What one listener matches. Sorted in the Plan by family, port, protocol, kind (given, own, any), address.
struct PlanListener {
    u32 proxy = 0;
    Family family = Family::ipv4;
    Protocol protocol = Protocol::tcp;
    u16 port = 0;
    AddressKind kind = AddressKind::own;
    IpAddress address = {};                   ///< for `given`
    std::vector<std::string> interfaces = {}; ///< empty: every interface of the plan
};

/// A token bucket: refilled by `per_sec`, up to `burst`.
struct PlanRate {
    u32 per_sec = 0; ///< 0: no limit
    u32 burst = 0;
    friend bool operator==(const PlanRate&, const PlanRate&) = default;
};

struct PlanLimits {
    PlanRate requests = {}; ///< new connections
    PlanRate packets = {};
    bool any() const { return requests.per_sec != 0 || packets.per_sec != 0; }
};

struct PlanSourceLimits : PlanLimits {
    u8 prefix_length_ipv4 = 32; ///< sources that have so many bits in common share a bucket
    u8 prefix_length_ipv6 = 64;
};

/// Whose bucket a limit is about, and what its tokens are for.
enum class Limit { source_connections, source_packets, target_connections, target_packets };

struct PlanProxy {
    u32 id = 0;
    std::string name = {};
    u32 default_group = 0;
    bool has_routes = false;
    Algorithm algorithm = Algorithm::maglev;
    ForwardingMode mode = ForwardingMode::nat;
    ForwardingPath path = ForwardingPath::automatic;
    u16 gue_port = 0;                                     ///< for dsr_gue
    std::optional<std::chrono::seconds> persistence = {}; ///< empty: off
    bool has_prefixes = false;                            ///< some PlanPrefix is of this proxy
    PlanSourceLimits per_source = {};
    PlanLimits per_target = {};
    AllUnhealthy all_unhealthy = AllUnhealthy::keep;

    const PlanRate& rate(Limit limit) const;
};

/// Clients that may or may not connect, of a family that the proxy listens on. The longest one that holds a
/// client decides, unique per proxy; where none does, it may. An allow list ends with a denied prefix of
/// length 0.
struct PlanPrefix {
    u32 proxy = 0;
    Prefix source = {};
    bool allow = false;
};

struct PlanTarget {
    u32 id = 0;
    u32 proxy = 0;
    Endpoint endpoint = {};
    u32 carried = 0;       ///< as in Flow
    bool fast_nat = false; ///< its proxy translates, and lb sends
    bool full_nat = false; ///< it sees an address of lb's as the source
    bool enabled = true;   ///< false: out of service, takes nothing new
    HealthCheck health_check = {};
};

/// The target as the programs read it.
TargetRow target_row(const PlanTarget& target);
/// An address for full NAT; empty: none is known.
SourceRow source_row(const std::optional<IpAddress>& source);
ProxyRow proxy_row(const PlanProxy& proxy);
/// How packets get to it, where its proxy's mode is one of direct server return. `source`: this host's own
/// address toward the target; empty: it has none now, and nothing goes. `sends`: what XDP may do here; the
/// proxy may want less.
CarrierRow carrier_row(const PlanTarget& target, const PlanProxy& proxy,
                       const std::optional<IpAddress>& source, u8 sends);

struct GroupMember {
    u32 target = 0; ///< target id
    u32 weight = 0; ///< of a plan: as configured; of a table: effective. 0 takes nothing new
};

/// Targets that share connections by weight, through one slot table.
struct PlanGroup {
    u32 id = 0; ///< index into the groups map
    u32 proxy = 0;
    std::vector<GroupMember> members = {};
    /// Size of its table: as configured, or by the number of members. It doesn't depend on weights, so that a
    /// change of these moves few flows.
    u32 slots = 0;
};

struct PlanRoute {
    u32 proxy = 0;
    Prefix source = {};
    u32 group = 0;
};

struct Plan {
    std::string instance = {};
    std::vector<std::string> interfaces = {}; ///< ingress program; sorted, unique
    /// Egress program: `interfaces` and more; sorted, unique.
    std::vector<std::string> egress_interfaces = {};
    std::vector<PlanListener> listeners = {};
    std::vector<PlanProxy> proxies = {}; ///< in the configuration's order
    std::vector<PlanTarget> targets = {};
    std::vector<PlanGroup> groups = {};
    std::vector<PlanRoute> routes = {};
    std::vector<PlanPrefix> prefixes = {};
    Ids ids = {}; ///< those given, with what this configuration added
    u32 max_connections = 0;
    bool loopback_targets = false;   ///< some target is in 127/8: route_localnet, and a guard in the program
    bool loopback_interface = false; ///< `lo` is among the interfaces
    Settings settings = {};

    /// The pool of full NAT, of one family. Without a pool each target has a source of its own.
    std::vector<IpAddress> full_nat_pool(Family family) const;
    bool has(Family family) const;             ///< some packets of it are translated or carried
    bool has(Algorithm algorithm) const;       ///< some proxy picks by it
    std::vector<Algorithm> algorithms() const; ///< those, each once
    bool has(ForwardingMode mode) const;       ///< some proxy forwards by it
    /// Some proxy that listens with this family and protocol has such a limit.
    bool has(Limit limit, Family family, Protocol protocol) const;
    /// The same of allow or deny lists.
    bool has_lists(Family family, Protocol protocol) const;
    bool has_dsr() const;                   ///< some proxy's targets answer by themselves
    bool has_full_nat() const;              ///< some proxy writes an address of lb's own as the source
    bool has_full_nat(Family family) const; ///< the same within this family
    /// Some proxy listens with this family and has targets of the other: each of its packets is written anew.
    bool goes_across(Family from) const;
    bool goes_across() const; ///< from either
    /// Full NAT goes from both families to targets of this one, and two tables know its replies.
    bool shares_ports(Family family) const;
    bool has_fast_nat() const; ///< some proxy translates, and lb sends what it has translated
    bool translates_replies_early(Family family) const;
    bool expects_replies() const;              ///< some replies are translated where they arrive
    bool expects_replies(Family family) const; ///< the same of those that arrive with this family
    bool lb_sends() const;                     ///< either: packets leave otherwise than by the kernel's stack
    bool has_persistence() const;              ///< some proxy keeps a client's address with its target
    /// Whether somebody asks the target how it is.
    bool checks_health(const PlanTarget& target) const;
    bool has_features() const; ///< some proxy asks for more than Maglev and NAT
};

inline constexpr u32 plan_slots_max = 1u << 25; ///< of all groups together

/// Resolves a configuration. Ids known from `previous` are kept; new names get the lowest free ids. An error
/// of ErrorKind::config where a proxy contradicts itself (a Config may be made by hand), or the groups'
/// tables would be larger than plan_slots_max.
Result<Plan> make_plan(const Config& config, const Ids& previous = {});

} // namespace lb::model
