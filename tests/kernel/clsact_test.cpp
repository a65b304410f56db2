// TC filters on clsact, as kernels before TCX need them: ours come and go, those of others stay.
#include "kernel/clsact.hpp"
#include "kernel_fixture.hpp"

#include <cerrno>

using namespace lb;
using namespace lb::kernel;
using lb::bpf::AttachType;
using lb::test::contains;
using lb::test::must;
using lb::test::tc_act_ok;
using lb::test::VethPair;

namespace {

constexpr auto tc = bpf::ProgramType::sched_cls;
const FilterId own{.direction = TcDirection::egress, .priority = 49, .handle = 0x1b, .name = "lb_default"};

kernel::Program counting(const test::Counters& counters, u32 slot)
{
    return counters.counting("lb_out", tc, AttachType::none, slot, tc_act_ok);
}

} // namespace

TEST_CASE("clsact is added once, found, and removed only when it is empty")
{
    VethPair pair("c0", "c1");
    test::Counters counters;
    CHECK_FALSE(must(has_clsact(pair.index)));
    CHECK_FALSE(must(remove_clsact_if_empty(pair.index)));
    CHECK(must(add_clsact(pair.index)));
    CHECK_FALSE(must(add_clsact(pair.index)));
    CHECK(must(has_clsact(pair.index)));
    CHECK_FALSE(must(has_clsact(pair.peer_index)));
    must(set_filter(pair.index, own, counting(counters, 0)));
    CHECK_FALSE(must(remove_clsact_if_empty(pair.index)));
    CHECK(must(remove_filter(pair.index, own)));
    CHECK(must(remove_clsact_if_empty(pair.index)));
    CHECK_FALSE(must(has_clsact(pair.index)));
}

TEST_CASE("a filter sees packets, and its program is replaced in place")
{
    VethPair pair("c0", "c1");
    test::Counters counters;
    must(add_clsact(pair.index));
    auto first = counting(counters, 0);
    must(set_filter(pair.index, own, first));
    test::send_frames(pair.index, 5);
    CHECK(counters.wait(0, 5) == 5);
    auto filters = must(list_filters(pair.index, TcDirection::egress));
    REQUIRE(filters.size() == 1);
    CHECK(filters[0].kind == "bpf");
    CHECK(filters[0].name == "lb_default");
    CHECK(filters[0].priority == 49);
    CHECK(filters[0].handle == 0x1b);
    CHECK(filters[0].program_id == must(first.info()).id);

    // What an earlier run left is replaced, not joined.
    auto second = counting(counters, 1);
    must(set_filter(pair.index, own, second));
    filters = must(list_filters(pair.index, TcDirection::egress));
    REQUIRE(filters.size() == 1);
    CHECK(filters[0].program_id == must(second.info()).id);
    test::send_frames(pair.index, 5);
    CHECK(counters.wait(1, 5) == 5);
    CHECK(counters.read(0) == 5);
    CHECK(must(list_filters(pair.index, TcDirection::ingress)).empty());
}

TEST_CASE("filters of others stay when ours is set and removed")
{
    VethPair pair("c0", "c1");
    test::Counters counters;
    must(add_clsact(pair.index));
    test::run("tc filter add dev c0 egress prio 10 protocol all u32 match u32 0 0 flowid 1:1");
    // The same priority and another handle: a neighbour, not an obstacle.
    FilterId neighbour{.direction = TcDirection::egress, .priority = 49, .handle = 0x77, .name = "neighbour"};
    must(set_filter(pair.index, neighbour, counting(counters, 2)));
    const auto before = must(list_filters(pair.index, TcDirection::egress)).size();
    must(set_filter(pair.index, own, counting(counters, 0)));
    CHECK(must(list_filters(pair.index, TcDirection::egress)).size() == before + 1);
    CHECK(must(remove_filter(pair.index, own)));
    CHECK_FALSE(must(remove_filter(pair.index, own)));
    auto after = must(list_filters(pair.index, TcDirection::egress));
    REQUIRE(after.size() == before);
    CHECK(after.front().kind == "u32");
    CHECK(after.back().name == "neighbour");
    CHECK_FALSE(must(remove_clsact_if_empty(pair.index)));
    CHECK(must(has_clsact(pair.index)));
}

TEST_CASE("a stranger's filter in our place is neither replaced nor removed")
{
    VethPair pair("c0", "c1");
    test::Counters counters;
    must(add_clsact(pair.index));
    auto program = counting(counters, 0);

    SECTION("of the same kind, with another name")
    {
        FilterId stranger = own;
        stranger.name = "stranger";
        must(set_filter(pair.index, stranger, program));
        auto refused = set_filter(pair.index, own, program);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().kind == ErrorKind::host_not_ready);
        CHECK(refused.error().message ==
              "TC filter 'lb_default' does not fit on interface " + std::to_string(pair.index) +
                  ": priority 49 is taken by the bpf filter 'stranger' (program id " +
                  std::to_string(must(program.info()).id) + ")");
        CHECK_FALSE(remove_filter(pair.index, own).has_value());
        CHECK(must(list_filters(pair.index, TcDirection::egress)).size() == 1);
    }
    SECTION("of another kind at the same priority")
    {
        test::run("tc filter add dev c0 egress prio 49 protocol all u32 match u32 0 0 flowid 1:1");
        auto refused = set_filter(pair.index, own, program);
        REQUIRE_FALSE(refused);
        CHECK(contains(refused.error().message, "priority 49 is taken by the u32 filter"));
    }
}

TEST_CASE("an ingress qdisc in the place of clsact is named, with the command that removes it")
{
    VethPair pair("c0", "c1");
    test::run("tc qdisc add dev c0 ingress");
    auto refused = add_clsact(pair.index);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind == ErrorKind::host_not_ready);
    CHECK(contains(refused.error().message, "an 'ingress' qdisc is in its place"));
    CHECK_FALSE(must(has_clsact(pair.index)));
}

TEST_CASE("without clsact or interface there is nothing to list or remove, and nothing can be set")
{
    VethPair pair("c0", "c1");
    test::Counters counters;
    CHECK(must(list_filters(pair.index, TcDirection::egress)).empty());
    CHECK_FALSE(must(remove_filter(pair.index, own)));
    auto unset = set_filter(pair.index, own, counting(counters, 0));
    REQUIRE_FALSE(unset);
    CHECK(contains(unset.error().message, "setting TC filter 'lb_default' on interface"));
    CHECK(must(list_filters(4242, TcDirection::egress)).empty());
    CHECK_FALSE(must(remove_filter(4242, own)));
    CHECK(add_clsact(4242).error().sys_errno == ENODEV);
}
