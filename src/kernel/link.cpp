#include "kernel/link.hpp"

#include "kernel/errors.hpp"
#include "kernel/object.hpp"
#include "kernel/sys_bpf.hpp"

#include <bpf/bpf.h>

#include <cerrno>

namespace lb::kernel {

namespace {

// The kernel's bpf_link_type, of those that lb makes.
constexpr u32 link_type_xdp = 6;
constexpr u32 link_type_tcx = 11;

/// BPF_LINK_CREATE as newer kernels read it; older headers lack the TCX part.
struct LinkCreate {
    u32 program_fd = 0;
    u32 ifindex = 0;
    u32 attach_type = 0;
    u32 flags = 0;
    u32 relative_fd = 0; // TCX: before or after which other program; 0: appended
    u32 padding = 0;
    u64 expected_revision = 0;
};

/// bpf_link_info: XDP and TCX links both begin with the interface.
struct LinkInfoRaw {
    u32 type = 0;
    u32 id = 0;
    u32 program_id = 0;
    u32 padding = 0;
    u32 ifindex = 0;
    u32 attach_type = 0; // TCX only
    u8 others[64] = {};
};

/// BPF_PROG_QUERY for TCX (Linux 6.6).
struct ProgQuery {
    u32 ifindex = 0;
    u32 attach_type = 0;
    u32 query_flags = 0;
    u32 attach_flags = 0;
    u64 program_ids = 0;
    u32 count = 0;
    u32 padding = 0;
    u64 program_attach_flags = 0;
    u64 link_ids = 0;
    u64 link_attach_flags = 0;
    u64 revision = 0;
};

} // namespace

Result<Link> Link::create(const Program& program, u32 ifindex, bpf::AttachType attach, u32 flags,
                          const std::string& doing)
{
    LinkCreate request{.program_fd = static_cast<u32>(program.fd()),
                       .ifindex = ifindex,
                       .attach_type = static_cast<u32>(attach),
                       .flags = flags};
    Fd fd(sys_bpf(BPF_LINK_CREATE, request));
    if (!fd) return sys_fail(doing, errno);
    return Link(std::move(fd));
}

Result<Link> Link::open_pinned(const std::string& path)
{
    auto fd = open_pin(path, Object::link);
    if (!fd) return std::unexpected(fd.error());
    return Link(std::move(*fd));
}

Result<Link> Link::open_id(u32 id)
{
    Fd fd(bpf_link_get_fd_by_id(id));
    if (!fd) return sys_fail("opening link id " + std::to_string(id), errno);
    return Link(std::move(fd));
}

Result<LinkInfo> Link::info() const
{
    LinkInfoRaw raw;
    u32 size = sizeof(raw);
    if (bpf_obj_get_info_by_fd(fd(), &raw, &size) != 0) return sys_fail("reading what a link is", errno);
    LinkInfo info{.id = raw.id, .program_id = raw.program_id};
    if (raw.type == link_type_xdp) {
        info.type = LinkType::xdp;
        info.ifindex = raw.ifindex;
        info.attach = bpf::AttachType::xdp;
    } else if (raw.type == link_type_tcx) {
        info.type = LinkType::tcx;
        info.ifindex = raw.ifindex;
        info.attach = static_cast<bpf::AttachType>(raw.attach_type);
    }
    return info;
}

Result<void> Link::update(const Program& program) const
{
    if (bpf_link_update(fd(), program.fd(), nullptr) == 0) return {};
    std::string hint;
    if (errno == EINVAL) hint = "the new program has another type or expected attach type than the old one";
    if (errno == ENOLINK) hint = "the link was detached, or its interface is gone";
    return std::unexpected(sys_error("replacing a link's program by '" + program.name() + "'", errno, hint));
}

Result<void> Link::pin(const std::string& path) const
{
    if (bpf_obj_pin(fd(), path.c_str()) != 0)
        return std::unexpected(sys_error("pinning a link at " + path, errno));
    return {};
}

Result<void> Link::detach() const
{
    if (bpf_link_detach(fd()) != 0) return std::unexpected(sys_error("detaching a link", errno));
    return {};
}

Result<Link> attach_tcx(const Program& program, u32 ifindex, bpf::AttachType attach)
{
    auto link =
        Link::create(program, ifindex, attach, 0,
                     "attaching TC program '" + program.name() + "' to interface " + std::to_string(ifindex));
    // Kernels without TCX say that the attach type is invalid.
    if (!link && link.error().sys_errno == EINVAL)
        link.error() = {ErrorKind::host_not_ready, link.error().message + ": TCX needs Linux 6.6", EINVAL};
    return link;
}

Result<std::vector<TcxEntry>> tcx_programs(u32 ifindex, bpf::AttachType attach)
{
    constexpr u32 programs_max = 64; // BPF_MPROG_MAX
    std::vector<u32> programs(programs_max);
    std::vector<u32> links(programs_max);
    ProgQuery query{.ifindex = ifindex,
                    .attach_type = static_cast<u32>(attach),
                    .program_ids = reinterpret_cast<u64>(programs.data()),
                    .count = programs_max,
                    .link_ids = reinterpret_cast<u64>(links.data())};
    std::vector<TcxEntry> entries;
    if (sys_bpf(BPF_PROG_QUERY, query) != 0) {
        if (errno == ENOENT) return entries;
        return sys_fail("listing the TC programs of interface " + std::to_string(ifindex), errno,
                        errno == EINVAL ? "TCX needs Linux 6.6" : "");
    }
    for (u32 i = 0; i < query.count; ++i) entries.push_back({programs[i], links[i]});
    return entries;
}

} // namespace lb::kernel
