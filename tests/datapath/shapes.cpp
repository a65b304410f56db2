#include "shapes.hpp"

namespace lb::test {

namespace {

Packet between(const FrameShape& shape, const Address& from, const Address& to, u16 sport, u16 dport,
               std::size_t payload)
{
    Packet packet{.vlans = shape.tags, .saddr = from, .daddr = to, .options = shape.options};
    packet.extensions = shape.extensions;
    packet.payload = lab::pattern(payload);
    packet.flow_label = 0x12345;
    if (shape.protocol == 6)
        packet.l4 = lab::Tcp{.sport = sport, .dport = dport, .flags = lab::Tcp::ack_flag};
    else
        packet.l4 = lab::Udp{.sport = sport, .dport = dport};
    return packet;
}

} // namespace

std::vector<FrameShape> every_shape()
{
    std::vector<FrameShape> out;
    const std::vector<std::vector<lab::Extension>> extensions = {
        {},
        {lab::hop_by_hop()},
        {lab::destination_options(264)},
        {lab::hop_by_hop(16), lab::routing(0), lab::destination_options()},
        {lab::fragment_header(0, false, 77)}, // RFC 6946: whole
        {lab::hop_by_hop(), lab::destination_options(24), lab::routing(0, 4, 2), lab::destination_options(),
         lab::destination_options(), lab::destination_options(40)}};
    for (const u8 protocol : {u8{6}, u8{17}})
        for (const auto& tags : {std::vector<u16>{}, {100}, {200, 100}}) {
            const std::string name =
                (protocol == 6 ? "TCP, tags " : "UDP, tags ") + std::to_string(tags.size());
            for (const std::size_t size : {0UL, 4UL, 20UL, 40UL})
                out.push_back({.name = name + ", options " + std::to_string(size),
                               .protocol = protocol,
                               .tags = tags,
                               .options = Bytes(size, 1)}); // RFC 791: no operation
            for (const auto& list : extensions)
                out.push_back({.name = name + ", extension headers " + std::to_string(list.size()),
                               .six = true,
                               .protocol = protocol,
                               .tags = tags,
                               .extensions = list});
        }
    return out;
}

Address shape_client(const FrameShape& shape)
{
    return lab::any_ip(shape.six ? "2001:db8:c::7" : "198.51.100.7");
}
Address shape_vip(const FrameShape& shape) { return lab::any_ip(shape.six ? "2001:db8::80" : "192.0.2.1"); }
Address shape_target(const FrameShape& shape)
{
    return lab::any_ip(shape.six ? "2001:db8:a::1" : "10.0.0.1");
}

Packet shape_request(const FrameShape& shape, std::size_t payload, u16 port)
{
    return between(shape, shape_client(shape), shape_vip(shape), port, 80, payload);
}

Packet shape_reply(const FrameShape& shape, std::size_t payload, u16 port)
{
    return between(shape, shape_target(shape), shape_client(shape), 8080, port, payload);
}

Judge judge_of_both_families()
{
    ModelFacts facts;
    for (const u8 protocol : {u8{6}, u8{17}}) {
        facts.listeners.push_back({.proxy = 0, .protocol = protocol, .address = lab::any_ip("192.0.2.1")});
        facts.listeners.push_back({.proxy = 1, .protocol = protocol, .address = lab::any_ip("2001:db8::80")});
    }
    facts.proxies = {{.group = {{lab::any_ip("10.0.0.1"), 8080}}},
                     {.group = {{lab::any_ip("2001:db8:a::1"), 8080}}}};
    return Judge(config_text({{.name = "four"},
                              {.name = "six",
                               .listen = R"("address": "2001:db8::80")",
                               .target = R"({"ip": "2001:db8:a::1", "port": 8080})"}}),
                 facts);
}

} // namespace lb::test
