// Frames in words.
#include "lab/headers.hpp"
#include "lab/packet.hpp"

namespace lb::lab {
namespace {

std::string flags_text(u8 flags)
{
    std::string out;
    for (int bit = 0; bit < 6; ++bit)
        if ((flags >> bit & 1) != 0) out += "FSRP.U"[bit];
    return out;
}

Address address_at(std::span<const u8> bytes, const Shape& shape, bool destination)
{
    const std::size_t at = shape.version == 4 ? 12 : 8, size = shape.version == 4 ? 4 : 16;
    return Address(bytes.subspan(shape.ip_at + at + (destination ? size : 0), size));
}

// What an ICMP error quotes, of which often no more than two ports is there.
std::string quoted_text(std::span<const u8> frame)
{
    const auto at = quoted_at(frame);
    if (!at) return "";
    const auto error = frame.first(shape_of(frame)->end);
    const auto shape = shape_of_ip(error, *at);
    if (!shape) return " quoting no IP header";
    std::string from = ip_text(address_at(error, *shape, false));
    std::string to = ip_text(address_at(error, *shape, true));
    if (shape->first_fragment && error.size() >= shape->l4_at + 4 &&
        (shape->protocol == proto_tcp || shape->protocol == proto_udp)) {
        from = endpoint_text(address_at(error, *shape, false), get16(error, shape->l4_at));
        to = endpoint_text(address_at(error, *shape, true), get16(error, shape->l4_at + 2));
    }
    return " quoting " + from + " > " + to + " protocol " + std::to_string(shape->protocol);
}

} // namespace

std::string describe(std::span<const u8> frame)
{
    const auto p = parse(frame);
    if (!p) return "not a whole IP frame, " + std::to_string(frame.size()) + " bytes";
    const auto shape = shape_of(frame);
    std::string from = ip_text(p->saddr), to = ip_text(p->daddr), kind;
    const auto ports = [&](u16 source, u16 destination) {
        from = endpoint_text(p->saddr, source);
        to = endpoint_text(p->daddr, destination);
    };
    if (const auto* t = std::get_if<Tcp>(&p->l4)) {
        ports(t->sport, t->dport);
        kind = "tcp " + flags_text(t->flags);
    } else if (const auto* u = std::get_if<Udp>(&p->l4)) {
        ports(u->sport, u->dport);
        kind = "udp";
    } else if (const auto* i = std::get_if<Icmp>(&p->l4)) {
        kind = "icmp " + std::to_string(i->type) + '/' + std::to_string(i->code) + quoted_text(frame);
    } else {
        kind = "protocol " + std::to_string(shape->protocol);
    }
    for (const u16 tag : p->vlans) kind += " vlan " + std::to_string(tag);
    for (const auto& extension : p->extensions) kind += " ext " + std::to_string(extension.type);
    if (!p->options.empty()) kind += " options";
    if (shape->fragmented) kind += shape->first_fragment ? " first fragment" : " later fragment";
    return from + " > " + to + ' ' + kind + " len " + std::to_string(p->payload.size());
}

} // namespace lb::lab
