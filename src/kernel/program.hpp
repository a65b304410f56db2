// BPF programs: relocated, loaded with BTF (so that the kernel speaks of our C++ lines), described, and run
// on frames in memory. A Program owns its fd; attached programs live on in their links. Any thread.
#pragma once

#include <array>
#include <expected>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernel/fd.hpp"
#include "lb/asm/program.hpp"
#include "lb/base/result.hpp"

namespace lb::kernel {

/// What the relocations of a program stand for on this machine.
struct Resolver {
    std::map<std::string, int> maps = {};   ///< fd by map name
    std::map<std::string, u32> values = {}; ///< number by symbol
};

/// The program's code with every relocation filled in; an error names the symbol that has no meaning here.
Result<std::vector<bpf::RawInsn>> relocate(const bpf::Program& program, const Resolver& resolver);

/// Bits of what the verifier prints (the kernel's BPF_LOG_LEVEL1, BPF_LOG_LEVEL2, BPF_LOG_STATS).
inline constexpr u32 log_paths = 1;
inline constexpr u32 log_states = 2;
inline constexpr u32 log_stats = 4;

struct LoadOptions {
    u32 log_level = 0; ///< printed even when the program is accepted; a rejected one always has a log
    bool btf = true;   ///< names and lines for the kernel; without them where it refuses ours
};

/// Why a program was not loaded; `log` is all that the verifier said, or empty where it was not asked.
struct LoadError {
    Error error = {};
    std::string log = {};
};

struct ProgramInfo {
    u32 id = 0;
    bpf::ProgramType type = bpf::ProgramType::xdp;
    std::string name = {};
    std::string tag = {};   ///< 16 hex digits: a digest of the code
    u32 xlated_bytes = 0;   ///< after the verifier's rewrites
    u32 jited_bytes = 0;    ///< machine code
    u32 verified_insns = 0; ///< instructions that the verifier walked; from Linux 5.16
    u32 btf_id = 0;         ///< 0: without names and lines
    std::vector<u32> map_ids = {};
};

/// What an XDP program finds in its xdp_md.
struct XdpContext {
    u32 ingress_ifindex = 0; ///< 0: the kernel's own choice (lo)
    u32 rx_queue = 0;
    u32 meta_bytes = 0; ///< the first bytes of the input are metadata
};
/// What a TC program finds in its __sk_buff, of what a test run may set.
struct SkbContext {
    u32 ifindex = 0; ///< the device of the skb; 0: lo
    u32 ingress_ifindex = 0;
    u32 mark = 0;
    u32 priority = 0;
    std::array<u32, 5> cb = {};
    u32 wire_len = 0;
    u32 gso_segs = 0;
    u32 gso_size = 0;
};
struct RunOptions {
    u32 repeat = 1;
    XdpContext xdp = {};          ///< for XDP programs
    SkbContext skb = {};          ///< for TC programs
    std::size_t growth_max = 512; ///< by how much the packet may grow
    /// XDP: the verdicts are carried out, on `repeat` frames that the kernel makes of the input and uses
    /// again as the program left them; nothing comes back (BPF_F_TEST_XDP_LIVE_FRAMES, Linux 5.18).
    bool live = false;
};
struct TestRun {
    u32 retval = 0;
    std::vector<u8> out = {};
    SkbContext skb = {}; ///< as the program left it (mark, priority, cb)
    u32 duration_ns = 0; ///< mean of one run
};

class Program {
public:
    Program() = default;
    static std::expected<Program, LoadError> load(const bpf::Program& program, const Resolver& resolver,
                                                  const LoadOptions& options = {});
    static Result<Program> open_id(u32 id);
    static Result<Program> open_pinned(const std::string& path);

    explicit operator bool() const { return static_cast<bool>(fd_); }
    int fd() const { return fd_.get(); }
    const std::string& name() const { return name_; }
    bpf::ProgramType type() const { return type_; }
    /// The verifier's log, where LoadOptions asked for one.
    const std::string& log() const { return log_; }

    Result<ProgramInfo> info() const;
    Result<void> pin(const std::string& path) const;
    /// Runs the program on `frame` (BPF_PROG_TEST_RUN), in the network namespace of the caller.
    Result<TestRun> run(std::span<const u8> frame, const RunOptions& options = {}) const;

private:
    Fd fd_;
    std::string name_;
    bpf::ProgramType type_ = bpf::ProgramType::xdp;
    std::string log_;
};

} // namespace lb::kernel
