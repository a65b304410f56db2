// The maps of one balancer: what each is for, its types and its size, which follows from the plan.
// Descriptions only; the kernel layer makes the maps, the runtime fills them. A map that the plan does not
// need is not there.
#pragma once

#include "datapath/fields.hpp"
#include "lb/asm/map.hpp"
#include "model/plan.hpp"

#include <optional>

namespace lb::datapath {

/// Those that hold addresses, of one family.
template <class A> struct FamilyMaps {
    /// Both directions of every connection. Shared by all CPUs: a reply often arrives on another one.
    /// Preallocated and not LRU: nothing is evicted that still lives. There is room for max-connections and,
    /// besides, for as many as may be half-open.
    bpf::Map<model::FlowKey<A>, model::Flow<A>> flows;
    /// The tuples of the newest connections, a ring: see backlog.hpp.
    bpf::Map<u32, model::FlowKey<A>> backlog;
    bpf::Map<model::RouteKey<A>, u32> routes; ///< proxy and source prefix -> group id
    /// Proxy and source prefix -> whether its connections are let in.
    std::optional<bpf::Map<model::RouteKey<A>, u32>> prefixes;
    /// LRU: the bucket that has not been asked for the longest is most likely full.
    std::optional<bpf::Map<model::SourceKey<A>, model::Buckets>> source_buckets;
    bpf::Map<A, u32> own_addresses; ///< the host's addresses, kept current; the value is not used
    /// Datagrams whose first fragment has passed. LRU: they end without a word.
    bpf::Map<model::FragmentKey<A>, model::Fragment<A>> fragments;
    /// Only with session persistence. LRU: whoever has been away for the longest makes room.
    std::optional<bpf::Map<model::SessionKey<A>, model::Session>> sessions;
};

/// With full NAT between families: what IPv4 packets are known by there, and what each kind has for itself.
/// The entries of IPv6 packets are in the common table.
struct AcrossMaps {
    bpf::Map<model::FlowKey4, model::Flow6> flows4;
    bpf::Map<u32, model::FlowKey4> backlog4;
    bpf::Map<u32, model::FlowKey6> backlog6;
    bpf::Map<model::FragmentKey<be32>, model::Fragment<model::Address6>> fragments4;
    bpf::Map<model::FragmentKey<model::Address6>, model::Fragment<model::Address6>> fragments6;
    /// From one program to the next, per CPU: 0, or the id, plus 1, of the target that a new connection was
    /// given.
    bpf::Map<u32, u32> handover;
    /// By Follower: the programs that go on with a packet.
    bpf::Map<u32, u32> programs;
};

/// Programs that others go on to (bpf_tail_call).
enum class Follower : u32 { siit = 0, ingress = 1 };
inline constexpr u32 followers_count = 2;

struct Maps {
    explicit Maps(const model::Plan& plan);

    std::optional<FamilyMaps<be32>> v4;
    std::optional<FamilyMaps<model::Address6>> v6;
    std::optional<AcrossMaps> across;
    bpf::Map<u32, model::TargetRow> targets; ///< by target id
    /// By proxy id, where some proxy asks for more than Maglev and NAT. Rows and not constants in the leaves
    /// of the listeners' tree: these would make the verifier follow each leaf to the program's end.
    std::optional<bpf::Map<u32, model::ProxyRow>> proxies;
    std::optional<bpf::Map<u32, model::LimitsRow>> limits;       ///< by proxy id
    std::optional<bpf::Map<u32, model::Buckets>> target_buckets; ///< by target id
    bpf::Map<u32, model::GroupRow> groups;                       ///< by group id: where its slot table lies
    bpf::Map<u32, u32> slots; ///< the slot tables, one after the other: target ids
    /// Weights of targets in groups, where a pick asks for them: least-connections, session persistence.
    std::optional<bpf::Map<model::MemberKey, u32>> members;
    std::optional<bpf::Map<u32, u64>> turns; ///< by group id, for round-robin: how many have been taken
    /// By target id, for least-connections: its live connections. The programs count, the collector corrects.
    /// Signed: a count that is wrong by one must not look like the largest there is.
    std::optional<bpf::Map<u32, i64>> live;
    /// By target id, and the interfaces that XDP can send by; with direct server return.
    std::optional<bpf::Map<u32, model::CarrierRow>> carriers;
    std::optional<bpf::Map<u32, u32>> devices;
    /// With full NAT: the pool, IPv4 first, or without one a source for each target, by its id.
    std::optional<bpf::Map<u32, model::SourceRow>> nat_sources;
    bpf::Map<u32, model::TargetCounters> counters; ///< by target id, per CPU
    bpf::Map<u32, u64> exits;                      ///< by reason, per CPU
    /// By proxy id times model::refusals_count plus refusal_index(), per CPU. Where there is one proxy,
    /// `exits` says it all.
    std::optional<bpf::Map<u32, u64>> refusals;
    bpf::Map<u32, model::BacklogRow> backlog; ///< by backlog_row of families: where a ring is at
    /// Where lb tells senders that their packets do not fit: one row, per CPU.
    std::optional<bpf::Map<u32, model::AnswersRow>> answers;
    /// Only with `stats-enabled`: new connections (model::FlowOpened), and those that found no room there.
    std::optional<bpf::MapSpec> events;
    std::optional<bpf::Map<u32, u64>> events_lost; ///< one row, per CPU

    /// Each of them, for creating and pinning.
    std::vector<const bpf::MapSpec*> all() const;
};

/// How many connections may be half-open at once: half of max-connections, rounded up to a power of two.
u32 backlog_size(const model::Plan& plan);

/// Room for a group's table twice, so that a new one can be written while the old one is in use.
u32 slots_capacity(const model::Plan& plan);

/// As many sources as connections, within these limits.
inline constexpr u32 source_buckets_min = 16384, source_buckets_max = 1u << 20;
inline constexpr u32 own_addresses_max = 4096;
inline constexpr u32 fragments_max = 16384;
/// Sessions are as many as connections, but no fewer than this: the kernel gives each CPU a part of an LRU
/// map, and evicts where that is used up.
inline constexpr u32 sessions_min = 16384;
inline constexpr u32 devices_max = 1024;
inline constexpr u32 events_bytes = 1u << 18; ///< a power of two of pages: about 8,000 records

} // namespace lb::datapath
