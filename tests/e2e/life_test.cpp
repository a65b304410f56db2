// Start, end and sudden death: what goes on, what survives, what is put back.
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>

#include "setup.hpp"

using namespace lb::e2e;

namespace {

constexpr int exit_host_not_ready = 5;

// What the host looks like where lb leaves its marks.
struct Marks {
    std::string ip_forward, localnet, links, programs;
    bool pins = false, state = false;
    friend bool operator==(const Marks&, const Marks&) = default;
};

Marks marks_of(const Namespace& host)
{
    Marks marks;
    marks.ip_forward = host.sysctl("ipv4/ip_forward");
    marks.localnet = host.sysctl("ipv4/conf/eth0/route_localnet");
    for (const char* interface : {"eth0", "eth1"})
        if (host.exec(std::string("ip -d link show dev ") + interface).find("xdp") != std::string::npos)
            marks.links += std::string(interface) + " has XDP; ";
    // bpftool lists XDP, TC filters and TCX links of the namespace; its headings stay when there are none.
    marks.programs = host.exec("bpftool net show");
    marks.pins = std::filesystem::exists(pin_folder(instance_name()));
    // The lock file beside it stays: removing it would let two daemons hold two locks of one name.
    marks.state = std::filesystem::exists("/run/lb/" + instance_name() + "/state.json");
    return marks;
}

std::ostream& operator<<(std::ostream& out, const Marks& marks)
{
    return out << "ip_forward " << marks.ip_forward << ", route_localnet " << marks.localnet << ", "
               << marks.links << (marks.pins ? "pins, " : "") << (marks.state ? "state, " : "")
               << marks.programs;
}

// An XDP program of somebody else: `return XDP_PASS`.
Fd foreign_xdp_program()
{
    const bpf_insn code[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, XDP_PASS},
                             {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
    bpf_attr attr;
    std::memset(&attr, 0, sizeof(attr));
    attr.prog_type = BPF_PROG_TYPE_XDP;
    attr.insns = reinterpret_cast<std::uintptr_t>(code);
    attr.insn_cnt = 2;
    static const char license[] = "GPL";
    attr.license = reinterpret_cast<std::uintptr_t>(license);
    std::strncpy(attr.prog_name, "foreign", sizeof(attr.prog_name) - 1);
    Fd fd(static_cast<int>(::syscall(__NR_bpf, BPF_PROG_LOAD, &attr, sizeof(attr))));
    if (!fd.valid()) throw LabError("cannot load an XDP program: " + std::string(std::strerror(errno)));
    return fd;
}

u32 program_id(const Fd& program)
{
    bpf_prog_info info;
    std::memset(&info, 0, sizeof(info));
    bpf_attr attr;
    std::memset(&attr, 0, sizeof(attr));
    attr.info.bpf_fd = static_cast<u32>(program.get());
    attr.info.info_len = sizeof(info);
    attr.info.info = reinterpret_cast<std::uintptr_t>(&info);
    if (::syscall(__NR_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr)) != 0)
        throw LabError("no program info");
    return info.id;
}

} // namespace

TEST_CASE("traffic goes on after kill -9, and a new start takes over without breaking a connection", "[e2e]")
{
    Balanced lab;
    BusyConnections busy(lab.from_c1(vip_web), 20);
    std::this_thread::sleep_for(300ms);
    lab.lb.kill();
    const u64 at_kill = busy.asked();
    const Tally without = run_short({.call = lab.from_c1(vip_web), .count = 500, .cpus = {client_cpu}});
    INFO("without the daemon: " << without.text());
    CHECK(without.answered() == 500);
    CHECK(without.failed() == 0);
    CHECK(busy.asked() > at_kill + 20);

    lab.lb.start();
    const u64 at_start = busy.asked();
    std::this_thread::sleep_for(500ms);
    CHECK(busy.asked() > at_start + 20);
    const Tally again = run_short({.call = lab.from_c1(vip_web), .count = 500, .cpus = {client_cpu}});
    INFO("started again: " << again.text());
    CHECK(again.answered() == 500);
    CHECK(again.failed() == 0);
    const auto report = busy.stop();
    INFO(report.first_error);
    CHECK(report.broken == 0);
    CHECK(report.moved == 0);
}

TEST_CASE("a transfer that runs meanwhile survives kill -9 and the next start", "[e2e]")
{
    Balanced lab;
    Transfer down;
    std::jthread client([&] { down = download(lab.from_c1(vip_web), 400 * megabyte); });
    std::this_thread::sleep_for(150ms);
    lab.lb.kill();
    lab.lb.start();
    client.join();
    INFO(down.error);
    CHECK(down.ok);
}

TEST_CASE("SIGTERM and SIGINT put everything back as it was", "[e2e]")
{
    Topology net;
    const auto servers = start_backends(net);
    net.balancer.set_sysctl("ipv4/ip_forward", "0");
    // A target on 127.0.0.1 too, so that route_localnet is set as well.
    Daemon lb(net.balancer,
              config({proxy({}), proxy({.name = "local", .port = 81, .target = target("127.0.0.1", 9000)})}),
              instance_name());
    const Marks before = marks_of(net.balancer);
    const Call call{.to = vip_web, .netns = net.c1.fd()};
    for (const int number : {SIGTERM, SIGINT}) {
        lb.start();
        const Marks during = marks_of(net.balancer);
        CHECK(during.ip_forward == "1");
        CHECK(during.localnet == "1");
        CHECK(during.links == "eth0 has XDP; eth1 has XDP; ");
        CHECK(during.pins);
        CHECK(during.state);
        CHECK(who(call).front() == 'b');
        CHECK(lb.stop(number) == 0);
        INFO(lb.log());
        CHECK(marks_of(net.balancer) == before);
        CHECK(who(call, 300ms).rfind("failed", 0) == 0);
    }
}

