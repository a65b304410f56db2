#include "kernel/clsact.hpp"

#include "kernel/errors.hpp"
#include "kernel/netlink.hpp"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include <cerrno>

namespace lb::kernel {

namespace {

u32 parent_of(TcDirection direction)
{
    return TC_H_MAKE(TC_H_CLSACT, direction == TcDirection::egress ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS);
}

tcmsg qdisc_message(u32 ifindex)
{
    return {.tcm_ifindex = static_cast<int>(ifindex),
            .tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0),
            .tcm_parent = TC_H_CLSACT};
}

tcmsg filter_message(u32 ifindex, const FilterId& id)
{
    return {.tcm_ifindex = static_cast<int>(ifindex),
            .tcm_handle = id.handle,
            .tcm_parent = parent_of(id.direction),
            .tcm_info = TC_H_MAKE(static_cast<u32>(id.priority) << 16, static_cast<u32>(htons(ETH_P_ALL)))};
}

std::span<const u8> attributes_of(std::span<const u8> payload)
{
    return payload.subspan(std::min(sizeof(tcmsg), payload.size()));
}

std::string on_interface(const std::string& doing, u32 ifindex)
{
    return doing + " interface " + std::to_string(ifindex);
}

/// One request that has no answer but yes or no.
Result<void> tell(NetlinkMessage& message, const std::string& doing)
{
    auto socket = NetlinkSocket::open();
    if (!socket) return std::unexpected(socket.error());
    auto done = socket->request(message);
    if (!done) return context(done.error(), doing);
    return {};
}

FilterInfo parse_filter(std::span<const u8> payload)
{
    const auto header = read_as<tcmsg>(payload);
    FilterInfo filter{.priority = static_cast<u16>(header.tcm_info >> 16), .handle = header.tcm_handle};
    for_each_attribute(attributes_of(payload), [&](u16 type, std::span<const u8> value) {
        if (type == TCA_KIND) filter.kind = read_text(value);
        if (type == TCA_OPTIONS && filter.kind == "bpf")
            for_each_attribute(value, [&](u16 option, std::span<const u8> inner) {
                if (option == TCA_BPF_NAME) filter.name = read_text(inner);
                if (option == TCA_BPF_ID) filter.program_id = read_as<u32>(inner);
            });
    });
    return filter;
}

/// What is in the way of lb's filter, if anything; lb's own filter of an earlier run is not.
Result<bool> find_own(u32 ifindex, const FilterId& id)
{
    auto filters = list_filters(ifindex, id.direction);
    if (!filters) return std::unexpected(filters.error());
    for (const auto& filter : *filters) {
        if (filter.priority != id.priority) continue;
        const bool same_place = filter.handle == id.handle;
        if (filter.kind == "bpf" && same_place && filter.name == id.name) return true;
        if (filter.kind == "bpf" && !same_place)
            continue; // another bpf filter of the same priority is no hindrance
        return fail(ErrorKind::host_not_ready,
                    on_interface("TC filter '" + id.name + "' does not fit on", ifindex) + ": priority " +
                        std::to_string(id.priority) + " is taken by the " + filter.kind + " filter '" +
                        filter.name + "' (program id " + std::to_string(filter.program_id) + ")",
                    EEXIST);
    }
    return false;
}

} // namespace

Result<bool> has_clsact(u32 ifindex)
{
    auto socket = NetlinkSocket::open();
    if (!socket) return std::unexpected(socket.error());
    NetlinkMessage message(RTM_GETQDISC, NLM_F_DUMP);
    message.body(tcmsg{});
    bool found = false;
    auto listed = socket->dump(
        message, [&] { found = false; },
        [&](u16 type, std::span<const u8> payload) {
            // The kernel lists the qdiscs of every interface, whatever was asked for.
            if (type != RTM_NEWQDISC || read_as<tcmsg>(payload).tcm_ifindex != static_cast<int>(ifindex))
                return;
            for_each_attribute(attributes_of(payload), [&](u16 attribute, std::span<const u8> value) {
                if (attribute == TCA_KIND && read_text(value) == "clsact") found = true;
            });
        });
    if (!listed) return context(listed.error(), on_interface("listing the qdiscs of", ifindex));
    return found;
}

