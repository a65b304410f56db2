// Programs on interfaces, by bpf_link: the attachment lives as long as an fd or a pin of the link does, and
// its program is replaced atomically. A Link owns its fd: an unpinned one detaches at destruction. Removing
// the last pin detaches too, but a moment later: detach() first where it must have happened. One thread at a
// time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernel/fd.hpp"
#include "kernel/program.hpp"
#include "lb/base/result.hpp"

namespace lb::kernel {

enum class LinkType { xdp, tcx, other };

struct LinkInfo {
    u32 id = 0;
    LinkType type = LinkType::other;
    u32 program_id = 0;
    u32 ifindex = 0; ///< 0: the interface is gone, or the link was detached
    bpf::AttachType attach = bpf::AttachType::none;
};

class Link {
public:
    Link() = default;
    /// The bare system call; attach_xdp() and attach_tcx() are what callers want.
    static Result<Link> create(const Program& program, u32 ifindex, bpf::AttachType attach, u32 flags,
                               const std::string& doing);
    static Result<Link> open_pinned(const std::string& path);
    static Result<Link> open_id(u32 id);

    explicit operator bool() const { return static_cast<bool>(fd_); }
    int fd() const { return fd_.get(); }
    Result<LinkInfo> info() const;
    /// Puts another program in the place of the present one; no packet sees neither.
    Result<void> update(const Program& program) const;
    Result<void> pin(const std::string& path) const;
    /// Detaches now, whoever else holds the link or its pin.
    Result<void> detach() const;
    /// Gives up the fd without closing it.
    Fd release() { return std::move(fd_); }

private:
    explicit Link(Fd fd) : fd_(std::move(fd)) {}
    Fd fd_;
};

enum class XdpMode { automatic, native, generic };

/// An XDP program that is on an interface already.
struct XdpOccupant {
    u32 program_id = 0;
    std::string program_name = {};
    XdpMode mode = XdpMode::native;
    bool offloaded = false;
    u32 link_id = 0; ///< 0: attached by netlink, as `ip link set xdp` does
};
/// Who holds the XDP hook of the interface; none: it is free.
Result<std::optional<XdpOccupant>> xdp_occupant(u32 ifindex);

struct XdpAttachment {
    Link link = {};
    XdpMode mode = XdpMode::native; ///< native or generic
    std::string why_generic = {};   ///< automatic fell back: what the driver said, and what would mend it
};
/// Attaches to the XDP hook. Refuses an interface that carries a program, with that program's name and id. A
/// driver's refusal of native mode comes back with its likely reason and the command that mends it.
Result<XdpAttachment> attach_xdp(const Program& program, u32 ifindex, XdpMode mode);

/// Appends to the TC programs of the interface (tcx_ingress or tcx_egress). Linux 6.6.
Result<Link> attach_tcx(const Program& program, u32 ifindex, bpf::AttachType attach);

struct TcxEntry {
    u32 program_id = 0;
    u32 link_id = 0;
    friend bool operator==(const TcxEntry&, const TcxEntry&) = default;
};
/// The TCX programs of the interface in the order in which they run.
Result<std::vector<TcxEntry>> tcx_programs(u32 ifindex, bpf::AttachType attach);

} // namespace lb::kernel
