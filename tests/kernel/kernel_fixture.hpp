// What the tests of src/kernel share: a network and a mount namespace of this process's own, pairs of
// interfaces in it, a private bpffs, programs made by hand, and frames sent and counted. Everything ends with
// the process.
#pragma once

#include "kernel/map.hpp"
#include "kernel/map_mmap.hpp"
#include "kernel/program.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace lb::test {

/// Runs a command in the shell and requires that it succeeds; returns what it printed.
std::string run(const std::string& command);

/// Folder of a bpffs that only this process sees.
const std::string& private_bpffs();

/// A pair of veth interfaces that are up, removed at the end of the scope. `options` go to `ip link add`.
class VethPair {
public:
    VethPair(std::string name, std::string peer, const std::string& mtu = "1500",
             const std::string& options = "");
    VethPair(const VethPair&) = delete;
    VethPair& operator=(const VethPair&) = delete;
    ~VethPair();
    const std::string name, peer;
    const u32 index, peer_index;
};

bpf::Program assemble(std::string name, bpf::ProgramType type, bpf::AttachType attach,
                      const std::vector<bpf::Insn>& insns);
/// `return verdict`.
bpf::Program returning(std::string name, bpf::ProgramType type, bpf::AttachType attach, i64 verdict);
/// Loads; the test fails with the verifier's log where that does not work.
kernel::Program load(const bpf::Program& program, const kernel::Resolver& resolver = {});

/// Numbers in memory of which the one at `slot` is raised by each test frame that a program of counting()
/// meets.
struct Counters {
    using Slots = std::array<u64, 4>;
    Counters();
    u64 read(u32 slot) const;
    /// Waits until it has this value, at most two seconds; returns what it has then.
    u64 wait(u32 slot, u64 value) const;
    /// The frame counts in `slot`; every frame gets `verdict`.
    kernel::Program counting(std::string name, bpf::ProgramType type, bpf::AttachType attach, u32 slot,
                             i64 verdict) const;
    kernel::Map map;
    kernel::MappedArray values;
};

/// Sends frames of the ethertype that counting() programs look for, out of this interface.
void send_frames(u32 ifindex, u32 count);

inline constexpr i64 xdp_drop = 1, xdp_pass = 2;
inline constexpr i64 tcx_next = -1, tc_act_ok = 0, tc_act_shot = 2;

/// The value, or the failure of the test with the error's message.
template <class T> T must(Result<T> result)
{
    if (!result) FAIL(result.error().message);
    return std::move(*result);
}
inline void must(const Result<void>& result)
{
    if (!result) FAIL(result.error().message);
}
inline bool contains(const std::string& text, const std::string& part)
{
    return text.find(part) != std::string::npos;
}

} // namespace lb::test
