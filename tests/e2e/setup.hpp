// What the end-to-end tests share: the lab's topology with backends and a running lb, and the text of
// configurations. Every test has its own network and its own daemon; nothing is left when it ends.
#pragma once

#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

#include "lab/client.hpp"
#include "lab/daemon.hpp"
#include "lab/tap.hpp"
#include "lab/topology.hpp"
#include "model/reason.hpp"

namespace lb::e2e {

using namespace lb::lab;
using namespace std::chrono_literals;

inline constexpr const char* vip_web = "203.0.113.80:80";
inline constexpr const char* own_web = "192.0.2.1:80";
inline constexpr u64 megabyte = 1 << 20;

inline constexpr const char* three_targets = R"([
    {"ip": "10.0.0.11", "port": 8080, "weight": 50},
    {"ip": "10.0.0.12", "port": 8080, "weight": 30},
    {"ip": "10.0.3.13", "port": 8080, "weight": 20}])";

/// A proxy as the file has it. `listen`: members besides the port, such as `"address": "any"`.
struct ProxyText {
    std::string name = "web";
    std::string interfaces = R"(["eth0", "eth1"])";
    int port = 80;
    std::string listen = R"("address": "203.0.113.80")";
    std::string target = three_targets;
    std::string more = ""; ///< further members: `"source-routes": [...]`
};
std::string proxy(const ProxyText& text);
inline std::string target(const std::string& ip, int port = 8080)
{
    return "{\"ip\": \"" + ip + "\", \"port\": " + std::to_string(port) + "}";
}
/// The file. `settings`: further members of "settings".
std::string config(const std::vector<std::string>& proxies, const std::string& settings = "",
                   const std::string& instance = instance_name());

/// The topology with servers b1, b2, b3 on port 8080, and lb with this configuration, running.
struct Balanced {
    Topology net;
    std::vector<std::unique_ptr<Server>> servers = start_backends(net);
    Daemon lb;
    explicit Balanced(const std::string& text);
    Balanced() : Balanced(config({proxy({})})) {}

    Call from_c1(const std::string& to, const std::string& from = "") const
    {
        return {.to = to, .netns = net.c1.fd(), .from = from};
    }
    Call from_c2(const std::string& to) const { return {.to = to, .netns = net.c2.fd()}; }
};

/// Checks that nothing failed, and that the targets have what these weights give them, as far as chance goes.
/// `connections`: how many choices there were; 0: as many as answers.
void check_shares(const Tally& tally, const std::map<std::string, double>& weights, u64 connections = 0);
/// As the targets of three_targets should have it.
inline const std::map<std::string, double> three_shares = {{"b1", 50}, {"b2", 30}, {"b3", 20}};

/// Who answers a call, or `failed: WHY`.
std::string who(Call call, Milliseconds timeout = 2s);
/// Waits until lb has logged it.
bool wait_for_log(const Daemon& lb, const std::string& text, Milliseconds limit = 7s);
/// How often a reason was counted, on all CPUs.
u64 counted(const Namespace& where, model::Reason reason);
/// Calls until the answer is `wanted`; the last answer.
std::string who_until(const Call& call, const std::string& wanted, Milliseconds limit = 5s);
/// Calls until the answer is another than this; the last answer.
std::string who_until_not(const Call& call, const std::string& unwanted, Milliseconds limit = 5s);

} // namespace lb::e2e
