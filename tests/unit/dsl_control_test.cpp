// Where control may go, and what the frame's bytes are when it gets there.
#include "dsl_misuse.hpp"

using namespace lb;
using namespace lb::bpf;
using namespace lb::test;

TEST_CASE("a program may end with both branches of an if_", "[dsl]")
{
    Dsl b("t", ProgramType::xdp, AttachType::xdp);
    b.if_(is_zero, [&] {
         b.emit(mov64(r0, i64{1}));
         b.exit(no_reason);
     }).else_([&] {
        b.emit(mov64(r0, i64{2}));
        b.exit(no_reason);
    });
    const auto program = b.finish();
    INFO((program ? "" : to_string(program.error())));
    REQUIRE(program.has_value());
    CHECK(lines_of(*program) == "if r1 != 0x0 goto pc+2\nr0 = 1\nexit\nr0 = 2\nexit\n");
    // Only one of them: the other runs off the end.
    check_whole(Errc::falls_off_end, "label 'end_if' is bound behind the end", [](Dsl& b2, u32& line) {
        line = __LINE__, b2.if_(is_zero, [&] { b2.emit(mov64(r0, i64{1})); }).else_([&] { end(b2); });
    });
}

TEST_CASE("a body repeated no times is not there", "[dsl]")
{
    CHECK(emitted([](Dsl& b) { b.repeat(0, [&] { b.emit(mov64(r5, i64{1})); }); }).empty());
    CHECK(emitted([](Dsl& b) { b.repeat(1, [&] { b.emit(mov64(r5, i64{1})); }); }) ==
          "r6 = 1\nr5 = 1\nr6 -= 1\nif r6 != 0x0 goto pc-3\n");
    check_whole(Errc::immediate_out_of_range,
                "r6 = 2147483648: imm is 2147483648, allowed is -2147483648..2147483647",
                [](Dsl& b, u32& line) {
                    line = __LINE__, b.repeat(0x80000000, [&] { b.emit(mov64(r5, i64{1})); });
                    end(b);
                });
}

TEST_CASE("a loop is left early by a jump, and its counter's register is free behind it", "[dsl]")
{
    CHECK(emitted([](Dsl& b) {
              const Label done = b.label("done");
              b.repeat(3, [&] { b.jump_if(is_zero, done); });
              b.bind(done);
              b.keep<u64>("x", 5);
          }) == "r6 = 3\nif r1 == 0x0 goto pc+2\nr6 -= 1\nif r6 != 0x0 goto pc-3\nr6 = 5\n");
}

TEST_CASE("an instruction with a distance in it is refused, as the distance would not stay right", "[dsl]")
{
    for (const Insn& jump :
         {go(1), go_long(1), may_goto(1), bpf::jump(Jmp::eq, r1, r1, 1), jump32(Jmp::set, r1, 1, 1)})
        check(Errc::bad_instruction, "a jump needs a label: see emit_jump()",
              [&](Dsl& b, u32& line) { line = __LINE__, b.emit(jump); });
    check(Errc::bad_instruction, "a call of a function needs its name: see call()",
          [](Dsl& b, u32& line) { line = __LINE__, b.emit(call_local(1)); });
    // With a label they are welcome, may_goto included.
    CHECK(emitted([](Dsl& b) {
              const Label out = b.label("out");
              b.emit_jump(may_goto(), out, Loc::current());
              b.emit(mov64(r5, i64{1}));
              b.bind(out);
          }) == "may_goto pc+1\nr5 = 1\n");
}

TEST_CASE("a way out has one name and one verdict, and nobody falls into it", "[dsl]")
{
    check(Errc::redefined, "reason 4 is 'zero' with verdict 1 already, not 'zero' with verdict 2",
          [](Dsl& b, u32& line) {
              Exits exits(b);
              b.jump_if(is_zero, exits.to(4, "zero", 1));
              line = __LINE__, b.jump_if(is_zero, exits.to(4, "zero", 2));
              exits.emit([](Var<u32>&) {});
          });
    check_whole(Errc::falls_off_end, "control falls into what only jumps may reach", [](Dsl& b, u32& line) {
        Exits exits(b);
        b.jump_if(is_zero, exits.to(4, "zero", 1));
        line = __LINE__, b.emit(mov64(r5, i64{1}));
        exits.emit([](Var<u32>&) {});
    });
    // To jump there is right, even where the jump itself is not needed.
    Dsl b("t", ProgramType::xdp, AttachType::xdp);
    Exits exits(b);
    b.jump(exits.to(4, "zero", 1));
    exits.emit([](Var<u32>&) {});
    const auto program = b.finish();
    REQUIRE(program.has_value());
    CHECK(lines_of(*program) == "r6 = 4\nr7 = 1\nr0 = r7\nexit\n");
}

