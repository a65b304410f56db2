// Calls: what arguments become, in which order they may stand, and what the program's own functions need.
#include "dsl_misuse.hpp"

using namespace lb;
using namespace lb::bpf;
using namespace lb::test;

namespace {

const Map<u32, u64> counts("counts", MapType::array, 8);

/// `body` with a call of a helper of two or three arguments, whichever: the assembler does not know which
/// helper takes what.
std::string call_of(const std::function<void(Dsl&)>& body)
{
    return emitted([&](Dsl& b) {
        b.release_context();
        body(b);
    });
}

} // namespace

TEST_CASE("an argument is a number, a variable, a register, a map, or the address of memory", "[dsl]")
{
    struct Row {
        const char* text;
        Body body;
    };
    for (const auto& [text, body] : std::vector<Row>{
             {"r1 = 7\nr2 = -1\nw3 = -1\nr4 = 0x100000000\nr5 = 0\n",
              [](Dsl& b) {
                  b.call(Helper::redirect, {7, -1, 0xffffffffu, u64{1} << 32, u8{0}});
              }},
             {"r6 = 3\nr1 = r6\n", [](Dsl& b) { b.call(Helper::redirect, {b.keep<u32>("x", 3)}); }},
             {"r0 = 3\nr1 = r0\n", [](Dsl& b) { b.call(Helper::redirect, {b.let<u32>("x", 3)}); }},
             {"r2 = r10\n",
              [](Dsl& b) {
                  b.call(Helper::redirect, {Reg{1}, fp});
              }},
             {"r1 = map[counts]\n", [](Dsl& b) { b.call(Helper::redirect, {counts}); }},
             {"*(u64 *)(r10 -8) = 0\nr1 = r10\nr1 += -8\n",
              [](Dsl& b) {
                  const auto key = b.stack<Key>("key");
                  key.fill(0);
                  b.call(Helper::redirect, {key});
              }},
             {"*(u16 *)(r10 -8) = 9\nr1 = r10\nr1 += -8\n",
              [](Dsl& b) {
                  const auto number = b.local<u16>("number");
                  number() = 9;
                  b.call(Helper::redirect, {number});
              }},
             {"r6 = 0\nr1 = r6\nr2 = r6\nr2 += 4\n",
              [](Dsl& b) {
                  b.emit(mov64(r6, i64{0}));
                  b.call(Helper::redirect, {View<Key>(b, r6, 0), View<Key>(b, r6, 4)});
              }},
         }) {
        INFO("expected:\n" << text);
        // r1 is set before, for the row that takes it as it is.
        CHECK(call_of([&body = body](Dsl& b) {
                  b.emit(mov64(r1, i64{0}));
                  body(b);
              }) == "r1 = 0\n" + std::string(text) + "call bpf_redirect#23\n");
    }
}

TEST_CASE("what stands in its register already is not moved, and may be given twice", "[dsl]")
{
    CHECK(call_of([](Dsl& b) {
              b.emit(mov64(r1, i64{1}));
              b.call(Helper::redirect, {r1, r1});
          }) == "r1 = 1\nr2 = r1\ncall bpf_redirect#23\n");
    CHECK(call_of([](Dsl& b) {
              b.emit(mov64(r2, fp));
              b.call(Helper::redirect, {0, View<u64>(b, r2, -8)});
          }) == "r2 = r10\nr1 = 0\nr2 += -8\ncall bpf_redirect#23\n");
}

TEST_CASE("an argument that an earlier one has overwritten is an error, whatever kind it is of", "[dsl]")
{
    const std::string message = "argument 3 lives in r2, which an earlier argument has overwritten";
    check(Errc::argument_clobbered, message, [](Dsl& b, u32& line) {
        b.release_context();
        b.emit(mov64(r2, i64{0}));
        line = __LINE__, b.call(Helper::redirect, {1, 2, r2});
    });
    check(Errc::argument_clobbered, message, [](Dsl& b, u32& line) {
        b.release_context();
        b.emit(mov64(r2, fp));
        line = __LINE__, b.call(Helper::redirect, {1, 2, View<u64>(b, r2, -8)});
    });
    // The sum is made in the register itself.
    check(Errc::argument_clobbered, "argument 2 lives in r1, which an earlier argument has overwritten",
          [](Dsl& b, u32& line) {
              line = __LINE__, b.call(Helper::redirect, {View<u64>(b, r1, 8), r1});
          });
    check(Errc::argument_clobbered, message, [](Dsl& b, u32& line) {
        b.release_context();
        Var<u64> x(b, b.take(r2, "x"));
        x = 1;
        line = __LINE__, b.call(Helper::redirect, {1, counts, std::move(x)});
    });
}

