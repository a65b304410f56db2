// The XDP hook: taken in each mode, refused when it is another's, explained when a driver refuses, swapped in
// place.
#include "kernel/bpffs.hpp"
#include "kernel/interfaces.hpp"
#include "kernel/link.hpp"
#include "kernel_fixture.hpp"

#include <atomic>
#include <bpf/libbpf.h>
#include <cerrno>
#include <linux/if_link.h>
#include <thread>

using namespace lb;
using namespace lb::kernel;
using lb::bpf::AttachType;
using lb::test::contains;
using lb::test::must;
using lb::test::VethPair;
using lb::test::xdp_drop;
using lb::test::xdp_pass;

namespace {

constexpr auto xdp = bpf::ProgramType::xdp;

kernel::Program pass(const std::string& name)
{
    return test::load(test::returning(name, xdp, AttachType::xdp, xdp_pass));
}

} // namespace

TEST_CASE("XDP attaches natively, sees packets, and is gone with its link")
{
    VethPair pair("x0", "x1");
    test::Counters counters;
    auto program = counters.counting("lb_in", xdp, AttachType::xdp, 0, xdp_drop);
    CHECK_FALSE(must(xdp_occupant(pair.index)).has_value());
    {
        auto attached = must(attach_xdp(program, pair.index, XdpMode::automatic));
        CHECK(attached.mode == XdpMode::native);
        CHECK(attached.why_generic.empty());
        test::send_frames(pair.peer_index, 10);
        CHECK(counters.wait(0, 10) == 10);

        auto occupant = must(xdp_occupant(pair.index));
        REQUIRE(occupant);
        CHECK(occupant->program_id == must(program.info()).id);
        CHECK(occupant->program_name == "lb_in");
        CHECK(occupant->mode == XdpMode::native);
        CHECK(occupant->link_id == must(attached.link.info()).id);

        auto info = must(attached.link.info());
        CHECK(info.type == LinkType::xdp);
        CHECK(info.ifindex == pair.index);
        CHECK(info.program_id == must(program.info()).id);
    }
    CHECK_FALSE(must(xdp_occupant(pair.index)).has_value());
}

TEST_CASE("XDP attaches in generic mode when that is asked for")
{
    VethPair pair("x0", "x1");
    test::Counters counters;
    auto program = counters.counting("lb_in", xdp, AttachType::xdp, 1, xdp_drop);
    auto attached = must(attach_xdp(program, pair.index, XdpMode::generic));
    CHECK(attached.mode == XdpMode::generic);
    CHECK(must(xdp_occupant(pair.index))->mode == XdpMode::generic);
    test::send_frames(pair.peer_index, 10);
    CHECK(counters.wait(1, 10) == 10);
}

TEST_CASE("a native refusal for the peer's MTU names interface, driver, reason and the command that mends it")
{
    VethPair pair("x0", "x1", "9000");
    auto program = pass("lb_in");
    auto native = attach_xdp(program, pair.index, XdpMode::native);
    REQUIRE_FALSE(native);
    INFO(native.error().message);
    CHECK(native.error().kind == ErrorKind::host_not_ready);
    CHECK(native.error().sys_errno == ERANGE);
    CHECK(contains(native.error().message, "interface x0 (driver veth) refuses native XDP"));
    CHECK(contains(native.error().message, "Peer MTU is too large to set XDP"));
    CHECK(contains(native.error().message, "ip link set dev x1 mtu 1500"));

    // Automatic falls back and keeps the reason.
    auto fallen = must(attach_xdp(program, pair.index, XdpMode::automatic));
    CHECK(fallen.mode == XdpMode::generic);
    CHECK(fallen.why_generic == native.error().message);
    fallen = {};

    // The command does mend it.
    test::run("ip link set dev x1 mtu 1500");
    CHECK(must(attach_xdp(program, pair.index, XdpMode::native)).mode == XdpMode::native);
}

TEST_CASE("a program for packets in several buffers attaches natively where packets are large")
{
    VethPair pair("x0", "x1", "9000");
    auto program = test::returning("lb_in", xdp, AttachType::xdp, xdp_pass);
    program.frags = true;
    CHECK(must(attach_xdp(test::load(program), pair.index, XdpMode::native)).mode == XdpMode::native);
}

TEST_CASE("a native refusal for want of queues gives the command that mends it")
{
    VethPair pair("x0", "x1", "1500", "numrxqueues 1");
    test::run(
        "ip link del x0 && ip link add x0 numrxqueues 1 numtxqueues 1 type veth peer name x1 numtxqueues 4 "
        "numrxqueues 4 && ip link set x0 up && ip link set x1 up && ethtool -L x1 tx 4");
    const u32 index = must(interface_by_name("x0")).index;
    auto native = attach_xdp(pass("lb_in"), index, XdpMode::native);
    REQUIRE_FALSE(native);
    INFO(native.error().message);
    CHECK(contains(native.error().message, "queues"));
    CHECK(contains(native.error().message, "; to mend it: ethtool -L x1 tx 1"));
    test::run("ethtool -L x1 tx 1");
    CHECK(must(attach_xdp(pass("lb_in"), index, XdpMode::native)).mode == XdpMode::native);
}

TEST_CASE("an interface without a driver for XDP says so, and automatic takes the generic way")
{
    auto native = attach_xdp(pass("lb_in"), 1, XdpMode::native);
    REQUIRE_FALSE(native);
    INFO(native.error().message);
    CHECK(native.error().sys_errno == EOPNOTSUPP);
    CHECK(contains(native.error().message, "interface lo (no driver) refuses native XDP"));
    CHECK(contains(native.error().message, "use \"xdp-mode\": \"generic\""));
    CHECK(must(attach_xdp(pass("lb_in"), 1, XdpMode::automatic)).mode == XdpMode::generic);
}

