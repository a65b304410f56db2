// The context: what it holds, which of it may be read and written and how wide (the kernel's
// is_valid_access), and the packet behind its pointers.
#include <algorithm>
#include <cstddef>
#include <cstring>

#include "asm/interpreter_run.hpp"

namespace lb::bpf {

namespace {

enum class Holds { number, data, data_end, data_meta };

struct Field {
    u32 off = 0;
    u32 bytes = 4;
    Holds holds = Holds::number;
    bool writable = false;
    bool narrow = false; ///< may be read in part
};

// egress_ifindex is missing: only programs of devmaps may read it.
constexpr Field xdp_fields[] = {
    {offsetof(XdpMd, data), 4, Holds::data},
    {offsetof(XdpMd, data_end), 4, Holds::data_end},
    {offsetof(XdpMd, data_meta), 4, Holds::data_meta},
    {offsetof(XdpMd, ingress_ifindex)},
    {offsetof(XdpMd, rx_queue_index)},
};

constexpr Field number_field(std::size_t off, bool writable = false)
{
    return {.off = static_cast<u32>(off), .writable = writable, .narrow = true};
}
constexpr bool writable = true;

constexpr Field skb_fields[] = {
    number_field(offsetof(SkBuff, len)),
    number_field(offsetof(SkBuff, pkt_type)),
    number_field(offsetof(SkBuff, mark), writable),
    number_field(offsetof(SkBuff, queue_mapping), writable),
    number_field(offsetof(SkBuff, protocol)),
    number_field(offsetof(SkBuff, vlan_present)),
    number_field(offsetof(SkBuff, vlan_tci)),
    number_field(offsetof(SkBuff, vlan_proto)),
    number_field(offsetof(SkBuff, priority), writable),
    number_field(offsetof(SkBuff, ingress_ifindex)),
    number_field(offsetof(SkBuff, ifindex)),
    number_field(offsetof(SkBuff, tc_index), writable),
    {.off = offsetof(SkBuff, cb), .bytes = 20, .writable = true, .narrow = true},
    number_field(offsetof(SkBuff, hash)),
    number_field(offsetof(SkBuff, tc_classid), writable),
    {offsetof(SkBuff, data), 4, Holds::data},
    {offsetof(SkBuff, data_end), 4, Holds::data_end},
};

template <std::size_t N> const Field* field_at(const Field (&fields)[N], i64 off, u64 size)
{
    const auto found = std::ranges::find_if(fields, [&](const Field& field) {
        const i64 at = off - i64{field.off};
        return at >= 0 && at < i64{field.bytes} && size <= field.bytes - static_cast<u64>(at);
    });
    return found == std::end(fields) ? nullptr : found;
}

template <class T> std::vector<u8> bytes_of(const T& object)
{
    std::vector<u8> bytes(sizeof(T));
    std::memcpy(bytes.data(), &object, sizeof(T));
    return bytes;
}

} // namespace

bool Run::take_input()
{
    const auto refuse = [&](const char* why) { return fail(FaultKind::bad_input, why); };
    const auto set_packet = [&](std::vector<u8>& frame, u32 meta, std::optional<u32> linear) {
        if (meta > frame.size()) return refuse("more metadata than frame");
        packet.bytes = std::move(frame);
        packet.meta = meta;
        packet.linear = linear.value_or(packet.length());
        return packet.linear <= packet.length() || refuse("a linear part that is longer than the frame");
    };
    switch (type()) {
    case ProgramType::xdp: {
        auto* xdp = std::get_if<XdpInput>(&input_);
        if (!xdp) return refuse("an XDP program runs on an XdpInput");
        context_ = bytes_of(xdp->context);
        return set_packet(xdp->frame, xdp->meta_bytes, xdp->linear);
    }
    case ProgramType::sched_cls:
    case ProgramType::socket_filter: {
        auto* skb = std::get_if<SkbInput>(&input_);
        if (!skb) return refuse("an skb program runs on an SkbInput");
        skb->context.len = static_cast<u32>(skb->frame.size());
        context_ = bytes_of(skb->context);
        packet.checksum = skb->checksum;
        return set_packet(skb->frame, 0, skb->linear);
    }
    case ProgramType::syscall: {
        auto* syscall = std::get_if<SyscallInput>(&input_);
        if (!syscall) return refuse("a syscall program runs on a SyscallInput");
        context_ = std::move(syscall->context);
        return true;
    }
    }
    return refuse("this type of program is not interpreted");
}

Outcome Run::outcome()
{
    Outcome outcome{.result = regs_[0].bits, .steps = steps_, .calls = std::move(calls_)};
    if (type() == ProgramType::syscall) {
        outcome.context = std::move(context_);
        return outcome;
    }
    outcome.frame = std::move(packet.bytes);
    if (type() != ProgramType::xdp) std::memcpy(&outcome.skb, context_.data(), sizeof outcome.skb);
    return outcome;
}

bool Run::load_context(Value& out, i64 off, u32 size)
{
    if (type() != ProgramType::syscall) {
        const Field* field =
            type() == ProgramType::xdp ? field_at(xdp_fields, off, size) : field_at(skb_fields, off, size);
        if (field && field->holds != Holds::number) return load_packet_pointer(out, off, size);
    }
    const u8* memory = locate_context(off, size, Use::read);
    if (!memory) return false;
    u64 number = 0;
    std::memcpy(&number, memory, size);
    out = Value::number(number);
    return true;
}

bool Run::load_packet_pointer(Value& out, i64 off, u32 size)
{
    const Field* field =
        type() == ProgramType::xdp ? field_at(xdp_fields, off, size) : field_at(skb_fields, off, size);
    if (size != field->bytes) return fail(FaultKind::out_of_bounds, "a part of a pointer to the packet");
    if (type() == ProgramType::socket_filter)
        return fail(FaultKind::unsupported, "a socket filter has no pointers to the packet");
    out = {.id = packet.generation, .kind = Value::Kind::packet};
    if (field->holds == Holds::data_meta) out.bits = -u64{packet.meta};
    if (field->holds == Holds::data_end) {
        out.bits = packet.linear;
        out.kind = Value::Kind::packet_end;
    }
    return true;
}

u8* Run::locate_context(i64 off, u64 size, Use use)
{
    if (type() == ProgramType::syscall)
        return locate_in(context_, 0, off, size, {.kind = Value::Kind::context});
    const bool xdp = type() == ProgramType::xdp;
    const Field* field = xdp ? field_at(xdp_fields, off, size) : field_at(skb_fields, off, size);
    const std::string what = std::to_string(size) + " bytes at " + std::to_string(off) + " of the context";
    if (!field || field->holds != Holds::number || (size != field->bytes && !field->narrow)) {
        fail(FaultKind::out_of_bounds, what + " are nothing that this type of program may use");
        return nullptr;
    }
    const bool whole = size == field->bytes || field->off == offsetof(SkBuff, cb);
    if (use == Use::write && !(field->writable && whole)) {
        fail(FaultKind::read_only, what + " are written");
        return nullptr;
    }
    return context_.data() + off;
}

} // namespace lb::bpf
