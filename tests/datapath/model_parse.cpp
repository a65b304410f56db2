#include "model_parse.hpp"

#include <algorithm>

namespace lb::test {
namespace {

using model::Reason;

constexpr u8 tcp = 6, udp = 17, icmp = 1, icmp6 = 58;
constexpr std::size_t extension_bytes_max = 2048;
constexpr u8 hop_by_hop = 0, routing = 43, fragment = 44, destination = 60;
constexpr std::size_t extensions_max = 6, tags_max = 2;

Reason reason_of(bool ingress, Reason in, Reason out) { return ingress ? in : out; }

// A packet on its way through the reader: each step returns the reason to stop, or nothing.
class Reader {
public:
    Reader(const Bytes& frame, const ParseRules& rules) : frame_(frame), rules_(rules) {}
    Parsed read()
    {
        auto stopped = ethernet();
        if (!stopped) stopped = out_.version == 4 ? ipv4() : ipv6();
        if (!stopped) stopped = transport();
        if (stopped) {
            out_.kind = Parsed::Kind::leaves;
            out_.reason = *stopped;
        }
        return out_;
    }

private:
    using Stop = std::optional<Reason>;
    Stop leave(Reason in, Reason out) const { return reason_of(rules_.ingress, in, out); }
    Stop truncated() const { return leave(Reason::truncated, Reason::egress_truncated); }
    Stop bad_header() const { return leave(Reason::bad_header, Reason::egress_bad_header); }
    bool room(std::size_t at, std::size_t size) const { return frame_.size() >= at + size; }

    Stop ethernet();
    Stop ipv4();
    Stop ipv6();
    Stop extension(u8& next, bool& later);
    Stop transport();