Result<bool> add_clsact(u32 ifindex)
{
    NetlinkMessage message(RTM_NEWQDISC, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
    message.body(qdisc_message(ifindex)).attribute(TCA_KIND, "clsact");
    auto added = tell(message, on_interface("adding clsact to", ifindex));
    if (added) return true;
    if (added.error().sys_errno != EEXIST) return std::unexpected(added.error());
    auto there = has_clsact(ifindex);
    if (!there) return there;
    if (*there) return false;
    // clsact and the older ingress qdisc want the same place, and only clsact has an egress side.
    return fail(
        ErrorKind::host_not_ready,
        on_interface("adding clsact to", ifindex) +
            ": an 'ingress' qdisc is in its place; if nothing needs it: tc qdisc del dev NAME ingress",
        EEXIST);
}

Result<bool> remove_clsact_if_empty(u32 ifindex)
{
    auto there = has_clsact(ifindex);
    if (!there || !*there) return there;
    for (auto direction : {TcDirection::ingress, TcDirection::egress}) {
        auto filters = list_filters(ifindex, direction);
        if (!filters) return std::unexpected(filters.error());
        if (!filters->empty()) return false;
    }
    NetlinkMessage message(RTM_DELQDISC, NLM_F_ACK);
    message.body(qdisc_message(ifindex));
    auto removed = tell(message, on_interface("removing clsact from", ifindex));
    if (!removed) return std::unexpected(removed.error());
    return true;
}

Result<std::vector<FilterInfo>> list_filters(u32 ifindex, TcDirection direction)
{
    auto socket = NetlinkSocket::open();
    if (!socket) return std::unexpected(socket.error());
    NetlinkMessage message(RTM_GETTFILTER, NLM_F_DUMP);
    message.body(tcmsg{.tcm_ifindex = static_cast<int>(ifindex), .tcm_parent = parent_of(direction)});
    std::vector<FilterInfo> filters;
    auto listed = socket->dump(
        message, [&] { filters.clear(); },
        [&](u16 type, std::span<const u8> payload) {
            if (type != RTM_NEWTFILTER) return;
            // A message without a handle announces the priority itself, not a filter.
            if (auto filter = parse_filter(payload); filter.handle != 0) filters.push_back(std::move(filter));
        });
    // Without a clsact there are no filters.
    if (!listed && (listed.error().sys_errno == EINVAL || listed.error().sys_errno == ENODEV))
        return std::vector<FilterInfo>{};
    if (!listed) return context(listed.error(), on_interface("listing the TC filters of", ifindex));
    return filters;
}

Result<void> set_filter(u32 ifindex, const FilterId& id, const Program& program)
{
    auto own = find_own(ifindex, id);
    if (!own) return std::unexpected(own.error());
    // With an existing handle the kernel swaps the program of the filter in place.
    NetlinkMessage message(RTM_NEWTFILTER,
                           static_cast<u16>(NLM_F_ACK | NLM_F_CREATE | (*own ? 0 : NLM_F_EXCL)));
    message.body(filter_message(ifindex, id)).attribute(TCA_KIND, "bpf");
    const std::size_t options = message.open_nested(TCA_OPTIONS);
    message.attribute(TCA_BPF_FD, static_cast<u32>(program.fd()))
        .attribute(TCA_BPF_NAME, id.name)
        .attribute(TCA_BPF_FLAGS, u32{TCA_BPF_FLAG_ACT_DIRECT});
    message.close_nested(options);
    return tell(message, on_interface("setting TC filter '" + id.name + "' on", ifindex));
}

Result<bool> remove_filter(u32 ifindex, const FilterId& id)
{
    auto own = find_own(ifindex, id);
    if (!own || !*own) return own;
    NetlinkMessage message(RTM_DELTFILTER, NLM_F_ACK);
    message.body(filter_message(ifindex, id)).attribute(TCA_KIND, "bpf");
    auto removed = tell(message, on_interface("removing TC filter '" + id.name + "' from", ifindex));
    if (!removed && removed.error().sys_errno == ENOENT) return false;
    if (!removed) return std::unexpected(removed.error());
    return true;
}

} // namespace lb::kernel
