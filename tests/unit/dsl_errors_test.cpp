// Misuse is an error with the C++ line that did it, before any kernel sees the program. In each body, `line`
// is set on the line that is wrong.
#include "dsl_misuse.hpp"
#include "lb/base/wire.hpp"

using namespace lb;
using namespace lb::bpf;
using namespace lb::test;

TEST_CASE("labels are bound once, and those that are jumped to are bound", "[dsl]")
{
    check(Errc::rebound_label, "label 'twice' is bound twice", [](Dsl& b, u32& line) {
        const Label twice = b.label("twice");
        b.bind(twice);
        b.emit(mov64(r5, i64{1}));
        line = __LINE__, b.bind(twice);
    });
    check_whole(Errc::unbound_label, "label 'nowhere' is never bound", [](Dsl& b, u32& line) {
        const Label nowhere = b.label("nowhere");
        line = __LINE__, b.jump_if(is_zero, nowhere);
        end(b);
    });
    check_whole(Errc::falls_off_end, "label 'behind' is bound behind the end", [](Dsl& b, u32& line) {
        const Label behind = b.label("behind");
        line = __LINE__, b.jump_if(is_zero, behind);
        end(b);
        b.bind(behind);
    });
}

TEST_CASE("control cannot leave a function but by exit", "[dsl]")
{
    check_whole(Errc::falls_off_end, "control can leave the function here",
                [](Dsl& b, u32& line) { line = __LINE__, b.emit(mov64(r0, i64{0})); });
    check_whole(Errc::falls_off_end, "control can leave the function here", [](Dsl& b, u32& line) {
        const Subprogram next = b.subprogram("next", 0);
        b.release_context();
        b.call(next);
        line = __LINE__, b.emit(mov64(r0, i64{0}));
        b.begin(next);
        end(b);
    });
    check_whole(Errc::unbound_function, "function 'nowhere' has no body", [](Dsl& b, u32& line) {
        b.release_context();
        const Subprogram nowhere = b.subprogram("nowhere", 0);
        line = __LINE__, b.call(nowhere);
        end(b);
    });
    Dsl empty("t", ProgramType::xdp, AttachType::xdp);
    const auto program = empty.finish();
    REQUIRE_FALSE(program.has_value());
    CHECK(program.error().message == "the program is empty");
}

TEST_CASE("jumps farther than 16 bits need gotol", "[dsl]")
{
    for (const bool conditional : {false, true}) {
        const auto jump_over = [&](Dsl& b, u32& line, int between) {
            const Label there = b.label("there"), other = b.label("other");
            b.jump_if(is_zero, other); // so that what is jumped over can be reached
            if (conditional)
                line = __LINE__, b.jump_if({.op = Jmp::eq, .left = r1, .right = i64{1}}, there);
            else
                line = __LINE__, b.jump(there);
            b.bind(other);
            for (int i = 0; i < between; ++i) b.emit(mov64(r0, i64{0}));
            b.bind(there);
            end(b);
        };
        check_whole(Errc::jump_out_of_range,
                    "jump to 'there' spans 32768 slots; the limit is 32767 before Linux 6.6 (gotol)",
                    [&](Dsl& b, u32& line) { jump_over(b, line, 32768); });
        Dsl b("t", ProgramType::xdp, AttachType::xdp);
        u32 line = 0;
        jump_over(b, line, 32767);
        CHECK(b.finish().has_value());
    }
}

TEST_CASE("numbers that do not fit are refused, never cut", "[dsl]")
{
    check(Errc::immediate_out_of_range, "immediate 4294967296 needs 32 bits", [](Dsl& b, u32& line) {
        const Label out = b.label("out");
        const Cond cond{.op = Jmp::eq, .w32 = true, .left = r1, .right = i64{1} << 32};
        line = __LINE__, b.jump_if(cond, out);
        b.bind(out);
    });
    check_whole(Errc::immediate_out_of_range,
                "r0 = 4294967296: imm is 4294967296, allowed is -2147483648..2147483647",
                [](Dsl& b, u32& line) {
                    line = __LINE__, b.emit(mov64(r0, i64{1} << 32));
                    b.exit(no_reason);
                });
    check(Errc::offset_out_of_range, "offset 40000 needs 16 bits", [](Dsl& b, u32& line) {
        const View<u64> far(b, r1, 40000);
        line = __LINE__, far.value().load_into(r0);
    });
}

TEST_CASE("the frame has 512 bytes, and accesses to it are aligned", "[dsl]")
{
    struct Large {
        std::array<u8, 500> bytes;
    };
    check(Errc::stack_overflow, "'second' needs 16 bytes of stack; 8 of 512 are left", [](Dsl& b, u32& line) {
        b.stack<Large>("first");
        line = __LINE__, b.reserve_stack(16, "second");
    });
    check_whole(Errc::unaligned_stack, "a stack access of 8 bytes at fp-12 is not aligned",
                [](Dsl& b, u32& line) {
                    line = __LINE__, b.emit(store(Width::w64, fp, -12, i64{0}));
                    end(b);
                });
    check_whole(Errc::stack_overflow, "bytes -520..-513 from fp are outside the frame",
                [](Dsl& b, u32& line) {
                    line = __LINE__, b.emit(store(Width::w64, fp, -520, i64{0}));
                    end(b);
                });
    check_whole(Errc::stack_overflow, "bytes -4..3 from fp are outside the frame", [](Dsl& b, u32& line) {
        line = __LINE__, b.emit(store(Width::w64, fp, -4, i64{0}));
        end(b);
    });
}