    const Bytes& frame_;
    const ParseRules& rules_;
    Parsed out_ = {};
};

// Room for an IPv4 header is asked for before anything else, and again behind each tag.
Reader::Stop Reader::ethernet()
{
    for (std::size_t tags = 0;; ++tags) {
        const std::size_t type_at = 12 + 4 * tags;
        if (!room(type_at + 2, 20)) return truncated();
        const u32 type = number(frame_, type_at, 2);
        out_.ip_at = type_at + 2;
        if (type == 0x0800) out_.version = 4;
        if (type == 0x86dd) out_.version = 6;
        if (out_.version != 0) break;
        if (type != 0x8100 && type != 0x88a8) return leave(Reason::not_ip, Reason::egress_not_ip);
        if (tags == tags_max) return leave(Reason::too_many_tags, Reason::egress_too_many_tags);
    }
    if (!rules_.families.contains(out_.version)) return leave(Reason::no_family, Reason::egress_no_family);
    return std::nullopt;
}

Reader::Stop Reader::ipv4()
{
    const std::size_t at = out_.ip_at;
    out_.tuple = tuple_in(frame_, 4, at, 0, frame_[at + 9]);
    if (rules_.ingress && rules_.loopback_targets && is_loopback(out_.tuple.daddr))
        return Reason::martian_loopback;
    if (frame_[at] >> 4 != 4 || (frame_[at] & 15) < 5) return bad_header();
    out_.l4_at = at + (frame_[at] & 15U) * std::size_t{4};
    out_.end = at + number(frame_, at + 2, 2);
    // RFC 791: more fragments follow, or this one is not the first.
    const u32 word = number(frame_, at + 6, 2);
    out_.fragmented = (word & 0x3fff) != 0;
    out_.fragment = {out_.tuple.saddr, out_.tuple.daddr, number(frame_, at + 4, 2), out_.tuple.protocol};
    if ((word & 0x1fff) != 0) out_.kind = Parsed::Kind::later_fragment;
    return std::nullopt;
}

// RFC 8200, 4. One header whose end `out_.l4_at` moves to.
Reader::Stop Reader::extension(u8& next, bool& later)
{
    const std::size_t at = out_.l4_at;
    if (!room(at, 8)) return truncated();
    const u8 type = next;
    next = frame_[at];
    if (type == fragment) {
        if (frame_[at + 1] != 0) return leave(Reason::extension_header, Reason::egress_extension_header);
        const u32 word = number(frame_, at + 2, 2);
        // RFC 6946: without an offset and without more to follow, it is whole.
        out_.fragmented = (word & 0xfff9) != 0;
        later = (word & 0xfff8) != 0;
        out_.fragment = {out_.tuple.saddr, out_.tuple.daddr, number(frame_, at + 4, 4), 0};
        out_.l4_at += 8;
        return std::nullopt;
    }
    if (type == routing && frame_[at + 3] != 0)
        return leave(Reason::extension_header, Reason::egress_extension_header);
    out_.l4_at += (frame_[at + 1] + std::size_t{1}) * 8;
    return std::nullopt;
}

Reader::Stop Reader::ipv6()
{
    const std::size_t at = out_.ip_at;
    if (!room(at, 40)) return truncated();
    if (frame_[at] >> 4 != 6) return bad_header();
    out_.tuple = tuple_in(frame_, 6, at, 0, 0);
    out_.l4_at = at + 40;
    out_.end = out_.l4_at + number(frame_, at + 4, 2);
    u8 next = frame_[at + 6];
    bool later = false;
    const auto known = [](u8 type) {
        return type == hop_by_hop || type == routing || type == fragment || type == destination;
    };
    for (std::size_t count = 0; !later && known(next); ++count) {
        if (count == extensions_max) return leave(Reason::extension_header, Reason::egress_extension_header);
        if (const auto stopped = extension(next, later)) return stopped;
    }
    if (later) out_.kind = Parsed::Kind::later_fragment;
    out_.tuple.protocol = next;
    return std::nullopt;
}

Reader::Stop Reader::transport()
{
    const u8 protocol = out_.tuple.protocol;
    const bool later = out_.kind == Parsed::Kind::later_fragment;
    const std::size_t header = later ? 0 : protocol == tcp ? 20 : 8;
    // A header that is longer than usual is held against the length before what is behind it is looked at.
    const std::size_t usual = out_.ip_at + (out_.version == 4 ? 20U : 40U);
    // Behind extension headers that is done once it is known to be of interest.
    const bool ours = protocol == tcp || protocol == udp;
    const bool control = protocol == (out_.version == 4 ? icmp : icmp6);
    const bool judged = out_.version == 4 || later || ours || control;
    if (out_.version == 6 && (ours || control) && !later && out_.l4_at > usual + extension_bytes_max)
        return leave(Reason::extension_header, Reason::egress_extension_header);
    if (judged && out_.l4_at > usual && out_.end < out_.l4_at + header) return bad_header();
    if (!later && !ours && !control) return leave(Reason::other_protocol, Reason::egress_other_protocol);
    if (!later && ours && !rules_.protocols.contains({out_.version, protocol}))
        return leave(Reason::no_listener, Reason::egress_no_flow);
    if (!room(out_.l4_at, header)) return truncated();
    if (out_.end < out_.l4_at + header) return bad_header();
    if (rules_.ingress && out_.end > frame_.size()) return truncated();
    if (later) return std::nullopt;
    out_.kind = control ? Parsed::Kind::icmp : Parsed::Kind::transport;
    if (ours) out_.tuple = tuple_in(frame_, out_.version, out_.ip_at, out_.l4_at, protocol);
    if (protocol == tcp) out_.flags = frame_[out_.l4_at + 13];
    return std::nullopt;
}

// RFC 792; RFC 4443, 3. What others say is no error, or not about a packet of ours.
bool is_translated_error(u8 version, u8 type)
{
    if (version == 4) return type == 3 || type == 11 || type == 12;
    return type >= 1 && type <= 4;
}

// Quoted packets with IPv4 options or IPv6 extension headers are not followed; false where there is no L4.
bool find_quoted_l4(const Bytes& frame, u8 version, std::size_t end, Quoted& quoted, u8& protocol)
{
    const std::size_t at = quoted.ip_at;
    if (version == 4) {
        quoted.l4_at = at + 20;
        if (end < quoted.l4_at || frame[at] != 0x45) return false;
        protocol = frame[at + 9];
        return (number(frame, at + 6, 2) & 0x1fff) == 0;
    }
    quoted.l4_at = at + 40;
    if (end < quoted.l4_at || frame[at] >> 4 != 6) return false;
    protocol = frame[at + 6];
    return true;
}

} // namespace

u32 number(const Bytes& bytes, std::size_t at, std::size_t size)
{
    u32 value = 0;
    for (std::size_t i = 0; i < size; ++i) value = value << 8 | bytes[at + i];
    return value;
}

bool is_loopback(const Address& address) { return !address.six() && address.octets[0] == 127; }

ModelTuple tuple_in(const Bytes& frame, u8 version, std::size_t ip_at, std::size_t l4_at, u8 protocol)
{
    const std::size_t size = version == 4 ? 4 : 16, at = ip_at + (version == 4 ? 12 : 8);
    const std::span bytes(frame);
    ModelTuple tuple{.saddr = Address(bytes.subspan(at, size)),
                     .daddr = Address(bytes.subspan(at + size, size))};
    tuple.protocol = protocol;
    if (l4_at == 0) return tuple;
    tuple.sport = static_cast<u16>(number(frame, l4_at, 2));
    tuple.dport = static_cast<u16>(number(frame, l4_at + 2, 2));
    return tuple;
}

void put_addresses(Bytes& frame, u8 version, std::size_t ip_at, const Address& saddr, const Address& daddr)
{
    const std::size_t size = version == 4 ? 4 : 16, at = ip_at + (version == 4 ? 12 : 8);
    std::copy_n(saddr.octets.begin(), size, frame.begin() + static_cast<std::ptrdiff_t>(at));
    std::copy_n(daddr.octets.begin(), size, frame.begin() + static_cast<std::ptrdiff_t>(at + size));
}

void put_ports(Bytes& frame, std::size_t l4_at, u16 sport, u16 dport)
{
    frame[l4_at] = static_cast<u8>(sport >> 8);
    frame[l4_at + 1] = static_cast<u8>(sport);
    frame[l4_at + 2] = static_cast<u8>(dport >> 8);
    frame[l4_at + 3] = static_cast<u8>(dport);
}

Parsed parse_frame(const Bytes& frame, const ParseRules& rules) { return Reader(frame, rules).read(); }

std::optional<Quoted> parse_quoted(const Bytes& frame, const Parsed& outer)
{
    if (outer.fragmented || !is_translated_error(outer.version, frame[outer.l4_at])) return std::nullopt;
    Quoted quoted{.ip_at = outer.l4_at + 8};
    const std::size_t end = std::min(outer.end, frame.size());
    u8 protocol = 0;
    if (!find_quoted_l4(frame, outer.version, end, quoted, protocol)) return std::nullopt;
    if ((protocol != tcp && protocol != udp) || end < quoted.l4_at + 8) return std::nullopt;
    quoted.tuple = tuple_in(frame, outer.version, quoted.ip_at, quoted.l4_at, protocol);
    return quoted;
}

} // namespace lb::test
