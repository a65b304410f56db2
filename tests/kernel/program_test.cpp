// Programs: relocated, accepted or refused with the verifier's words, and run on frames in memory.
#include "kernel_fixture.hpp"

#include <cerrno>

using namespace lb;
using namespace lb::kernel;
using namespace lb::bpf; // the programs read as listings
using lb::test::assemble;
using lb::test::contains;
using lb::test::must;

namespace {

constexpr auto xdp = ProgramType::xdp;
constexpr auto tc = ProgramType::sched_cls;

std::vector<u8> frame(std::size_t bytes)
{
    std::vector<u8> all(bytes);
    for (std::size_t i = 0; i < bytes; ++i) all[i] = static_cast<u8>(i);
    return all;
}

LoadError refused(const bpf::Program& program, const LoadOptions& options = {})
{
    auto loaded = kernel::Program::load(program, {}, options);
    REQUIRE_FALSE(loaded.has_value());
    return loaded.error();
}

} // namespace

TEST_CASE("a loaded program says its id, tag, sizes and how much of it was verified")
{
    auto program = test::load(test::returning("lb_small", xdp, AttachType::xdp, 2));
    auto info = must(program.info());
    CHECK(info.id > 0);
    CHECK(info.name == "lb_small");
    CHECK(info.type == xdp);
    CHECK(info.tag.size() == 16);
    CHECK(info.xlated_bytes == 16);
    CHECK(info.jited_bytes > 0);
    CHECK(info.verified_insns == 2);
    CHECK(info.btf_id != 0);
    CHECK(program.log().empty());
    auto again = must(kernel::Program::open_id(info.id));
    CHECK(again.name() == "lb_small");
    // The tag is of the code, whatever its name.
    CHECK(must(test::load(test::returning("lb_same", xdp, AttachType::xdp, 2)).info()).tag == info.tag);
    CHECK(must(test::load(test::returning("lb_differs", xdp, AttachType::xdp, 1)).info()).tag != info.tag);
    CHECK(kernel::Program::open_id(0xfffffff0).error().sys_errno == ENOENT);
}

TEST_CASE("relocations become fds, places in a map's value, and numbers")
{
    test::Counters counters;
    counters.values.as<test::Counters::Slots>()[0][2] = 40;
    auto program = assemble("lb_reloc", xdp, AttachType::xdp,
                            {ld_imm64(r1, 0, Pseudo::map_value), load(Width::w64, r0, r1, 0), //
                             alu64(Alu::add, r0, 0), bpf::exit()});
    program.code[1].imm = 16;
    program.relocs = {{Reloc::Kind::map_value, 0, "counters"}, {Reloc::Kind::value32, 3, "two"}};
    auto loaded = test::load(program, {.maps = {{"counters", counters.map.fd()}}, .values = {{"two", 2}}});
    CHECK(must(loaded.run(frame(14))).retval == 42);
    CHECK(must(loaded.info()).map_ids == std::vector<u32>{counters.map.info().id});

    SECTION("a map that nobody knows")
    {
        auto error = refused(program).error;
        CHECK(error.message == "program 'lb_reloc', slot 0: there is no map 'counters'");
        CHECK(error.kind == ErrorKind::failure);
    }
    SECTION("a value that nobody knows")
    {
        auto code = relocate(program, {.maps = {{"counters", 3}}});
        REQUIRE_FALSE(code);
        CHECK(code.error().message == "program 'lb_reloc', slot 3: nothing is known of the value 'two'");
    }
    SECTION("a place outside of the program")
    {
        program.relocs = {{Reloc::Kind::map_fd, 4, "counters"}};
        auto code = relocate(program, {.maps = {{"counters", 3}}});
        REQUIRE_FALSE(code);
        CHECK(code.error().message == "program 'lb_reloc', slot 4: the relocation is outside of the program");
    }
}

TEST_CASE("a rejected program comes back with the verifier's log and its last words")
{
    auto error = refused(assemble("lb_bad", xdp, AttachType::xdp, {mov64(r0, r6), bpf::exit()}));
    CHECK(error.error.kind == ErrorKind::verifier);
    CHECK(error.error.sys_errno == EACCES);
    CHECK(error.error.message ==
          "loading program 'lb_bad': Permission denied (EACCES): the verifier says: R6 !read_ok");
    CHECK(contains(error.log, "0: (bf) r0 = r6"));
    CHECK(contains(error.log, "test.cpp:1")); // from BTF
    CHECK(contains(error.log, "processed 1 insns"));
}

