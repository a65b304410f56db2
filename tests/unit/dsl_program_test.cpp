// From statements to a program: what is dropped, what is lengthened, and where records point.
#include <algorithm>

#include "dsl_misuse.hpp"
#include "lb/asm/encode.hpp"
#include "lb/base/wire.hpp"

using namespace lb;
using namespace lb::bpf;
using namespace lb::test;

namespace {

Program must(Dsl& b)
{
    auto program = b.finish();
    INFO((program ? "" : to_string(program.error())));
    REQUIRE(program.has_value());
    return std::move(*program);
}

const Map<u32, u64> counts("counts", MapType::array, 8);

} // namespace

TEST_CASE("what no path reaches is dropped, which the kernel would refuse", "[dsl]")
{
    Dsl b("t", ProgramType::xdp, AttachType::xdp);
    b.if_(is_zero, [&] {
        end(b);
        b.emit(mov64(r5, i64{1})); // behind an exit
    });
    end(b);
    b.emit(mov64(r5, i64{2}));
    const Subprogram unused = b.subprogram("unused", 0);
    b.begin(unused);
    end(b);
    const Program program = must(b);
    CHECK(lines_of(program) == "if r1 != 0x0 goto pc+2\nr0 = 0\nexit\nr0 = 0\nexit\n");
    CHECK(program.functions.size() == 1);
}

TEST_CASE("a goto to the next instruction is dropped, and so is one that goes over another", "[dsl]")
{
    CHECK(emitted([](Dsl& b) {
              const Label next = b.label("next"), after = b.label("after");
              b.jump(after);
              b.bind(next);
              b.jump(after);
              b.bind(after);
              b.emit(mov64(r5, i64{1}));
          }) == "r5 = 1\n");
    CHECK(emitted([](Dsl& b) { // both are reached
              const Label next = b.label("next"), after = b.label("after");
              b.jump_if(is_zero, next);
              b.jump(after);
              b.bind(next);
              b.jump(after);
              b.bind(after);
              b.emit(mov64(r5, i64{1}));
          }) == "if r1 == 0x0 goto pc+0\nr5 = 1\n");
    CHECK(emitted([](Dsl& b) { b.if_(is_zero, [&] { b.emit(mov64(r5, i64{1})); }).else_([] {}); }) ==
          "if r1 != 0x0 goto pc+1\nr5 = 1\n");
}

TEST_CASE("far jumps are lengthened with gotol, forward and back, plain and conditional", "[dsl]")
{
    for (const bool back : {false, true})
        for (const bool conditional : {false, true}) {
            Dsl b("t", ProgramType::xdp, AttachType::xdp, {.gotol = true});
            const Label start = b.label("start"), finish = b.label("finish"), over = b.label("over");
            b.emit(mov64(r2, i64{2}));
            b.bind(start);
            const auto jump = [&](Label to) {
                if (conditional)
                    b.jump_if({.op = Jmp::set, .left = r2, .right = i64{1}}, to);
                else {
                    b.jump_if({.op = Jmp::eq, .left = r2, .right = i64{7}}, over);
                    b.jump(to);
                    b.bind(over);
                }
            };
            if (!back) jump(finish);
            for (int i = 0; i < 33000; ++i) b.emit(mov64(r0, i64{i}));
            if (back) jump(start);
            b.bind(finish);
            end(b);
            const Program program = must(b);
            const std::string text = lines_of(program);
            const std::string far =
                back ? conditional ? "gotol pc-33003\n" : "gotol pc-33002\n" : "gotol pc+33000\n";
            INFO(text.substr(0, 200) << "...\n" << text.substr(text.size() - 200));
            CHECK(text.find(far) != std::string::npos);
            if (conditional)
                CHECK(text.find("if r2 & 0x1 goto pc+1\ngoto pc+1\n" + far) != std::string::npos);
        }
}

TEST_CASE("lengthening one jump that pushes another out of reach lengthens that one too", "[dsl]")
{
    Dsl b("t", ProgramType::xdp, AttachType::xdp, {.gotol = true});
    const Label outer = b.label("outer"), inner = b.label("inner");
    b.jump_if(is_zero, outer); // 32767 slots, if the next were short
    b.jump_if({.op = Jmp::eq, .left = r1, .right = i64{1}}, inner);
    for (int i = 0; i < 32766; ++i) b.emit(mov64(r0, i64{0}));
    b.bind(outer);
    for (int i = 0; i < 3; ++i) b.emit(mov64(r0, i64{1}));
    b.bind(inner);
    end(b);
    const std::string text = lines_of(must(b));
    CHECK(text.starts_with("if r1 == 0x0 goto pc+1\ngoto pc+1\ngotol pc+32769\n"
                           "if r1 == 0x1 goto pc+1\ngoto pc+1\ngotol pc+32769\n"));
}