TEST_CASE("a register has one holder, and the error names who holds what", "[dsl]")
{
    check(Errc::out_of_registers, "no register for 'fifth': r6=first r7=second r8=third r9=fourth",
          [](Dsl& b, u32& line) {
              const auto first = b.keep<u64>("first", 1), second = b.keep<u64>("second", 2);
              const auto third = b.keep<u64>("third", 3), fourth = b.keep<u64>("fourth", 4);
              line = __LINE__, b.keep<u64>("fifth", 5);
          });
    check(Errc::out_of_registers, "r2 is not free for 'second': 'first' has it", [](Dsl& b, u32& line) {
        const Hold first = b.take(r2, "first");
        line = __LINE__, b.take(r2, "second");
    });
}

TEST_CASE("what a call destroys must not be needed afterwards", "[dsl]")
{
    check(Errc::live_across_call, "'saddr' lives in r0, which the call of bpf_jiffies64 destroys",
          [](Dsl& b, u32& line) {
              b.release_context();
              const auto saddr = b.let<u64>("saddr", 1);
              line = __LINE__, b.call(Helper::jiffies64, {});
          });
    check(Errc::live_across_call, "'context' lives in r1, which the call of bpf_jiffies64 destroys",
          [](Dsl& b, u32& line) { line = __LINE__, b.call(Helper::jiffies64, {}); });
    check(Errc::live_across_call, "'kept' is held while another function begins", [](Dsl& b, u32& line) {
        const Subprogram other = b.subprogram("other", 0);
        const auto kept = b.keep<u64>("kept", 1);
        end(b);
        line = __LINE__, b.begin(other);
    });
    check(Errc::argument_clobbered, "argument 2 lives in r1, which an earlier argument has overwritten",
          [](Dsl& b, u32& line) {
              b.release_context();
              auto one = Var<u64>(b, b.take(r1, "one"));
              line = __LINE__, b.call(Helper::trace_printk, {u64{0}, std::move(one)});
          });
}

TEST_CASE("registers and stack bytes are written on every path before they are read", "[dsl]")
{
    check_whole(Errc::uninitialised_register, "r5 is read but not set on every path here",
                [](Dsl& b, u32& line) {
                    b.if_(is_zero, [&] { b.emit(mov64(r5, i64{1})); });
                    line = __LINE__, b.emit(mov64(r0, r5));
                    b.exit(no_reason);
                });
    check_whole(Errc::uninitialised_register, "r2 is read but not set on every path here",
                [](Dsl& b, u32& line) {
                    b.release_context();
                    b.call(Helper::jiffies64, {});
                    line = __LINE__, b.emit(mov64(r0, r2)); // a call leaves r1 to r5 unset
                    b.exit(no_reason);
                });
    check_whole(Errc::uninitialised_register, "r0 is read but not set on every path here",
                [](Dsl& b, u32& line) { line = __LINE__, b.exit(no_reason); });
    check_whole(Errc::uninitialised_stack, "byte 6 of the 8 at fp-8 is not written on every path here",
                [](Dsl& b, u32& line) {
                    const Map<Key, u32> map("m", MapType::hash, 8);
                    b.release_context();
                    const auto key = b.stack<Key>("key");
                    key(&Key::address) = be32{};
                    key(&Key::port) = be16{};
                    line = __LINE__, b.remove(map, key);
                    end(b);
                });
    check_whole(Errc::uninitialised_stack, "byte 0 of the 4 at fp-8 is not written on every path here",
                [](Dsl& b, u32& line) {
                    b.release_context();
                    const auto n = b.local<u32>("n");
                    line = __LINE__, n().load_into(r0);
                    b.exit(no_reason);
                });
    // A loop's second round counts as well.
    check_whole(Errc::uninitialised_register, "r3 is read but not set on every path here",
                [](Dsl& b, u32& line) {
                    b.release_context();
                    b.emit(mov64(r3, i64{1}));
                    b.repeat(2, [&] {
                        line = __LINE__, b.emit(mov64(r4, r3));
                        b.call(Helper::jiffies64, {});
                    });
                    end(b);
                });
}

TEST_CASE("what is written on both branches may be read behind them", "[dsl]")
{
    CHECK(emitted([](Dsl& b) {
              b.if_(is_zero, [&] { b.emit(mov64(r5, i64{1})); }).else_([&] { b.emit(mov64(r5, i64{2})); });
              b.emit(mov64(r4, r5));
          }) == "if r1 != 0x0 goto pc+2\nr5 = 1\ngoto pc+1\nr5 = 2\nr4 = r5\n");
}

TEST_CASE("a packet is of its program's type, and an instruction is one that exists", "[dsl]")
{
    check(Errc::not_this_program, "SkbPacket in a program that is not TC",
          [](Dsl& b, u32& line) { line = __LINE__, (void)SkbPacket(b); });
    Dsl tc("t", ProgramType::sched_cls);
    const XdpPacket packet(tc);
    const u32 made = __LINE__ - 1;
    const auto program = tc.finish();
    REQUIRE_FALSE(program.has_value());
    CHECK(program.error().code == Errc::not_this_program);
    CHECK(to_string(program.error()) ==
          "dsl_errors_test.cpp:" + std::to_string(made) + ": XdpPacket in a program that is not XDP");
    check_whole(Errc::bad_instruction, "no instruction has opcode 0x8d", [](Dsl& b, u32& line) {
        b.emit(mov64(r0, i64{0}));
        line = __LINE__, b.emit(Insn{.opcode = 0x8d});
        b.exit(no_reason);
    });
}
