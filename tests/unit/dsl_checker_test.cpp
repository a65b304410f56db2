// What the checker knows of instructions: which registers each reads and writes, and how that flows.
#include "asm/checker.hpp"

#include "dsl_misuse.hpp"

using namespace lb;
using namespace lb::bpf;
using namespace lb::test;

namespace {

u16 set_of(std::initializer_list<Reg> registers)
{
    u16 set = 0;
    for (const Reg reg : registers) set = static_cast<u16>(set | 1u << reg.index);
    return set;
}

struct Row {
    Insn insn;
    std::initializer_list<Reg> read, written;
};

} // namespace

TEST_CASE("every form of instruction reads and writes its registers and no others", "[dsl]")
{
    const Row rows[]{
        {alu64(Alu::add, r2, r3), {r2, r3}, {r2}},
        {alu64(Alu::add, r2, 7), {r2}, {r2}},
        {alu32(Alu::xor_, r2, r3), {r2, r3}, {r2}},
        {neg64(r2), {r2}, {r2}},
        {mov64(r2, r3), {r3}, {r2}},
        {mov64(r2, i64{7}), {}, {r2}},
        {alu32(Alu::mov, r2, r3), {r3}, {r2}},
        {movsx64(r2, r3, 8), {r3}, {r2}},
        // The source bit of a byte swap is its order; r0 in that field is no operand.
        {to_be(r2, 16), {r2}, {r2}},
        {to_le(r2, 16), {r2}, {r2}},
        {bswap(r2, 16), {r2}, {r2}},
        {ld_imm64(r2, 7), {}, {r2}},
        {ld_imm64(r2, 7, Pseudo::map_fd), {}, {r2}}, // what is in src is no register
        {load(Width::w32, r2, r3, 0), {r3}, {r2}},
        {load_signed(Width::w32, r2, r3, 0), {r3}, {r2}},
        {store(Width::w32, r2, 0, r3), {r2, r3}, {}},
        {store(Width::w32, r2, 0, i64{7}), {r2}, {}},
        {atomic(Atomic::add, Width::w64, r2, 0, r3), {r2, r3}, {}},
        {atomic(Atomic::fetch_add, Width::w64, r2, 0, r3), {r2, r3}, {r3}},
        {atomic(Atomic::fetch_or, Width::w64, r2, 0, r3), {r2, r3}, {r3}},
        {atomic(Atomic::fetch_and, Width::w64, r2, 0, r3), {r2, r3}, {r3}},
        {atomic(Atomic::fetch_xor, Width::w64, r2, 0, r3), {r2, r3}, {r3}},
        {atomic(Atomic::xchg, Width::w64, r2, 0, r3), {r2, r3}, {r3}},
        {atomic(Atomic::cmpxchg, Width::w64, r2, 0, r3), {r0, r2, r3}, {r0}},
        {load_acquire(Width::w64, r2, r3, 0), {r3}, {r2}},
        {store_release(Width::w64, r2, 0, r3), {r2, r3}, {}},
        {load_abs(Width::w8, 0), {r6}, {r0}},
        {load_ind(Width::w8, r2, 0), {r2, r6}, {r0}},
        {jump(Jmp::eq, r2, r3), {r2, r3}, {}},
        {jump(Jmp::eq, r2, 7), {r2}, {}},
        {jump32(Jmp::set, r2, r3), {r2, r3}, {}},
        {go(), {}, {}},
        {go_long(), {}, {}},
        {may_goto(), {}, {}},
        {bpf::exit(), {r0}, {}},
        // What a call reads depends on the callee, and what it writes on none: see the next tests.
        {call_helper(7), {}, {}},
    };
    for (const auto& [insn, read, written] : rows) {
        INFO(disassemble(insn));
        CHECK(registers_read(insn) == set_of(read));
        CHECK(registers_written(insn) == set_of(written));
    }
}

TEST_CASE("a call leaves r6 to r9 and a result, and none of r1 to r5", "[dsl]")
{
    const auto read_after_call = [](Reg reg) {
        return emitted([&](Dsl& b) {
            b.release_context();
            for (u8 i = 0; i < 10; ++i) b.emit(mov64(Reg{i}, i64{0}));
            b.call(Helper::jiffies64);
            b.emit(alu64(Alu::add, reg, 1));
        });
    };
    for (const Reg reg : {r0, r6, r7, r8, r9})
        CHECK(read_after_call(reg).ends_with("r" + std::to_string(reg.index) + " += 1\n"));
    for (const Reg reg : {r1, r2, r3, r4, r5})
        CHECK(read_after_call(reg) ==
              "error: r" + std::to_string(reg.index) + " is read but not set on every path here\n");
}

TEST_CASE("no register that a call destroys may be on loan over it", "[dsl]")
{
    for (u8 i = 0; i < 6; ++i)
        check(Errc::live_across_call,
              "'x' lives in r" + std::to_string(i) + ", which the call of bpf_jiffies64 destroys",
              [&](Dsl& b, u32& line) {
                  b.release_context();
                  const Hold hold = b.take(Reg{i}, "x");
                  line = __LINE__, b.call(Helper::jiffies64);
              });
    for (u8 i = 6; i < 10; ++i)
        CHECK(emitted([&](Dsl& b) {
                  b.release_context();
                  const Hold hold = b.take(Reg{i}, "x");
                  b.call(Helper::jiffies64);
              }) == "call bpf_jiffies64#118\n");
}

TEST_CASE("what holds before a goto does not flow to the statement behind it", "[dsl]")
{
    CHECK(emitted([](Dsl& b) {
              const Label kept = b.label("kept"), done = b.label("done");
              b.emit(mov64(r3, i64{1}));
              b.jump_if(is_zero, kept);
              b.release_context();
              b.call(Helper::jiffies64); // r3 is lost on this path
              b.jump(done);
              b.bind(kept);
              b.emit(mov64(r6, r3));
              b.bind(done);
          }) == "r3 = 1\nif r1 == 0x0 goto pc+2\ncall bpf_jiffies64#118\ngoto pc+1\nr6 = r3\n");
}

TEST_CASE("each function has a frame of its own", "[dsl]")
{
    Dsl b("t", ProgramType::xdp, AttachType::xdp);
    const Subprogram f = b.subprogram("f", 0);
    b.release_context();
    const StackRange mine = b.reserve_stack(512, "all of it");
    b.emit(store(Width::w64, fp, static_cast<i16>(mine.off), i64{0}));
    b.call(f);
    b.exit(no_reason);
    b.begin(f);
    CHECK(b.reserve_stack(512, "all of it again").off == -512);
    end(b);
    CHECK(b.finish().has_value());
    // What the caller wrote is not in it.
    check_whole(Errc::uninitialised_stack, "byte 0 of the 8 at fp-8 is not written on every path here",
                [](Dsl& b2, u32& line) {
                    const Subprogram g = b2.subprogram("g", 0);
                    b2.release_context();
                    b2.emit(store(Width::w64, fp, -8, i64{0}));
                    b2.call(g);
                    b2.exit(no_reason);
                    b2.begin(g);
                    line = __LINE__, b2.emit(load(Width::w64, r0, fp, -8));
                    b2.exit(no_reason);
                });
}
