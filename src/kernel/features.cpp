#include "kernel/features.hpp"

#include "kernel/errors.hpp"
#include "kernel/link.hpp"
#include "kernel/program.hpp"
#include "lb/asm/encode.hpp"

#include <sys/utsname.h>

#include <cerrno>

namespace lb::kernel {

namespace {

using namespace bpf; // the probes read as listings

constexpr i64 helper_jiffies64 = 118;
constexpr i64 helper_ktime_get_coarse_ns = 160;
constexpr i64 helper_loop = 181;
constexpr u32 loopback_ifindex = 1; // in every network namespace

/// Tries to load a program that has these instructions and nothing else.
std::expected<kernel::Program, LoadError> try_load(const std::vector<Insn>& insns, bool frags = false,
                                                   std::vector<Function> functions = {})
{
    bpf::Program probe{
        .name = "lb_probe", .attach = AttachType::xdp, .frags = frags, .functions = std::move(functions)};
    for (const auto& insn : insns)
        if (auto encoded = encode(insn, probe.code); !encoded)
            return std::unexpected(LoadError{{ErrorKind::failure, encoded.error().message, 0}, {}});
    // Callbacks need BTF, and BTF needs a line for each function.
    for (const auto& function : probe.functions)
        probe.lines.push_back({.slot = function.slot, .file = "features.cpp", .line = 1});
    return kernel::Program::load(probe, {});
}

bool accepts(const std::vector<Insn>& insns) { return try_load(insns).has_value(); }

bool has_loop()
{
    // main: r0 = loop(1 time, callback, 0, 0); callback: returns 1, the end.
    std::vector<Insn> insns = {mov64(r1, 1),
                               ld_imm64(r2, 6, Pseudo::func),
                               mov64(r3, 0),
                               mov64(r4, 0),
                               call_helper(helper_loop),
                               mov64(r0, 0),
                               exit(),
                               mov64(r0, 1),
                               exit()};
    return try_load(insns, false,
                    {{.name = "lb_probe", .slot = 0}, {.name = "callback", .slot = 8, .arguments = 2}})
        .has_value();
}

bool has_load_acquire()
{
    return accepts({store(Width::w64, fp, -8, i64{0}), load_acquire(Width::w64, r0, fp, -8),
                    store_release(Width::w64, fp, -8, r0), exit()});
}

bool has_isa_v4()
{
    return accepts({mov64(r1, 4), bswap(r1, 16), sdiv64(Alu::div, r1, 2), mov64(r0, 0), go_long(0), exit()});
}

bool has_tcx()
{
    auto programs = tcx_programs(loopback_ifindex, AttachType::tcx_egress);
    return programs.has_value() || programs.error().sys_errno == ENODEV;
}

} // namespace

Result<std::string> kernel_release()
{
    utsname name{};
    if (::uname(&name) != 0) return sys_fail("asking for the kernel's version", errno);
    return std::string(name.release);
}

Result<KernelFeatures> probe_features()
{
    auto release = kernel_release();
    if (!release) return std::unexpected(release.error());
    auto version = parse_kernel_version(*release);
    if (!version) return std::unexpected(version.error());
    if (*version < kernel_oldest)
        return fail(ErrorKind::host_not_ready, "this is Linux " + *release + "; lb needs 5.15 or later");
    // If not even this is taken, what the others answer says nothing about features.
    if (auto simplest = try_load({mov64(r0, 2), exit()}); !simplest)
        return context(simplest.error().error, "trying what this kernel can do");

    return KernelFeatures{
        .major = version->major,
        .minor = version->minor,
        .jiffies64 = accepts({call_helper(helper_jiffies64), mov64(r0, 2), exit()}),
        .coarse_clock = accepts({call_helper(helper_ktime_get_coarse_ns), mov64(r0, 2), exit()}),
        .bpf_loop = has_loop(),
        .xdp_frags = try_load({mov64(r0, 2), exit()}, true).has_value(),
        .isa_v4 = has_isa_v4(),
        .tcx = has_tcx(),
        .may_goto = accepts({mov64(r0, 2), may_goto(1), mov64(r0, 1), exit()}),
        .load_acquire = has_load_acquire(),
    };
}

std::string to_text(const KernelFeatures& features)
{
    std::string with, without;
    for (const auto& row : kernel_feature_rows)
        (features.*row.member ? with : without).append(" ").append(row.name);
    std::string text =
        "Linux " + std::to_string(features.major) + "." + std::to_string(features.minor) + ":" + with;
    if (!without.empty()) text += "; without" + without;
    return text;
}

} // namespace lb::kernel
