// TC programs by link: attached beside others, in order, swapped in place.
#include "kernel/bpffs.hpp"
#include "kernel/features.hpp"
#include "kernel/link.hpp"
#include "kernel_fixture.hpp"

#include <cerrno>
#include <chrono>
#include <thread>

using namespace lb;
using namespace lb::kernel;
using lb::bpf::AttachType;
using lb::test::contains;
using lb::test::must;
using lb::test::tcx_next;
using lb::test::VethPair;

namespace {

constexpr auto tc = bpf::ProgramType::sched_cls;

bool without_tcx()
{
    if (must(probe_features()).tcx) return false;
    WARN("not tested: TCX needs Linux 6.6");
    return true;
}

u32 id_of(const kernel::Program& program) { return must(program.info()).id; }
u32 id_of(const Link& link) { return must(link.info()).id; }

} // namespace

TEST_CASE("a TC program runs after those that were there before it, in both directions")
{
    if (without_tcx()) return;
    VethPair pair("t0", "t1");
    test::Counters counters;
    auto direction = GENERATE(AttachType::tcx_egress, AttachType::tcx_ingress);
    auto stranger = counters.counting("stranger", tc, direction, 0, tcx_next);
    auto ours = counters.counting("lb_out", tc, direction, 1, tcx_next);
    CHECK(must(tcx_programs(pair.index, direction)).empty());
    auto stranger_link = must(attach_tcx(stranger, pair.index, direction));
    auto link = must(attach_tcx(ours, pair.index, direction));
    CHECK(must(tcx_programs(pair.index, direction)) ==
          std::vector<TcxEntry>{{id_of(stranger), id_of(stranger_link)}, {id_of(ours), id_of(link)}});

    test::send_frames(direction == AttachType::tcx_egress ? pair.index : pair.peer_index, 5);
    CHECK(counters.wait(0, 5) == 5);
    CHECK(counters.wait(1, 5) == 5);

    auto info = must(link.info());
    CHECK(info.type == LinkType::tcx);
    CHECK(info.ifindex == pair.index);
    CHECK(info.attach == direction);
    CHECK(info.program_id == id_of(ours));

    // The swap keeps the place; taking ours off leaves the other.
    auto newer = counters.counting("lb_newer", tc, direction, 2, tcx_next);
    must(link.update(newer));
    CHECK(must(tcx_programs(pair.index, direction)) ==
          std::vector<TcxEntry>{{id_of(stranger), id_of(stranger_link)}, {id_of(newer), id_of(link)}});
    test::send_frames(direction == AttachType::tcx_egress ? pair.index : pair.peer_index, 5);
    CHECK(counters.wait(2, 5) == 5);
    CHECK(counters.read(1) == 5);
    must(link.detach());
    CHECK(must(tcx_programs(pair.index, direction)) ==
          std::vector<TcxEntry>{{id_of(stranger), id_of(stranger_link)}});
}

TEST_CASE("a pinned TC link is found again")
{
    if (without_tcx()) return;
    VethPair pair("t0", "t1");
    auto folder = must(PinFolder::create("tcx", test::private_bpffs()));
    auto program = test::load(test::returning("lb_out", tc, AttachType::tcx_egress, tcx_next));
    must(must(attach_tcx(program, pair.index, AttachType::tcx_egress)).pin(folder.path_of("tcx_t0")));
    CHECK(must(tcx_programs(pair.index, AttachType::tcx_egress)).size() == 1);
    CHECK(must(must(Link::open_pinned(folder.path_of("tcx_t0"))).info()).program_id == id_of(program));
    must(folder.remove_all());
    // The kernel lets go of an unpinned link a moment later.
    for (int i = 0; i < 2000 && !must(tcx_programs(pair.index, AttachType::tcx_egress)).empty(); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    CHECK(must(tcx_programs(pair.index, AttachType::tcx_egress)).empty());
}

TEST_CASE("a TC program on an interface that is not there is refused")
{
    if (without_tcx()) return;
    auto program = test::load(test::returning("lb_out", tc, AttachType::tcx_egress, tcx_next));
    auto gone = attach_tcx(program, 4242, AttachType::tcx_egress);
    REQUIRE_FALSE(gone);
    CHECK(gone.error().kind == ErrorKind::host_not_ready);
    CHECK(gone.error().sys_errno == ENODEV);
    CHECK(contains(gone.error().message, "attaching TC program 'lb_out' to interface 4242"));
    CHECK(tcx_programs(4242, AttachType::tcx_egress).error().sys_errno == ENODEV);
}