TEST_CASE("lb detach takes off what a killed run left", "[e2e]")
{
    Topology net;
    net.balancer.set_sysctl("ipv4/ip_forward", "0");
    Daemon lb(net.balancer, config({proxy({})}), instance_name());
    const Marks before = marks_of(net.balancer);
    lb.start();
    lb.kill();
    CHECK(marks_of(net.balancer).pins);
    const Output output = lb.detach();
    INFO(output.text);
    CHECK(output.status == 0);
    CHECK(marks_of(net.balancer) == before);
}

TEST_CASE("after SIGTERM with on-exit keep traffic goes on until lb detach", "[e2e]")
{
    Balanced lab(config({proxy({})}, R"("on-exit": "keep")"));
    Connection connection(lab.from_c1(vip_web));
    REQUIRE(connection.ask().has_value());
    CHECK(lab.lb.stop() == 0);
    CHECK(connection.ask().has_value());
    CHECK(who(lab.from_c1(vip_web)).front() == 'b');
    CHECK(lab.lb.detach().status == 0);
    CHECK(who(lab.from_c1(vip_web), 300ms).rfind("failed", 0) == 0);
}

TEST_CASE("a second daemon of the same instance is refused and the first goes on", "[e2e]")
{
    Balanced lab;
    const Output second = lab.lb.run_again();
    INFO(second.text);
    CHECK(second.status == 1);
    CHECK(second.text.find(instance_name()) != std::string::npos);
    CHECK(lab.lb.running());
    CHECK(who(lab.from_c1(vip_web)).front() == 'b');
}

TEST_CASE("the end of one instance leaves another alone", "[e2e]")
{
    Topology net;
    const auto servers = start_backends(net);
    net.balancer.set_sysctl("ipv4/ip_forward", "0");
    const std::string other = instance_name("two");
    Daemon first(net.balancer, config({proxy({.interfaces = R"(["eth0"])"})}), instance_name());
    Daemon second(net.balancer, config({proxy({.interfaces = R"(["eth1"])"})}, "", other), other);
    const Call from_c1{.to = vip_web, .netns = net.c1.fd()}, from_c2{.to = vip_web, .netns = net.c2.fd()};
    first.start();
    second.start();
    CHECK(who(from_c1).front() == 'b');
    CHECK(who(from_c2).front() == 'b');
    // The first may have mounted bpffs and set ip_forward, which the second needs as well.
    CHECK(first.stop() == 0);
    CHECK(who(from_c1, 300ms).rfind("failed", 0) == 0);
    CHECK(who(from_c2).front() == 'b');
    CHECK(net.balancer.sysctl("ipv4/ip_forward") == "1");
    // The last one puts it back.
    CHECK(second.stop() == 0);
    CHECK(net.balancer.sysctl("ipv4/ip_forward") == "0");
}

TEST_CASE("an interface with somebody else's XDP program is refused with its name and id", "[e2e]")
{
    Topology net;
    const Fd program = foreign_xdp_program();
    const std::string id = std::to_string(program_id(program));
    net.balancer.exec("bpftool net attach xdp id " + id + " dev eth0");
    Daemon lb(net.balancer, config({proxy({})}), instance_name());
    const Marks before = marks_of(net.balancer);
    const Output output = lb.run_again();
    INFO(output.text);
    CHECK(output.status == exit_host_not_ready);
    CHECK(output.text.find("foreign") != std::string::npos);
    CHECK(output.text.find(id) != std::string::npos);
    CHECK(output.text.find("eth0") != std::string::npos);
    // It is still there, and of lb there is nothing.
    CHECK(marks_of(net.balancer) == before);
}

TEST_CASE("a start that fails half-way leaves the earlier run's programs and settings at work", "[e2e]")
{
    Topology net;
    const auto servers = start_backends(net);
    net.balancer.set_sysctl("ipv4/ip_forward", "0");
    Daemon first(net.balancer, config({proxy({})}), instance_name());
    first.start();
    first.kill();
    const Call call{.to = vip_web, .netns = net.c1.fd()};
    BusyConnections busy(call, 5);
    const std::string before = net.balancer.exec("bpftool net show");
    // The last of its interfaces, in the order of names, cannot be had; its only target is local.
    const Fd program = foreign_xdp_program();
    net.balancer.exec("bpftool net attach xdp id " + std::to_string(program_id(program)) + " dev port3");
    const Daemon second(net.balancer,
                        config({proxy({.interfaces = R"(["eth0", "eth1", "port3"])",
                                       .listen = R"("address": "203.0.113.81")",
                                       .target = target("127.0.0.1", 9000)})}),
                        instance_name());
    const Output output = second.run_again();
    INFO(output.text);
    CHECK(output.status == exit_host_not_ready);
    net.balancer.exec("bpftool net detach xdp dev port3");
    CHECK(net.balancer.exec("bpftool net show") == before);
    CHECK(net.balancer.sysctl("ipv4/ip_forward") == "1");
    CHECK(run_short({.call = call, .count = 100}).answered() == 100);
    const auto report = busy.stop();
    CHECK(report.broken == 0);
    CHECK(report.asked > 100);
}

TEST_CASE("an interface that does not exist is refused", "[e2e]")
{
    Topology net;
    Daemon lb(net.balancer, config({proxy({.interfaces = R"(["eth0", "eth7"])"})}), instance_name());
    const Marks before = marks_of(net.balancer);
    const Output output = lb.run_again();
    INFO(output.text);
    CHECK(output.status == exit_host_not_ready);
    CHECK(output.text.find("eth7") != std::string::npos);
    CHECK(marks_of(net.balancer) == before);
}
