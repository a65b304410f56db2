// From statements to a program: what is dropped, what is lengthened, and where records point.
#include <random>

#include "dsl_text.hpp"
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

void end(Dsl& b)
{
    b.emit(mov64(r0, i64{0}));
    b.exit();
}

const Cond is_zero{.op = Jmp::eq, .left = r1, .right = i64{0}};
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

namespace {

// A program at random, of statements that may be misused.
std::expected<Program, Error> random_program(u32 seed)
{
    std::mt19937 random(seed);
    const auto below = [&](u32 n) { return static_cast<u32>(random() % n); };
    const auto reg = [&] { return Reg{static_cast<u8>(below(10))}; };
    Dsl b("random", ProgramType::xdp, AttachType::xdp, {.gotol = below(2) == 0});
    b.release_context();
    for (u8 i = 0; i < 10; ++i)
        if (below(8) != 0) b.emit(mov64(Reg{i}, i64{i}));
    std::vector<Label> labels;
    for (int i = 0; i < 5; ++i) labels.push_back(b.label("l" + std::to_string(i)));
    std::vector<bool> bound(labels.size());
    const u32 steps = 5 + below(60);
    for (u32 i = 0; i < steps; ++i) {
        const u32 which = below(static_cast<u32>(labels.size()));
        switch (below(10)) {
        case 0:
            b.emit(mov64(reg(), static_cast<i64>(random())));
            break;
        case 1:
            b.emit(alu64(Alu::add, reg(), reg()));
            break;
        case 2:
            b.emit(alu32(Alu::xor_, reg(), static_cast<i64>(below(1000))));
            break;
        case 3:
            b.jump_if({.op = Jmp::lt, .left = reg(), .right = static_cast<i64>(random())}, labels[which]);
            break;
        case 4:
            b.jump(labels[which]);
            break;
        case 5:
            if (!bound[which]) b.bind(labels[which]);
            bound[which] = true;
            break;
        case 6:
            b.emit(store(Width::w32, fp, static_cast<i16>(-4 * (1 + static_cast<int>(below(8)))), reg()));
            break;
        case 7:
            b.emit(load(Width::w16, reg(), fp, static_cast<i16>(-2 * (1 + static_cast<int>(below(8))))));
            break;
        case 8:
            b.emit(ld_imm64(reg(), random()));
            break;
        case 9:
            b.if_({.op = Jmp::ne, .left = reg(), .right = reg()}, [&] { b.emit(mov64(reg(), reg())); });
            break;
        }
    }
    for (std::size_t i = 0; i < labels.size(); ++i)
        if (!bound[i] && below(10) != 0) b.bind(labels[i]);
    end(b);
    return b.finish();
}

void check_whole(const Program& program)
{
    std::vector<bool> starts(program.code.size());
    for (u32 slot = 0; slot < program.code.size();) {
        starts[slot] = true;
        const auto insn = decode_one(std::span(program.code).subspan(slot));
        REQUIRE(insn.has_value());
        slot += slots(*insn);
    }
    u32 last = 0;
    for (u32 slot = 0; slot < program.code.size();) {
        const auto insn = decode_one(std::span(program.code).subspan(slot));
        if (is_goto(*insn) || is_conditional(*insn)) {
            const i64 to = i64{slot} + 1 + (insn->opcode == opcode_gotol ? insn->imm : i64{insn->off});
            REQUIRE(to >= 0);
            REQUIRE(to < static_cast<i64>(program.code.size()));
            CHECK(starts[static_cast<std::size_t>(to)]);
        }
        last = slot;
        slot += slots(*insn);
    }
    const auto final_insn = decode_one(std::span(program.code).subspan(last));
    CHECK((is_exit(*final_insn) || is_goto(*final_insn)));
    for (const auto& line : program.lines) CHECK(starts[line.slot]);
}

} // namespace

TEST_CASE("statements at random end in an error or in a whole program, and always in the same one",
          "[dsl][random]")
{
    u32 accepted = 0;
    const u32 first = std::random_device{}();
    for (u32 i = 0; i < 3000; ++i) {
        INFO("seed " << first + i);
        const auto once = random_program(first + i), again = random_program(first + i);
        REQUIRE(once.has_value() == again.has_value());
        if (!once) {
            CHECK(once.error().where.line() > 0);
            CHECK(to_string(once.error()) == to_string(again.error()));
            continue;
        }
        ++accepted;
        check_whole(*once);
        CHECK(std::ranges::equal(once->code, again->code, [](const RawInsn& a, const RawInsn& c) {
            return __builtin_memcmp(&a, &c, sizeof a) == 0;
        }));
    }
    CHECK(accepted > 100); // otherwise this shows nothing
}