TEST_CASE("a program that fails before it is verified has an error without a log")
{
    auto error = refused(bpf::Program{.name = "lb_nothing"});
    CHECK(error.error.kind == ErrorKind::failure);
    CHECK(error.error.message == "loading program 'lb_nothing': Argument list too long (E2BIG)");
    CHECK(error.log.empty());
    auto long_name = refused(test::returning("a_name_of_16_byt", xdp, AttachType::xdp, 2));
    CHECK(contains(long_name.error.message, "a name has at most 15 bytes"));
}

TEST_CASE("the log is whole however long it is, for good programs and bad ones")
{
    std::vector<Insn> insns = {mov64(r0, 0)};
    for (int i = 0; i < 4000; ++i) insns.push_back(alu64(Alu::add, r0, 1));
    insns.push_back(bpf::exit());
    auto good = kernel::Program::load(assemble("lb_long", xdp, AttachType::xdp, insns), {},
                                      {.log_level = log_paths | log_states | log_stats});
    REQUIRE(good.has_value());
    CHECK(good->log().size() > (64u << 10));
    CHECK(contains(good->log(), "0: (b7) r0 = 0"));
    CHECK(contains(good->log(), "4001: (95) exit"));
    CHECK(contains(good->log(), "processed 4002 insns"));

    insns.back() = mov64(r1, r7);
    insns.push_back(bpf::exit());
    auto bad = refused(assemble("lb_long", xdp, AttachType::xdp, insns));
    CHECK(contains(bad.log, "0: (b7) r0 = 0"));
    CHECK(contains(bad.log, "R7 !read_ok"));
}

TEST_CASE("a test run shows an XDP program the interface and the metadata that it was given")
{
    test::VethPair pair("run0", "run1");
    auto where =
        test::load(assemble("lb_where", xdp, AttachType::xdp, {load(Width::w32, r0, r1, 12), bpf::exit()}));
    RunOptions options;
    options.xdp.ingress_ifindex = pair.index;
    CHECK(must(where.run(frame(64), options)).retval == pair.index);
    CHECK(must(where.run(frame(64))).retval == 1);

    auto meta = test::load(assemble("lb_meta", xdp, AttachType::xdp,
                                    {load(Width::w32, r2, r1, 8), load(Width::w32, r3, r1, 0), mov64(r0, 0),
                                     mov64(r4, r2), alu64(Alu::add, r4, 4), jump(Jmp::gt, r4, r3, 1),
                                     load(Width::w32, r0, r2, 0), bpf::exit()}));
    options = {};
    options.xdp.meta_bytes = 4;
    auto seen = must(meta.run(frame(64), options));
    CHECK(seen.retval == 0x03020100);
    CHECK(must(meta.run(frame(64))).retval == 0);
}

TEST_CASE("a test run gives back the frame as the program left it")
{
    auto program =
        test::load(assemble("lb_write", xdp, AttachType::xdp,
                            {load(Width::w32, r2, r1, 0), load(Width::w32, r3, r1, 4), mov64(r0, 1),
                             mov64(r4, r2), alu64(Alu::add, r4, 14), jump(Jmp::gt, r4, r3, 2),
                             store(Width::w8, r2, 0, i64{0xee}), mov64(r0, 3), bpf::exit()}));
    auto run = must(program.run(frame(60), {.repeat = 100}));
    CHECK(run.retval == 3);
    REQUIRE(run.out.size() == 60);
    CHECK(run.out[0] == 0xee);
    CHECK(run.out[1] == 1);
    auto too_short = program.run(frame(13));
    REQUIRE_FALSE(too_short);
    CHECK(too_short.error().sys_errno == EINVAL);
    CHECK(contains(too_short.error().message, "test run of program 'lb_write' on 13 bytes"));
}

TEST_CASE("a test run shows a TC program its interface and mark, and gives the mark back")
{
    test::VethPair pair("run0", "run1");
    // r0 = skb->ifindex; skb->mark += 1
    auto program =
        test::load(assemble("lb_tc", tc, AttachType::none,
                            {load(Width::w32, r2, r1, 8), alu64(Alu::add, r2, 1),
                             store(Width::w32, r1, 8, r2), load(Width::w32, r0, r1, 40), bpf::exit()}));
    RunOptions options;
    options.skb.ifindex = pair.index;
    options.skb.mark = 41;
    options.skb.cb = {1, 2, 3, 4, 5};
    auto run = must(program.run(frame(64), options));
    CHECK(run.retval == pair.index);
    CHECK(run.skb.mark == 42);
    CHECK(run.skb.cb == std::array<u32, 5>{1, 2, 3, 4, 5});
}

TEST_CASE("a program for packets in several buffers gets such a packet")
{
    auto program = test::returning("lb_frags", xdp, AttachType::xdp, 2);
    program.frags = true;
    auto run = must(test::load(program).run(frame(9000)));
    CHECK(run.retval == 2);
    CHECK(run.out == frame(9000));
}
