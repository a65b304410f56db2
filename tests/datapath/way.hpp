// A namespace with routes, neighbours and devices, in which XDP knows the way; what a frame does there.
//
//   client 192.0.2.7, 2001:db8:1::7 --- eth0 192.0.2.254, 2001:db8:1::fe
//   target 10.0.0.1, 2001:db8:a::1 ---- eth1 10.0.0.254, 2001:db8:a::fe; 10.9.0.0/16 by 10.0.0.1
#pragma once

#include <algorithm>

#include "bench.hpp"
#include "lab/netns.hpp"

namespace lb::test {

using model::Reason;

inline constexpr lab::Mac target_mac = {0x02, 0xaa, 0, 0, 0, 0x01};
inline constexpr const char* target_mac_text = "02:aa:00:00:00:01";
inline constexpr lab::Mac client_mac = {0x02, 0xbb, 0, 0, 0, 0x07};
inline constexpr const char* client_mac_text = "02:bb:00:00:00:07";

struct Net {
    lab::Namespace balancer{"way"}, client{"wayc"}, target{"wayt"};
    Net()
    {
        lab::connect({balancer, "eth0", "192.0.2.254/24", "2001:db8:1::fe/64"},
                     {client, "eth0", "192.0.2.7/24", "2001:db8:1::7/64"});
        lab::connect({balancer, "eth1", "10.0.0.254/24", "2001:db8:a::fe/64"},
                     {target, "eth0", "10.0.0.1/24", "2001:db8:a::1/64"});
        balancer.set_sysctl("ipv4/ip_forward", "1");
        balancer.set_sysctl("ipv6/conf/all/forwarding", "1");
        know_target();
        balancer.ip("route add 10.9.0.0/16 via 10.0.0.1");
    }
    void know_target() const
    {
        for (const char* each : {"10.0.0.1", "2001:db8:a::1"})
            balancer.ip(std::string("neigh replace ") + each + " lladdr " + target_mac_text +
                        " dev eth1 nud permanent");
    }
    void know_client() const
    {
        for (const char* each : {"192.0.2.7", "2001:db8:1::7"})
            balancer.ip(std::string("neigh replace ") + each + " lladdr " + client_mac_text +
                        " dev eth0 nud permanent");
    }
    void forget_client() const
    {
        for (const char* each : {"192.0.2.7", "2001:db8:1::7"})
            balancer.ip(std::string("neigh del ") + each + " dev eth0");
    }
    void forget_target() const
    {
        for (const char* each : {"10.0.0.1", "2001:db8:a::1"})
            balancer.ip(std::string("neigh del ") + each + " dev eth1");
    }
};

inline u32 index_of(const std::string& name) { return must(kernel::interface_by_name(name)).index; }

inline lab::Mac mac_of(const Net& net, const std::string& name)
{
    const std::string link = net.balancer.exec("ip -o link show dev " + name);
    const std::string text = link.substr(link.find("link/ether ") + 11, 17);
    lab::Mac mac{};
    for (std::size_t i = 0; i < mac.size(); ++i)
        mac[i] = static_cast<u8>(std::stoul(text.substr(3 * i, 2), nullptr, 16));
    return mac;
}

// Without what the interface's own neighbours say meanwhile: the program is really on it.
inline std::map<Reason, u64> counts(const Bench& bench)
{
    auto counted = bench.exits();
    for (const Reason each :
         {Reason::not_ip, Reason::not_unicast, Reason::icmp_other, Reason::other_protocol})
        counted.erase(each);
    return counted;
}

// One frame: exactly this reason is counted. `run` is the program that it meets.
inline Bytes pass(const Bench& bench, const Bytes& frame, Reason reason,
                  Passage (Bench::*run)(const Bytes&) const = &Bench::in)
{
    auto expected = counts(bench);
    ++expected[reason];
    const Passage passage = (bench.*run)(frame);
    const auto now = counts(bench);
    for (const auto& [each, count] : now) UNSCOPED_INFO(model::info(each).name << " " << count);
    CHECK(now == expected);
    const auto outcome = model::info(reason).outcome;
    CHECK(passage.verdict == (outcome == model::Outcome::drop       ? xdp_drop
                              : outcome == model::Outcome::tx       ? xdp_tx
                              : outcome == model::Outcome::redirect ? xdp_redirect
                                                                    : xdp_pass));
    return passage.frame;
}

inline Bytes with_macs(Bytes frame, const lab::Mac& destination, const lab::Mac& source)
{
    std::ranges::copy(destination, frame.begin());
    std::ranges::copy(source, frame.begin() + 6);
    return frame;
}

inline const std::vector<BenchOptions> kernels = {
    {.real_interface = "eth0"}, {.kernel = *KernelFeatures::from_version("6.18"), .real_interface = "eth0"}};

inline Bytes one_hop_less(const Bytes& frame)
{
    Packet packet = *lab::parse(frame);
    --packet.ttl;
    return build(packet);
}

inline void allow(const Bench& bench, const std::string& name)
{
    must(bench.map("devices").update(index_of(name), index_of(name)));
}

inline void forbid(const Bench& bench, const std::string& name)
{
    must(bench.map("devices").remove(index_of(name)));
}

} // namespace lb::test