TEST_CASE("a variable that was given back is no argument, moved or not", "[dsl]")
{
    const std::string message = "a variable is used after its register r0 was given back";
    check(Errc::uninitialised_register, message, [](Dsl& b, u32& line) {
        b.release_context();
        auto x = b.let<u64>("x", 1);
        x.release();
        line = __LINE__, b.call(Helper::redirect, {x, 0});
    });
    check(Errc::uninitialised_register, message, [](Dsl& b, u32& line) {
        b.release_context();
        auto x = b.let<u64>("x", 1);
        x.release();
        line = __LINE__, b.call(Helper::redirect, {std::move(x), 0});
    });
}

TEST_CASE("more arguments than registers are an error, not a value lost in r6", "[dsl]")
{
    check(Errc::out_of_registers, "a call of bpf_redirect with 6 arguments; 5 fit in r1-r5",
          [](Dsl& b, u32& line) {
              b.release_context();
              line = __LINE__, b.call(Helper::redirect, {1, 2, 3, 4, 5, 6});
          });
    check(Errc::out_of_registers, "function 'f' has 6 arguments; 5 fit in r1-r5",
          [](Dsl& b, u32& line) { line = __LINE__, b.subprogram("f", 6); });
}

TEST_CASE("a helper's result is in r0, and memory that it writes is written", "[dsl]")
{
    CHECK(call_of([](Dsl& b) {
              const auto number = b.local<u64>("number");
              auto result = b.call<i32>(Helper::redirect, {}, "result");
              b.writes_stack(number.range());
              result += 1;
              result.release();
              b.let<u64>("x", number());
          }) == "call bpf_redirect#23\nw0 += 1\nr0 = *(u64 *)(r10 -8)\n");
    for (const auto range : {StackRange{.off = -520, .size = 8}, StackRange{.off = -4, .size = 8}})
        for (const auto declare : {&Builder::reads_stack, &Builder::writes_stack})
            check_whole(Errc::stack_overflow,
                        range.off == -4 ? "bytes -4..3 from fp are outside the frame"
                                        : "bytes -520..-513 from fp are outside the frame",
                        [&](Dsl& b, u32& line) {
                            b.release_context();
                            line = __LINE__, b.call(Helper::redirect, {});
                            (b.*declare)(range);
                            end(b);
                        });
}

TEST_CASE("a function owns the registers of its arguments, and gives them back", "[dsl]")
{
    Dsl b("t", ProgramType::xdp, AttachType::xdp);
    const Subprogram sum = b.subprogram("sum", 2);
    b.release_context();
    b.emit(mov64(r1, i64{1}));
    b.emit(mov64(r2, i64{2}));
    b.call(sum);
    b.exit(no_reason);
    b.begin(sum);
    {
        auto first = b.argument<u64>(1, "first");
        auto second = b.argument<u64>(2, "second");
        first += second;
        const auto kept = b.keep<u64>("kept", first);
        first.release();
        second.release();
        b.call(Helper::jiffies64, {});
        b.emit(mov64(r0, kept.reg()));
        b.exit(no_reason);
    }
    const auto program = b.finish();
    INFO((program ? "" : to_string(program.error())));
    REQUIRE(program.has_value());
    CHECK(lines_of(*program) == "r1 = 1\nr2 = 2\ncall pc+1\nexit\n\nsum:\nr1 += r2\nr6 = r1\n"
                                "call bpf_jiffies64#118\nr0 = r6\nexit\n");
    CHECK(program->functions[1].arguments == 2);
}

