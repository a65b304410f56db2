#include "model.hpp"

#include <algorithm>
#include <optional>

namespace lb::test {
namespace {

using model::Reason;

constexpr u8 tcp = 6, udp = 17;
constexpr u8 fin = 1, syn = 2, rst = 4, ack = 16;

u32 number(const Bytes& bytes, std::size_t at, std::size_t size)
{
    u32 value = 0;
    for (std::size_t i = 0; i < size; ++i) value = value << 8 | bytes[at + i];
    return value;
}

void put(Bytes& bytes, std::size_t at, std::size_t size, u32 value)
{
    for (std::size_t i = 0; i < size; ++i) bytes[at + i] = static_cast<u8>(value >> 8 * (size - 1 - i));
}

bool is_loopback(u32 address) { return address >> 24 == 127; }

bool is_tag(u32 type) { return type == 0x8100 || type == 0x88a8; }

// Where IPv4 begins: behind up to two VLAN tags.
std::size_t ip_of(const Bytes& frame)
{
    std::size_t at = 14;
    while (at < 22 && is_tag(number(frame, at - 2, 2))) at += 4;
    return at;
}
std::size_t l4_of(const Bytes& frame) { return ip_of(frame) + 4 * (frame[ip_of(frame)] & 15u); }

} // namespace

Model::Tuple Model::tuple_of(const Bytes& frame)
{
    const std::size_t ip = ip_of(frame), l4 = l4_of(frame);
    return {.saddr = number(frame, ip + 12, 4),
            .daddr = number(frame, ip + 16, 4),
            .sport = static_cast<u16>(number(frame, l4, 2)),
            .dport = static_cast<u16>(number(frame, l4 + 2, 2)),
            .protocol = frame[ip + 9]};
}

bool Model::listens(u8 protocol) const
{
    return std::ranges::any_of(facts_.listeners, [&](const auto& each) { return each.protocol == protocol; });
}

Model::Parsed Model::parse(const Bytes& frame, bool ingress) const
{
    const auto leave = [&](Reason in, Reason out) { return Parsed{.reason = ingress ? in : out}; };
    const auto truncated = leave(Reason::truncated, Reason::egress_truncated);
    const auto bad_header = leave(Reason::bad_header, Reason::egress_bad_header);
    std::size_t ip = 14;
    if (frame.size() < ip + 20) return truncated;
    u32 type = number(frame, ip - 2, 2);
    for (int tag = 0; tag < 2 && is_tag(type); ++tag) {
        ip += 4;
        if (frame.size() < ip + 20) return truncated;
        type = number(frame, ip - 2, 2);
    }
    if (is_tag(type)) return leave(Reason::too_many_tags, Reason::egress_too_many_tags);
    if (type == 0x86dd) return leave(Reason::no_family, Reason::egress_no_family);
    if (type != 0x0800) return leave(Reason::not_ip, Reason::egress_not_ip);
    const u32 destination = number(frame, ip + 16, 4);
    if (ingress && facts_.loopback_targets && is_loopback(destination))
        return {.reason = Reason::martian_loopback};
    const std::size_t words = frame[ip] & 15u;
    if (frame[ip] >> 4 != 4 || words < 5) return bad_header;
    const u8 protocol = frame[ip + 9];
    const std::size_t header = protocol == tcp ? 20 : 8;
    const u32 total = number(frame, ip + 2, 2);
    if (words > 5 && total < 4 * words + header) return bad_header;
    // RFC 791: more fragments follow, or this one is not the first.
    if ((number(frame, ip + 6, 2) & 0x3fff) != 0) return leave(Reason::fragment, Reason::egress_fragment);
    if (protocol != tcp && protocol != udp)
        return leave(Reason::other_protocol, Reason::egress_other_protocol);
    if (!listens(protocol)) return leave(Reason::no_listener, Reason::egress_no_flow);
    const std::size_t l4 = ip + 4 * words;
    if (frame.size() < l4 + header) return truncated;
    if (total < 20 + header) return bad_header;
    if (ingress && total > frame.size() - ip) return truncated;
    return {.whole = true, .tuple = tuple_of(frame), .flags = protocol == tcp ? frame[l4 + 13] : u8{0}};
}

Bytes Model::rewritten(const Bytes& frame, const Tuple& to)
{
    Bytes out = frame;
    const std::size_t ip = ip_of(frame), l4 = l4_of(frame);
    const bool unsummed = frame[ip + 9] == udp && number(frame, l4 + 6, 2) == 0;
    put(out, ip + 12, 4, to.saddr);
    put(out, ip + 16, 4, to.daddr);
    put(out, l4, 2, to.sport);
    put(out, l4 + 2, 2, to.dport);
    lab::recompute_checksums(out);
    if (unsummed) put(out, l4 + 6, 2, 0); // RFC 768: the sender made none
    return out;
}

bool Model::ended(const Entry& forward) const
{
    const auto reply = table_.find(forward.other);
    if (reply == table_.end()) return true;
    const u8 either = forward.flags | reply->second.flags, both = forward.flags & reply->second.flags;
    return (either & rst) != 0 || (both & fin) != 0;
}

const ModelListener* Model::listener_of(const Tuple& tuple, const std::string& interface) const
{
    for (const auto kind : {ModelKind::given, ModelKind::own, ModelKind::any})
        for (const auto& each : facts_.listeners) {
            if (each.kind != kind || each.protocol != tuple.protocol || each.port != tuple.dport) continue;
            if (!each.interfaces.contains(interface)) continue;
            if (kind == ModelKind::given && each.address != tuple.daddr) continue;
            if (kind == ModelKind::own && !facts_.own_addresses.contains(tuple.daddr)) continue;
            return &each;
        }
    return nullptr;
}

const ModelGroup& Model::group_of(const ModelProxy& proxy, u32 client) const
{
    const ModelRoute* best = nullptr;
    for (const auto& route : proxy.routes) {
        const u64 size = u64{1} << (32 - route.length);
        const bool holds = client >= route.network && client < route.network + size;
        if (holds && (best == nullptr || route.length > best->length)) best = &route;
    }
    return best == nullptr ? proxy.group : best->group;
}

Judgement Model::open(const Bytes& frame, const Parsed& parsed, const std::string& interface,
                      const Bytes& out)
{
    const Tuple& from = parsed.tuple;
    if (from.protocol == tcp && (parsed.flags & rst) != 0) return {Reason::stray_reset, frame};
    const ModelListener* listener = listener_of(from, interface);
    if (listener == nullptr) return {Reason::other_address, frame};
    const ModelGroup& group = group_of(facts_.proxies[listener->proxy], from.saddr);
    if (group.empty()) return {Reason::no_target, frame};
    if (table_.size() + 2 > 2 * facts_.connections_max) return {Reason::table_full, frame};
    if (out.size() != frame.size()) return {Reason::forwarded, frame, "the frame has another length"};

    Tuple to = tuple_of(out);
    Judgement judged{.reason = Reason::forwarded};
    if (std::ranges::find(group, ModelTarget{to.daddr, to.dport}) == group.end())
        judged.fault = "its target is not of the group: " + lab::describe(out);
    to.saddr = from.saddr;
    to.protocol = from.protocol;
    const auto reply_of = [&](u16 port) { return Tuple{to.daddr, to.saddr, to.dport, port, to.protocol}; };
    const bool own_port_free = !table_.contains(reply_of(from.sport));
    if (own_port_free) {
        to.sport = from.sport; // the client's own wherever that is possible
    } else if (to.sport < 32768 || table_.contains(reply_of(to.sport))) {
        judged.fault = "a look-alike got a source port that is taken: " + lab::describe(out);
    }
    const Tuple reply = reply_of(to.sport);
    table_[from] = {.to = to, .other = reply, .flags = parsed.flags};
    table_[reply] = {
        .to = {from.daddr, from.saddr, from.dport, from.sport, from.protocol}, .other = from, .reply = true};
    judged.frame = rewritten(frame, to);
    return judged;
}

Judgement Model::ingress(const Bytes& frame, const std::string& interface, const Bytes& out)
{
    const Parsed parsed = parse(frame, true);
    if (!parsed.whole) return {parsed.reason, frame};
    const bool listening = std::ranges::any_of(facts_.listeners, [&](const auto& each) {
        return each.protocol == parsed.tuple.protocol && each.port == parsed.tuple.dport;
    });
    if (!listening) return {Reason::no_listener, frame};
    const auto known = table_.find(parsed.tuple);
    if (known == table_.end()) return open(frame, parsed, interface, out);
    if (known->second.reply) return {Reason::reply, frame};
    const bool opens = parsed.tuple.protocol == tcp && (parsed.flags & (syn | ack)) == syn;
    if (opens && ended(known->second)) {
        table_.erase(known->second.other);
        table_.erase(parsed.tuple);
        return open(frame, parsed, interface, out);
    }
    known->second.flags |= parsed.flags;
    return {Reason::forwarded, rewritten(frame, known->second.to)};
}

Judgement Model::egress(const Bytes& frame)
{
    const Parsed parsed = parse(frame, false);
    if (!parsed.whole) return {parsed.reason, frame};
    const auto known = table_.find(parsed.tuple);
    if (known != table_.end() && known->second.reply) {
        known->second.flags |= parsed.flags;
        return {Reason::reply_forwarded, rewritten(frame, known->second.to)};
    }
    if (facts_.loopback_targets && is_loopback(parsed.tuple.saddr)) return {Reason::egress_loopback, frame};
    return {Reason::egress_no_flow, frame};
}

} // namespace lb::test
