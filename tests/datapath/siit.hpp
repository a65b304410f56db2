// Connections between IPv4 and IPv6 on a bench, and what their packets ought to look like on the other side.
#pragma once

#include "bench.hpp"
#include "judge.hpp"

namespace lb::test {

/// A proxy for clients of each version with a target of the other, on port 80, TCP and UDP.
inline std::string across_config(const std::string& settings = "")
{
    const std::string more = R"("forwarding": {"mode": "full-nat"})";
    return config_text({{.name = "to6",
                         .listen = R"("address": "192.0.2.1", "protocol": "both")",
                         .target = R"({"ip": "2001:db8:a::1", "port": 8080})",
                         .more = more},
                        {.name = "to4",
                         .listen = R"("address": "2001:db8::80", "protocol": "both")",
                         .target = R"({"ip": "10.0.0.1", "port": 8080})",
                         .more = more}},
                       R"("full-nat": {"addresses": ["10.0.0.254", "2001:db8:a::fe"]})" +
                           (settings.empty() ? "" : ", " + settings));
}

/// The ports of TCP or UDP, to be read and written.
inline std::pair<u16*, u16*> ports_of(lab::L4& l4)
{
    if (auto* tcp = std::get_if<lab::Tcp>(&l4)) return {&tcp->sport, &tcp->dport};
    auto& udp = std::get<lab::Udp>(l4);
    return {&udp.sport, &udp.dport};
}

/// One connection, from its first packet on.
struct Across {
    bool six = false; ///< the client's side
    u8 protocol = 6;
    Address client = {}, vip = {}, source = {}, target = {};
    u16 client_port = 4000, source_port = 0;

    Across(const Bench& bench, bool from_six, u8 of, u16 port = 4000)
        : six(from_six),
          protocol(of),
          client(lab::any_ip(six ? "2001:db8:7::7" : "198.51.100.7")),
          vip(lab::any_ip(six ? "2001:db8::80" : "192.0.2.1")),
          source(lab::any_ip(six ? "10.0.0.254" : "2001:db8:a::fe")),
          target(lab::any_ip(six ? "10.0.0.1" : "2001:db8:a::1")),
          client_port(port)
    {
        auto seen = lab::parse(bench.in(lab::build(request())).frame);
        REQUIRE(seen);
        CHECK(seen->saddr == source);
        CHECK(seen->daddr == target);
        source_port = *ports_of(seen->l4).first;
        CHECK(source_port >= 10000);
        CHECK(source_port <= 29999);
    }

    Packet request() const { return packet(client, vip, client_port, 80); }
    Packet reply() const { return packet(target, source, 8080, source_port); }
    Packet packet(const Address& from, const Address& to, u16 sport, u16 dport) const
    {
        Packet packet{.saddr = from, .daddr = to, .payload = lab::pattern(16)};
        if (protocol == 17) packet.l4 = lab::Udp{};
        *ports_of(packet.l4).first = sport;
        *ports_of(packet.l4).second = dport;
        return packet;
    }

    /// What a whole packet is to be on the other side. `out`: where the identification is free, it is read
    /// off there.
    Packet expected(Packet packet, bool reply, const Bytes& out) const
    {
        const bool to_six = !packet.saddr.six();
        packet.saddr = reply ? vip : source;
        packet.daddr = reply ? client : target;
        *ports_of(packet.l4).first = reply ? 80 : source_port;
        *ports_of(packet.l4).second = reply ? client_port : 8080;
        packet.options.clear();
        packet.extensions.clear();
        packet.flow_label = 0;
        packet.id = 0;
        packet.fragment = 0;
        if (to_six) {
            packet.id = Packet{}.id;
            packet.fragment = Packet{}.fragment;
            return packet;
        }
        const std::size_t size = lab::quote(lab::build(packet)).size();
        packet.fragment = size > 1260 ? 0x4000 : 0;
        if (size <= 1260)
            if (const auto seen = lab::parse(out)) packet.id = seen->id;
        return packet;
    }
};

} // namespace lb::test