TEST_CASE("an argument is taken once, where there is one", "[dsl]")
{
    check(Errc::out_of_registers, "argument 2 for 'x' is not there, or has been taken",
          [](Dsl& b, u32& line) { line = __LINE__, b.argument<u64>(2, "x"); });
    check(Errc::out_of_registers, "argument 1 for 'again' is not there, or has been taken",
          [](Dsl& b, u32& line) {
              const auto context = b.argument<u64>(1, "context");
              line = __LINE__, b.argument<u64>(1, "again");
          });
    // Once r1 is somebody's, letting go of the context does not take it away.
    check(Errc::out_of_registers, "r1 is not free for 'y': 'x' has it", [](Dsl& b, u32& line) {
        b.release_context();
        const Hold x = b.take(r1, "x");
        b.release_context();
        line = __LINE__, b.take(r1, "y");
    });
    check(Errc::out_of_registers, "r10 cannot be lent to 'x'",
          [](Dsl& b, u32& line) { line = __LINE__, b.take(fp, "x"); });
}

TEST_CASE("a call of a function reads as many registers as that has arguments", "[dsl]")
{
    check_whole(Errc::uninitialised_register, "r2 is read but not set on every path here",
                [](Dsl& b, u32& line) {
                    const Subprogram two = b.subprogram("two", 2);
                    b.release_context();
                    line = __LINE__, b.call(two); // r1 holds the context, which will do
                    b.exit(no_reason);
                    b.begin(two);
                    end(b);
                });
}

TEST_CASE("each function has one body of its own", "[dsl]")
{
    check(Errc::redefined, "function 'f' has two bodies", [](Dsl& b, u32& line) {
        const Subprogram f = b.subprogram("f", 0);
        end(b);
        b.begin(f);
        end(b);
        line = __LINE__, b.begin(f);
    });
    check_whole(Errc::unbound_function, "function 'f' has no body", [](Dsl& b, u32& line) {
        const Subprogram f = b.subprogram("f", 0);
        end(b);
        line = __LINE__, b.begin(f); // the last one, and nobody calls it
    });
    check_whole(Errc::unbound_function, "function 'f' has no body", [](Dsl& b, u32& line) {
        const Subprogram f = b.subprogram("f", 0), g = b.subprogram("g", 0);
        end(b);
        line = __LINE__, b.begin(f);
        b.begin(g);
        end(b);
    });
    // A goto into the next function is no way to share its body, even where that is the next instruction.
    check_whole(Errc::falls_off_end, "control can leave the function here", [](Dsl& b, u32& line) {
        const Subprogram f = b.subprogram("f", 0), g = b.subprogram("g", 0);
        const Label inside = b.label("inside");
        b.release_context();
        b.call(f);
        b.call(g);
        b.exit(no_reason);
        b.begin(f);
        line = __LINE__, b.jump(inside);
        b.begin(g);
        b.bind(inside);
        end(b);
    });
}

TEST_CASE("labels and functions of another program are refused", "[dsl]")
{
    Dsl other("other", ProgramType::xdp, AttachType::xdp);
    for (int i = 0; i < 9; ++i) other.label("l");
    const Label label = other.label("last");
    const Subprogram function = other.subprogram("f", 0);
    check(Errc::unbound_label, "the label is not of this program",
          [&](Dsl& b, u32& line) { line = __LINE__, b.jump(label); });
    check(Errc::unbound_label, "the label is not of this program",
          [&](Dsl& b, u32& line) { line = __LINE__, b.bind(label); });
    check(Errc::unbound_function, "the function is not of this program",
          [&](Dsl& b, u32& line) { line = __LINE__, b.begin(function); });
    check(Errc::unbound_function, "the function is not of this program",
          [&](Dsl& b, u32& line) { line = __LINE__, b.call(function); });
}

TEST_CASE("one name is one map, and a map that only dropped code names is not the program's", "[dsl]")
{
    check(Errc::redefined, "two maps that differ are named 'counts'", [](Dsl& b, u32& line) {
        const Map<u64, u32> impostor("counts", MapType::hash, 8);
        b.load_map(r2, counts, Loc::current());
        line = __LINE__, b.load_map(r3, impostor, Loc::current());
    });
    const Map<u32, u64> unused("unused", MapType::array, 8);
    Dsl b("t", ProgramType::xdp, AttachType::xdp);
    b.load_map(r2, counts, Loc::current());
    b.load_map_value(r3, counts, 0, Loc::current());
    end(b);
    b.load_map(r2, unused, Loc::current());
    const auto program = b.finish();
    REQUIRE(program.has_value());
    REQUIRE(program->maps.size() == 1);
    CHECK(program->maps[0].name == "counts");
}
