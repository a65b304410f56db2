#include "model.hpp"

#include <algorithm>
#include <bit>
#include <optional>

namespace lb::test {
namespace {

using model::Reason;

constexpr u8 tcp = 6;
constexpr u8 fin = 1, syn = 2, rst = 4, ack = 16;

bool holds(const Address& network, u8 length, const Address& address)
{
    if (network.version != address.version) return false;
    for (u8 bit = 0; bit < length; ++bit) {
        const u8 mask = static_cast<u8>(0x80 >> bit % 8);
        if ((network.octets[bit / 8] & mask) != (address.octets[bit / 8] & mask)) return false;
    }
    return true;
}

} // namespace

// With own or any addresses it is that of the targets.
u8 Model::family_of(const ModelListener& listener) const
{
    if (listener.kind == ModelKind::given) return listener.address.version;
    const ModelProxy& proxy = facts_.proxies[listener.proxy];
    if (!proxy.group.empty()) return proxy.group.front().ip.version;
    for (const auto& route : proxy.routes) return route.network.version;
    return 4;
}

ParseRules Model::rules(bool ingress) const
{
    ParseRules rules{.ingress = ingress, .loopback_targets = facts_.loopback_targets};
    for (const auto& listener : facts_.listeners) {
        rules.families.insert(family_of(listener));
        rules.protocols.insert({family_of(listener), listener.protocol});
    }
    return rules;
}

bool Model::ended(const Entry& forward) const
{
    if (forward.tunnel.mode != ModelMode::nat) return (forward.flags & (rst | fin)) != 0; // all that is seen
    const auto reply = table_.find(forward.other);
    if (reply == table_.end()) return true;
    const u8 either = forward.flags | reply->second.flags, both = forward.flags & reply->second.flags;
    return (either & rst) != 0 || (both & fin) != 0;
}

// README, max-connections: established is who has been answered by its target and, with TCP, has answered
// that.
bool Model::half_open(const ModelTuple& tuple, const Entry& forward) const
{
    const auto reply = table_.find(forward.other);
    if (reply == table_.end() && tuple.protocol != tcp) return forward.packets == 1;
    if (reply == table_.end()) return (forward.flags & rst) != 0 || (forward.flags & ack) == 0;
    if (((forward.flags | reply->second.flags) & rst) != 0 && tuple.protocol == tcp) return true;
    return reply->second.packets == 0 || (tuple.protocol == tcp && (forward.flags & ack) == 0);
}

// As many as half of max-connections, rounded up to a power of two, may be half-open.
void Model::take_place(const ModelTuple& tuple)
{
    auto& newest = newest_[tuple.saddr.version];
    newest.push_back(tuple);
    if (newest.size() <= std::bit_ceil((facts_.connections_max + 1) / 2)) return;
    const ModelTuple oldest = newest.front();
    newest.pop_front();
    const auto known = table_.find(oldest);
    if (known == table_.end() || known->second.reply || !half_open(oldest, known->second)) return;
    table_.erase(known->second.other);
    table_.erase(oldest);
}

bool Model::has_room(u8 version, std::size_t more) const
{
    const auto entries =
        std::ranges::count_if(table_, [&](const auto& each) { return each.first.saddr.version == version; });
    const auto room = facts_.connections_max + std::bit_ceil((facts_.connections_max + 1) / 2);
    return static_cast<std::size_t>(entries) + more <= 2 * room;
}

namespace {

// RFC 6890's registries, by the octets.
bool nobodys(const Address& address)
{
    const auto& octet = address.octets;
    if (!address.six()) return octet[0] == 0 || octet[0] >= 224;
    return octet[0] == 0xff;
}

bool no_source(const Address& address)
{
    if (nobodys(address)) return true;
    const auto& octet = address.octets;
    if (!address.six()) return octet[0] == 127;
    if (octet[0] == 0xfe && (octet[1] & 0xc0) == 0x80) return true;
    if (std::any_of(octet.begin(), octet.begin() + 10, [](u8 each) { return each != 0; })) return false;
    if (octet[10] == 0xff && octet[11] == 0xff) return true;
    return std::all_of(octet.begin() + 10, octet.begin() + 15, [](u8 each) { return each == 0; }) &&
           octet[15] <= 1;
}

} // namespace

bool Model::martian(const ModelTuple& tuple, ModelKind kind)
{
    return no_source(tuple.saddr) || tuple.saddr == tuple.daddr ||
           (kind == ModelKind::any && nobodys(tuple.daddr));
}

const ModelListener* Model::listener_of(const ModelTuple& tuple, const std::string& interface) const
{
    for (const auto kind : {ModelKind::given, ModelKind::own, ModelKind::any})
        for (const auto& each : facts_.listeners) {
            if (each.kind != kind || each.protocol != tuple.protocol || each.port != tuple.dport) continue;
            if (!each.interfaces.contains(interface) || family_of(each) != tuple.daddr.version) continue;
            if (kind == ModelKind::given && each.address != tuple.daddr) continue;
            if (kind == ModelKind::own && !facts_.own_addresses.contains(tuple.daddr)) continue;
            return &each;
        }
    return nullptr;
}

// The longest prefix decides, in whichever list it is; a tie, and an allow list that does not name the
// client, keep it out.
bool Model::lets_in(const ModelProxy& proxy, const Address& client) const
{
    const auto longest = [&](const std::vector<ModelPrefix>& list) {
        int length = -1;
        for (const auto& each : list)
            if (holds(each.network, each.length, client)) length = std::max<int>(length, each.length);
        return length;
    };
    const int allowed = longest(proxy.allow), denied = longest(proxy.deny);
    return allowed < 0 && denied < 0 ? proxy.allow.empty() : allowed > denied;
}

const ModelGroup& Model::group_of(const ModelProxy& proxy, const Address& client) const
{
    const ModelRoute* best = nullptr;
    for (const auto& route : proxy.routes)
        if (holds(route.network, route.length, client) && (best == nullptr || route.length > best->length))
            best = &route;
    return best == nullptr ? proxy.group : best->group;
}

// As it is, in a tunnel's packet; without a way, nothing goes by an Ethernet address.
Judgement Model::carried(const Bytes& frame, const Parsed& parsed, Entry& entry, const Bytes& out) const
{
    if (parsed.ip_at != 14) return {Reason::dsr_tagged, frame};
    if (entry.tunnel.mode == ModelMode::l2) return {Reason::dsr_no_route, frame};
    std::string fault = entry.tunnel.learn(out);
    if (std::ranges::find(entry.group, entry.tunnel.target, &ModelTarget::ip) == entry.group.end())
        fault = "its target is not of the group";
    return {Reason::encapsulated, encapsulated(frame, entry.tunnel), fault};
}

// A packet of a known connection; the first fragment shows the way to those that have no ports.
Judgement Model::translated(const Bytes& frame, const Parsed& parsed, Entry& entry, const Bytes& out)
{
    entry.flags |= parsed.flags;
    ++entry.packets;
    if (entry.tunnel.mode != ModelMode::nat) {
        if (parsed.fragmented) datagrams_[parsed.fragment] = {.carried = parsed.tuple};
        return carried(frame, parsed, entry, out);
    }
    if (parsed.fragmented)
        datagrams_[parsed.fragment] = {entry.to.saddr, entry.to.daddr, entry.reply && !entry.here};
    return {!entry.reply ? Reason::forwarded
            : entry.here ? Reason::reply_translated
                         : Reason::reply_forwarded,
            rewritten(frame, parsed, entry.to)};
}

// A client that has had a connection gets the same target again, where its group has that.
std::string Model::check_session(std::size_t proxy, const Address& client, const ModelGroup& group,
                                 const ModelTarget& chosen)
{
    if (!facts_.proxies[proxy].persistent) return "";
    const auto [session, first] = sessions_.try_emplace({proxy, client}, chosen);
    const ModelTarget had = std::exchange(session->second, chosen);
    if (first || had == chosen || std::ranges::find(group, had) == group.end()) return "";
    return "the client had another target: " + lab::endpoint_text(had.ip, had.port);
}

std::string Model::check_full_nat(const ModelTuple& to) const
{
    if (!facts_.full_nat_sources.contains(to.saddr)) return "the source is none of lb's";
    if (to.sport < facts_.full_nat_first || to.sport > facts_.full_nat_last)
        return "the port is out of range";
    return table_.contains(to.reversed()) ? "the source is taken" : "";
}

// The client's own port wherever that is possible.
std::string Model::check_nat(const ModelTuple& from, const ModelTuple& to) const
{
    ModelTuple own = to;
    own.sport = from.sport;
    if (to.saddr != from.saddr) return "the source is not the client";
    if (!table_.contains(own.reversed())) return to.sport == from.sport ? "" : "the source port has changed";
    const bool taken = to.sport < 32768 || table_.contains(to.reversed());
    return taken ? "a look-alike got a source port that is taken" : "";
}

// Some proxy of this IP version sends from an address of lb's own.
bool Model::full_nat(u8 version) const
{
    return std::ranges::any_of(facts_.listeners, [&](const ModelListener& each) {
        return family_of(each) == version && facts_.proxies[each.proxy].full_nat;
    });
}

// To a listener's port, or to one that full NAT sends from.
bool Model::may_be_ours(const Parsed& parsed) const
{
    const u16 port = parsed.tuple.dport;
    if (full_nat(parsed.version) && port >= facts_.full_nat_first && port <= facts_.full_nat_last)
        return true;
    return std::ranges::any_of(facts_.listeners, [&](const auto& each) {
        return family_of(each) == parsed.version && each.protocol == parsed.tuple.protocol &&
               each.port == port;
    });
}

Judgement Model::open(const Bytes& frame, const Parsed& parsed, const std::string& interface,
                      const Bytes& out)
{
    const ModelTuple& from = parsed.tuple;
    if (from.protocol == tcp && (parsed.flags & rst) != 0) return {Reason::stray_reset, frame};
    const ModelListener* listener = listener_of(from, interface);
    if (listener == nullptr) {
        const bool port = std::ranges::any_of(facts_.listeners, [&](const auto& each) {
            return family_of(each) == parsed.version && each.protocol == from.protocol &&
                   each.port == from.dport;
        });
        return {port ? Reason::other_address : Reason::no_listener, frame};
    }
    if (interface != "lo" && martian(from, listener->kind)) return {Reason::martian_address, frame};
    if (!lets_in(facts_.proxies[listener->proxy], from.saddr)) return {Reason::denied, frame};
    const ModelGroup& group = group_of(facts_.proxies[listener->proxy], from.saddr);
    if (group.empty()) return {Reason::no_target, frame};
    take_place(from);
    const ModelMode mode = facts_.proxies[listener->proxy].mode;
    const bool full = !has_room(from.saddr.version, mode == ModelMode::nat ? 2 : 1);
    if (full && (mode == ModelMode::nat || !facts_.proxies[listener->proxy].repeats))
        return {Reason::table_full, frame};
    if (mode != ModelMode::nat) {
        Entry entry{.tunnel = {.mode = mode, .source4 = facts_.source4, .source6 = facts_.source6},
                    .group = group};
        if (full) return translated(frame, parsed, entry, out);
        return translated(frame, parsed, table_[from] = entry, out);
    }
    if (out.size() != frame.size()) return {Reason::forwarded, frame, "the frame has another length"};

    std::string fault;
    ModelTuple to = tuple_in(out, parsed.version, parsed.ip_at, parsed.l4_at, from.protocol);
    if (std::ranges::find(group, ModelTarget{to.daddr, to.dport}) == group.end())
        fault = "its target is not of the group: " + lab::describe(out);
    else
        fault = check_session(listener->proxy, from.saddr, group, {to.daddr, to.dport});
    const bool here = facts_.proxies[listener->proxy].full_nat;
    if (const std::string wrong = here ? check_full_nat(to) : check_nat(from, to); !wrong.empty())
        fault = wrong + ": " + lab::describe(out);
    const ModelTuple reply = to.reversed();
    table_[reply] = {.to = from.reversed(), .other = from, .reply = true, .here = here};
    Judgement judged = translated(frame, parsed, table_[from] = {.to = to, .other = reply});
    judged.fault = fault;
    return judged;
}

// One that comes before the first may be the host's own, so it is let through.
Judgement Model::later_fragment(const Bytes& frame, const Parsed& parsed, bool ingress, const Bytes& out)
{
    const auto known = datagrams_.find(parsed.fragment);
    if (known == datagrams_.end() || known->second.reply == ingress)
        return {ingress ? Reason::fragment_early : Reason::egress_fragment_early, frame};
    if (known->second.carried.protocol != 0) {
        // Its row outlives the connection's entry, and says as much.
        const auto entry = table_.find(known->second.carried);
        if (entry != table_.end()) return carried(frame, parsed, entry->second, out);
    }
    return {ingress ? Reason::fragment_forwarded : Reason::egress_fragment_forwarded,
            rewritten_fragment(frame, parsed, known->second.saddr, known->second.daddr)};
}

// About a reply that left as VIP > client: found by what the client sent. The target learns of its own
// packet.
Judgement Model::error_for_target(const Bytes& frame, const Parsed& parsed, const Bytes& out)
{
    const auto quoted = parse_quoted(frame, parsed);
    if (!quoted || parsed.tuple.daddr != quoted->tuple.saddr) return {Reason::icmp_other, frame};
    const auto known = table_.find(quoted->tuple.reversed());
    if (known == table_.end() || (known->second.reply && !known->second.here))
        return {Reason::icmp_other, frame};
    Entry& entry = known->second;
    if (entry.tunnel.mode != ModelMode::nat) return carried(frame, parsed, entry, out);
    const ModelTuple inner = entry.to.reversed();
    // README, full-nat: whoever it is from, it comes from the address that the connection's packets have.
    const bool hidden = entry.to.saddr != known->first.saddr;
    return {Reason::icmp_forwarded,
            rewritten_error(frame, parsed, *quoted, hidden ? inner.daddr : parsed.tuple.saddr, inner.saddr,
                            inner)};
}

// About a request that went on as client > target: the client learns of what it sent to the VIP. Where the
// target itself complains, it does so in the VIP's name.
Judgement Model::error_for_client(const Bytes& frame, const Parsed& parsed) const
{
    const auto quoted = parse_quoted(frame, parsed);
    if (!quoted || parsed.tuple.daddr != quoted->tuple.saddr) return {Reason::egress_icmp_other, frame};
    const auto known = table_.find(quoted->tuple.reversed());
    if (known == table_.end() || !known->second.reply) return {Reason::egress_icmp_other, frame};
    const ModelTuple inner = known->second.to.reversed();
    const bool from_target = parsed.tuple.saddr == quoted->tuple.daddr;
    return {Reason::egress_icmp_forwarded,
            rewritten_error(frame, parsed, *quoted, from_target ? inner.daddr : parsed.tuple.saddr,
                            inner.saddr, inner)};
}

Judgement Model::ingress(const Bytes& frame, const std::string& interface, const Bytes& out)
{
    const Parsed parsed = parse_frame(frame, rules(true));
    if (parsed.kind == Parsed::Kind::leaves) return {parsed.reason, frame};
    if (parsed.kind == Parsed::Kind::later_fragment) return later_fragment(frame, parsed, true, out);
    if (parsed.kind == Parsed::Kind::icmp) return error_for_target(frame, parsed, out);
    if (!may_be_ours(parsed)) return {Reason::no_listener, frame};
    const auto known = table_.find(parsed.tuple);
    if (known == table_.end()) return open(frame, parsed, interface, out);
    if (known->second.here) return translated(frame, parsed, known->second, out);
    if (known->second.reply) return {Reason::reply, frame};
    const bool opens = parsed.tuple.protocol == tcp && (parsed.flags & (syn | ack)) == syn;
    if (opens && ended(known->second)) {
        table_.erase(known->second.other);
        table_.erase(parsed.tuple);
        return open(frame, parsed, interface, out);
    }
    return translated(frame, parsed, known->second, out);
}

Judgement Model::leaving(const Bytes& frame, const Parsed& parsed)
{
    if (parsed.kind == Parsed::Kind::leaves) return {parsed.reason, frame};
    if (parsed.kind == Parsed::Kind::later_fragment) return later_fragment(frame, parsed, false);
    if (parsed.kind == Parsed::Kind::icmp) return error_for_client(frame, parsed);
    const auto known = table_.find(parsed.tuple);
    if (known == table_.end() || !known->second.reply || known->second.here)
        return {Reason::egress_no_flow, frame};
    return translated(frame, parsed, known->second);
}

Judgement Model::egress(const Bytes& frame)
{
    const Parsed parsed = parse_frame(frame, rules(false));
    const Judgement judged = leaving(frame, parsed);
    const bool changed = judged.reason == Reason::reply_forwarded ||
                         judged.reason == Reason::egress_fragment_forwarded ||
                         judged.reason == Reason::egress_icmp_forwarded;
    // Nothing of 127/8 gets onto the wire.
    if (!changed && facts_.loopback_targets && parsed.version == 4 && is_loopback(parsed.tuple.saddr))
        return {Reason::egress_loopback, frame};
    return judged;
}

} // namespace lb::test