TEST_CASE("a jump is long from the first distance on that 16 bits do not hold, either way", "[dsl]")
{
    struct Row {
        int between;
        const char *out, *back;
    };
    for (const auto& [between, out, back] :
         {Row{32766, "if r1 == 0x0 goto pc+32766\n", "goto pc-32767\n"},
          Row{32767, "if r1 == 0x0 goto pc+32767\n", "goto pc-32768\n"},
          Row{32768, "if r1 == 0x0 goto pc+1\ngoto pc+1\ngotol pc+32768\n", "gotol pc-32771\n"}}) {
        Dsl b("t", ProgramType::xdp, AttachType::xdp, {.gotol = true});
        const Label again = b.label("again"), behind = b.label("behind the loop");
        b.bind(again);
        b.jump_if(is_zero, behind);
        for (int i = 1; i < between; ++i) b.emit(mov64(r0, i64{0}));
        b.jump(again);
        b.bind(behind);
        end(b);
        const std::string text = lines_of(must(b));
        INFO(between << " between: " << text.substr(0, 80) << "..." << text.substr(text.size() - 40));
        CHECK(text.starts_with(out));
        CHECK(text.ends_with(std::string(back) + "r0 = 0\nexit\n"));
    }
}

TEST_CASE("records behind a lengthened jump count its three slots, and its number is in the first", "[dsl]")
{
    Dsl b("t", ProgramType::xdp, AttachType::xdp, {.gotol = true});
    const Label far = b.label("far");
    b.emit(mov64(r2, i64{0}));
    b.jump_if_symbol(Jmp::eq, r2, "number", far, Loc::current());
    b.load_map(r3, counts, Loc::current());
    for (int i = 0; i < 32767; ++i) b.emit(mov64(r0, i64{0}));
    const u32 behind = __LINE__ + 1;
    b.bind(far), b.emit(mov64(r4, i64{0}));
    end(b);
    const Program program = must(b);
    CHECK(lines_of(program).starts_with("r2 = 0\nif w2 == <number> goto pc+1\ngoto pc+1\ngotol pc+32769\n"
                                        "r3 = map[counts]\n"));
    REQUIRE(program.relocs.size() == 2);
    CHECK(program.relocs[0].slot == 1);
    CHECK(program.relocs[1].slot == 4);
    const auto line = std::ranges::find(program.lines, behind, &LineInfo::line);
    REQUIRE(line != program.lines.end());
    CHECK(line->slot == 32773);
}

TEST_CASE("a record begins where the line or the note changes, and at each function", "[dsl]")
{
    Dsl b("t", ProgramType::xdp, AttachType::xdp);
    const Subprogram f = b.subprogram("f", 0);
    const Loc here = Loc::current();
    b.release_context();
    b.emit(mov64(r3, i64{1}), here);
    b.emit(mov64(r4, i64{2}), here); // the same line
    b.note("a note");
    b.emit(mov64(r5, i64{3}), here); // the same line in another paragraph
    b.call(f, here);
    b.exit(no_reason, here);
    b.begin(f);
    b.emit(mov64(r0, i64{1}), here); // the same line and note, but the kernel wants a record here
    b.exit(no_reason, here);
    const Program program = must(b);
    std::vector<std::pair<u32, std::string>> records;
    for (const auto& line : program.lines) records.emplace_back(line.slot, line.text);
    CHECK(records == std::vector<std::pair<u32, std::string>>{{0, ""}, {2, "a note"}, {5, "a note"}});
    REQUIRE(program.functions.size() == 2);
    CHECK(program.functions[1].slot == 5);
}

TEST_CASE("records of lines, maps and exits count slots, of which ld_imm64 has two", "[dsl]")
{
    Dsl b("t", ProgramType::xdp, AttachType::xdp);
    b.note("first");
    b.load_map(r2, counts, Loc::current());
    const u32 line = __LINE__ - 1;
    b.note("second");
    b.jump_if_symbol(Jmp::eq, r1, "number", b.label("x"), Loc::current());
    b.load_map(r3, counts, Loc::current());
    b.bind(Label{0});
    end(b);
    const Program program = must(b);
    REQUIRE(program.relocs.size() == 3);
    CHECK(program.relocs[0].slot == 0);
    CHECK(program.relocs[0].kind == Reloc::Kind::map_fd);
    CHECK(program.relocs[0].symbol == "counts");
    CHECK(program.relocs[1].slot == 2);
    CHECK(program.relocs[1].kind == Reloc::Kind::value32);
    CHECK(program.relocs[1].symbol == "number");
    CHECK(program.relocs[2].slot == 3);
    CHECK(program.maps.size() == 1);
    REQUIRE(program.lines.size() >= 3);
    CHECK(program.lines[0].slot == 0);
    CHECK(program.lines[0].line == line);
    CHECK(program.lines[0].file == "dsl_program_test.cpp");
    CHECK(program.lines[0].text == "first");
    CHECK(program.lines[1].slot == 2);
    CHECK(program.lines[1].text == "second");
    CHECK(program.lines[2].slot == 3);
}