TEST_CASE("somebody else's XDP program is refused with its name and id, and the command that removes it")
{
    VethPair pair("x0", "x1");
    auto stranger = pass("stranger");
    const u32 id = must(stranger.info()).id;
    auto ours = pass("lb_in");

    SECTION("attached by netlink")
    {
        REQUIRE(bpf_xdp_attach(static_cast<int>(pair.index), stranger.fd(), XDP_FLAGS_DRV_MODE, nullptr) ==
                0);
        for (auto mode : {XdpMode::automatic, XdpMode::native, XdpMode::generic}) {
            auto refused = attach_xdp(ours, pair.index, mode);
            REQUIRE_FALSE(refused);
            CHECK(refused.error().kind == ErrorKind::host_not_ready);
            CHECK(refused.error().message ==
                  "interface x0 carries the XDP program 'stranger' (id " + std::to_string(id) +
                      ", native) already; if it is not needed: ip link set dev x0 xdp off");
        }
        test::run("ip link set dev x0 xdp off");
    }
    SECTION("attached by a link, in generic mode")
    {
        auto link = must(attach_xdp(stranger, pair.index, XdpMode::generic)).link;
        auto refused = attach_xdp(ours, pair.index, XdpMode::native);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().message ==
              "interface x0 carries the XDP program 'stranger' (id " + std::to_string(id) +
                  ", generic) already; if it is not needed: bpftool link detach id " +
                  std::to_string(must(link.info()).id));
        test::run("bpftool link detach id " + std::to_string(must(link.info()).id));
    }
    CHECK(must(attach_xdp(ours, pair.index, XdpMode::automatic)).mode == XdpMode::native);
}

TEST_CASE("an interface that is not there is the host's fault")
{
    auto gone = attach_xdp(pass("lb_in"), 4242, XdpMode::automatic);
    REQUIRE_FALSE(gone);
    CHECK(gone.error().kind == ErrorKind::host_not_ready);
    CHECK(gone.error().sys_errno == ENODEV);
    CHECK(gone.error().message ==
          "looking for interface index 4242: No such device (ENODEV): there is no such interface");
}

TEST_CASE("programs are swapped under traffic, and every packet meets exactly one of them")
{
    VethPair pair("x0", "x1");
    test::Counters counters;
    auto first = counters.counting("lb_one", xdp, AttachType::xdp, 0, xdp_drop);
    auto second = counters.counting("lb_two", xdp, AttachType::xdp, 1, xdp_drop);
    auto link = must(attach_xdp(first, pair.index, XdpMode::native)).link;

    std::atomic<bool> done = false;
    std::atomic<u32> swaps = 0;
    std::atomic<bool> failed = false;
    std::thread swapper([&] {
        for (bool to_second = true; !done; to_second = !to_second) {
            if (!link.update(to_second ? second : first)) failed = true;
            ++swaps;
        }
    });
    u64 sent = 0;
    // A swap takes as long as the kernel needs to know that no CPU is in the old program.
    for (int round = 0; round < 100000 && swaps < 30; ++round) {
        // No more at once than the pair's ring holds, so that none is lost on the way.
        test::send_frames(pair.peer_index, 10);
        sent += 10;
        for (int i = 0; i < 2000 && counters.read(0) + counters.read(1) < sent; ++i)
            std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    done = true;
    swapper.join();
    INFO("swaps: " << swaps);
    CHECK_FALSE(failed);
    CHECK(swaps >= 30);
    CHECK(counters.read(0) + counters.read(1) == sent);
    CHECK(counters.read(0) > 0);
    CHECK(counters.read(1) > 0);
}

TEST_CASE("a link refuses a program of another expected attach type, and says so")
{
    VethPair pair("x0", "x1");
    auto link = must(attach_xdp(pass("lb_in"), pair.index, XdpMode::native)).link;
    auto other = test::load(test::returning("lb_other", xdp, AttachType::none, xdp_pass));
    auto refused = link.update(other);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().sys_errno == EINVAL);
    CHECK(contains(refused.error().message, "the new program has another type or expected attach type"));
}

TEST_CASE("a pinned link outlives its owner, is found again, updated, and detached")
{
    VethPair pair("x0", "x1");
    auto folder = must(PinFolder::create("links", test::private_bpffs()));
    {
        auto link = must(attach_xdp(pass("lb_in"), pair.index, XdpMode::automatic)).link;
        must(link.pin(folder.path_of("xdp_x0")));
    }
    CHECK(must(xdp_occupant(pair.index))->program_name == "lb_in");
    auto found = must(Link::open_pinned(folder.path_of("xdp_x0")));
    must(found.update(pass("lb_newer")));
    CHECK(must(xdp_occupant(pair.index))->program_name == "lb_newer");
    must(found.detach());
    CHECK_FALSE(must(xdp_occupant(pair.index)).has_value());
    CHECK(must(found.info()).ifindex == 0);
    auto gone = found.update(pass("lb_in"));
    REQUIRE_FALSE(gone);
    CHECK(contains(gone.error().message, "the link was detached"));

    must(pass("lb_in").pin(folder.path_of("program")));
    auto no_link = Link::open_pinned(folder.path_of("program"));
    REQUIRE_FALSE(no_link);
    CHECK(contains(no_link.error().message, "it is not a link"));
    must(folder.remove_all());
    CHECK(Link::open_pinned(folder.path_of("xdp_x0")).error().sys_errno == ENOENT);
}
