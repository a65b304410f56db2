// What a kernel can do, of what changes the code that lb generates or how it attaches it. A plain value:
// `kernel` fills it by trying each feature, or from_version() from the table below, so that listings for
// another kernel can be made anywhere. Distributions back-port: a probe is worth more than a version. Pure;
// safe from any thread.
#pragma once

#include <array>
#include <charconv>
#include <string>
#include <string_view>

#include "lb/base/bytes.hpp"
#include "lb/base/result.hpp"

namespace lb {

struct KernelFeatures {
    u32 major = 0;
    u32 minor = 0;
    bool jiffies64 = false;    ///< helper bpf_jiffies64
    bool coarse_clock = false; ///< helper bpf_ktime_get_coarse_ns
    bool bpf_loop = false;     ///< helper bpf_loop
    bool xdp_frags = false;    ///< BPF_F_XDP_HAS_FRAGS and bpf_xdp_load_bytes: packets in several buffers
    bool isa_v4 = false;       ///< gotol, bswap, sign-extending loads and moves, signed division
    bool tcx = false;          ///< TC programs by bpf_link
    bool may_goto = false;     ///< bounded loops that the verifier need not unroll
    bool load_acquire = false; ///< load-acquire and store-release

    /// From `6.1`, `6.18.4` or `6.1.0-13-amd64`; nothing older than kernel_oldest.
    static Result<KernelFeatures> from_version(std::string_view text);

    friend bool operator==(const KernelFeatures&, const KernelFeatures&) = default;
};

struct KernelVersion {
    u32 major = 0;
    u32 minor = 0;
    friend constexpr auto operator<=>(const KernelVersion&, const KernelVersion&) = default;
};

/// The first kernel that lb supports: the last pieces it cannot do without (XDP links, batches on every map)
/// are there.
inline constexpr KernelVersion kernel_oldest{5, 15};

/// One row per feature: the member, its name for a person, and the first kernel that has it.
struct KernelFeatureRow {
    bool KernelFeatures::*member;
    std::string_view name;
    KernelVersion since;
};
inline constexpr std::array kernel_feature_rows = {
    KernelFeatureRow{&KernelFeatures::jiffies64, "jiffies64", {5, 6}},
    KernelFeatureRow{&KernelFeatures::coarse_clock, "coarse_clock", {5, 11}},
    KernelFeatureRow{&KernelFeatures::bpf_loop, "bpf_loop", {5, 17}},
    KernelFeatureRow{&KernelFeatures::xdp_frags, "xdp_frags", {5, 18}},
    KernelFeatureRow{&KernelFeatures::isa_v4, "isa_v4", {6, 6}},
    KernelFeatureRow{&KernelFeatures::tcx, "tcx", {6, 6}},
    KernelFeatureRow{&KernelFeatures::may_goto, "may_goto", {6, 9}},
    KernelFeatureRow{&KernelFeatures::load_acquire, "load_acquire", {6, 15}},
};

/// `6.1` and what may follow it in the output of uname.
inline Result<KernelVersion> parse_kernel_version(std::string_view text)
{
    KernelVersion version;
    const char* end = text.data() + text.size();
    auto major = std::from_chars(text.data(), end, version.major);
    if (major.ec != std::errc{} || major.ptr == end || *major.ptr != '.')
        return fail(ErrorKind::usage, "kernel version '" + std::string(text) + "' is not of the form 6.1");
    auto minor = std::from_chars(major.ptr + 1, end, version.minor);
    if (minor.ec != std::errc{} ||
        (minor.ptr != end && std::string_view(".-+_").find(*minor.ptr) == std::string_view::npos))
        return fail(ErrorKind::usage, "kernel version '" + std::string(text) + "' is not of the form 6.1");
    return version;
}

inline Result<KernelFeatures> KernelFeatures::from_version(std::string_view text)
{
    auto version = parse_kernel_version(text);
    if (!version) return std::unexpected(version.error());
    if (*version < kernel_oldest)
        return fail(ErrorKind::usage, "kernel " + std::string(text) + " is too old: lb needs 5.15 or later");
    KernelFeatures features{.major = version->major, .minor = version->minor};
    for (const auto& row : kernel_feature_rows) features.*row.member = *version >= row.since;
    return features;
}

} // namespace lb