TEST_CASE("an empty program is reported where it was begun", "[dsl]")
{
    Dsl b("t", ProgramType::xdp, AttachType::xdp);
    const u32 line = __LINE__ - 1;
    const auto program = b.finish();
    REQUIRE_FALSE(program.has_value());
    CHECK(to_string(program.error()) ==
          "dsl_control_test.cpp:" + std::to_string(line) + ": the program is empty");
}

TEST_CASE("the frame's size is no number that can wrap around", "[dsl]")
{
    check(Errc::stack_overflow, "'x' needs 4294967295 bytes of stack; 512 of 512 are left",
          [](Dsl& b, u32& line) { line = __LINE__, b.reserve_stack(0xffffffff, "x"); });
    // Exactly all of it is there.
    CHECK(emitted([](Dsl& b) {
              const StackRange all = b.reserve_stack(512, "all");
              b.emit(store(Width::w64, fp, static_cast<i16>(all.off), i64{0}));
          }) == "*(u64 *)(r10 -512) = 0\n");
}

TEST_CASE("bytes of the frame are written by stores of every kind, and by both branches", "[dsl]")
{
    const auto reads_after = [](auto write) {
        return emitted([&](Dsl& b) {
            write(b);
            b.emit(load(Width::w64, r5, fp, -8));
        });
    };
    CHECK(reads_after([](Dsl& b) { b.emit(store_release(Width::w64, fp, -8, r1)); }) ==
          "store_release((u64 *)(r10 -8), r1)\nr5 = *(u64 *)(r10 -8)\n");
    CHECK(reads_after([](Dsl& b) {
              b.emit(store(Width::w32, fp, -8, r1));
              b.emit(store(Width::w16, fp, -4, i64{0}));
              b.emit(store(Width::w8, fp, -2, i64{0}));
              b.emit(store(Width::w8, fp, -1, i64{0}));
          }).ends_with("r5 = *(u64 *)(r10 -8)\n"));
    CHECK(reads_after([](Dsl& b) {
              b.if_(is_zero, [&] { b.emit(store(Width::w64, fp, -8, i64{0})); }).else_([&] {
                  b.emit(store(Width::w64, fp, -8, i64{1}));
              });
          }).ends_with("r5 = *(u64 *)(r10 -8)\n"));
    CHECK(reads_after([](Dsl& b) { b.if_(is_zero, [&] { b.emit(store(Width::w64, fp, -8, i64{0})); }); }) ==
          "error: byte 0 of the 8 at fp-8 is not written on every path here\n");
    CHECK(reads_after([](Dsl& b) { // an addition reads first
              b.emit(atomic(Atomic::add, Width::w64, fp, -8, r1));
          }) == "error: byte 0 of the 8 at fp-8 is not written on every path here\n");
    CHECK(reads_after([](Dsl& b) { // the first round writes it
              b.repeat(2, [&] { b.emit(store(Width::w64, fp, -8, i64{0})); });
          })
              .ends_with("r5 = *(u64 *)(r10 -8)\n"));
    CHECK(reads_after([](Dsl& b) { // which a jump before it leaves out
              const Label out = b.label("out");
              b.repeat(2, [&] {
                  b.jump_if(is_zero, out);
                  b.emit(store(Width::w64, fp, -8, i64{0}));
              });
              b.bind(out);
          }) == "error: byte 0 of the 8 at fp-8 is not written on every path here\n");
}

TEST_CASE("classic packet loads destroy r1 to r5, as the calls that they are", "[dsl]")
{
    check_whole(Errc::uninitialised_register, "r3 is read but not set on every path here",
                [](Dsl& b, u32& line) {
                    b.emit(mov64(r6, r1));
                    b.emit(mov64(r3, i64{1}));
                    b.emit(load_abs(Width::w8, 12));
                    line = __LINE__, b.emit(mov64(r0, r3));
                    b.exit(no_reason);
                });
}
