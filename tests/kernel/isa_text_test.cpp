// Our text against the kernel's own: each form is put into a program, and what the verifier logs for its
// slots must be what we print. The kernel's log is the independent witness here; nothing of ours makes it.
#include "isa_kernel.hpp"

#include <algorithm>
#include <linux/btf.h>
#include <map>
#include <sstream>

#include "../asm_cases.hpp"

using namespace lb;
using namespace lb::bpf;
using namespace lb::bpf::test;

namespace {

/// The instructions of a verifier log by slot, as `(b7) r1 = 5`; states and remarks are left out.
std::map<u32, std::string> logged(const std::string& log)
{
    std::map<u32, std::string> lines;
    std::istringstream stream(log);
    for (std::string line; std::getline(stream, line);) {
        const auto colon = line.find(": (");
        if (colon == line.npos || line.find_first_not_of("0123456789") != colon) continue;
        std::string text = line.substr(colon + 2, std::min(line.find(';'), line.size()) - colon - 2);
        while (text.ends_with(' ')) text.pop_back();
        lines[static_cast<u32>(std::stoul(line))] = text;
    }
    return lines;
}

bool is_cast(const Insn& insn)
{
    return insn == addr_space_cast(r1, r2, 0, 1) || insn == addr_space_cast(r1, r2, 1, 0);
}

/// Why a form cannot be put into a program as it stands; empty if it can.
std::string excluded(const Insn& insn)
{
    if (insn == mov_percpu(r1, r2)) return "only the verifier itself writes it";
    if (insn.opcode == opcode_ld_imm64 && insn.src != r0) return "the log has an address: see below";
    if (insn.opcode == opcode_call && insn.src.index == 2) return "the log has a name and an id: see below";
    return "";
}

/// A program in which `insn` can stand: every register holds a number but r6, which holds the context. The
/// jump over `insn` makes what follows it reachable even when it is a jump or an exit.
Insns program_with(const Insn& insn, const Insns& prelude)
{
    Insns program{mov64(r6, r1), store(Width::w64, fp, -8, 0), store(Width::w64, fp, -16, 0)};
    program.insert(program.end(), prelude.begin(), prelude.end());
    for (const Reg reg : {r0, r1, r2, r3, r4, r5, r7, r8, r9}) program.push_back(mov64(reg, 3));
    program.push_back(jump(Jmp::eq, r7, 99, static_cast<i16>(slots(insn))));
    program.push_back(insn);
    program.insert(program.end(), {mov64(r0, 0), mov64(r0, 0), exit()});
    // The function that `call pc+3` leads to; elsewhere the kernel would refuse it as unreachable.
    if (insn == call_local(3)) program.insert(program.end(), {mov64(r0, 1), exit()});
    return program;
}

std::string line_of(const Loaded& program, const Insns& insns, std::size_t index)
{
    u32 slot = 0;
    for (std::size_t i = 0; i < index; ++i) slot += slots(insns[i]);
    return logged(program.log)[slot];
}

} // namespace

TEST_CASE("our text of every form is the text of the kernel's verifier log", "[kernel][asm]")
{
    std::size_t compared = 0, left_out = 0;
    const Arena arena = make_arena();
    const Insns arena_prelude{ld_imm64(r8, static_cast<u64>(arena.map.get()), Pseudo::map_fd)};
    for (const auto& [insn, text] : cases::text_cases) {
        INFO(text);
        if (const std::string reason = excluded(insn); !reason.empty()) {
            ++left_out;
            continue;
        }
        const bool cast = is_cast(insn);
        const Insns insns = program_with(insn, cast ? arena_prelude : Insns{});
        const Loaded program = load(ProgramType::sched_cls, insns);
        const auto lines = logged(program.log);
        u32 slot = 0;
        bool seen = false;
        for (const Insn& each : insns) {
            const auto line = lines.find(slot);
            const bool address = each.opcode == opcode_ld_imm64 && each.src != r0;
            if (line != lines.end() && !address) {
                CHECK(line->second == disassemble_with_opcode(each));
                seen = seen || each == insn;
            }
            slot += slots(each);
        }
        CHECK(seen);
        ++compared;
    }
    CHECK(compared == 176);
    CHECK(left_out == 8);
}

TEST_CASE(
    "where the log has the address of a map or of something in the kernel, only that differs from our text",
    "[kernel][asm]")
{
    const Fd map = two_words(1, 2);
    const u64 fd = static_cast<u64>(map.get());
    const int function = kernel_btf_id("bpf_rcu_read_lock", BTF_KIND_FUNC);
    REQUIRE(function > 0);
    const int fds[] = {map.get()};
    const Insn loads[] = {
        ld_imm64(r1, fd, Pseudo::map_fd), ld_imm64(r1, u64{8} << 32 | fd, Pseudo::map_value),
        ld_imm64(r1, static_cast<u64>(function), Pseudo::btf_id), ld_imm64(r1, 0, Pseudo::map_idx),
        ld_imm64(r1, u64{8} << 32, Pseudo::map_idx_value)};
    for (const Insn& insn : loads) {
        INFO(disassemble(insn));
        const Insns insns{insn, mov64(r0, 0), exit()};
        const Loaded program =
            load(ProgramType::sched_cls, insns, {.sz = sizeof(bpf_prog_load_opts), .fd_array = fds});
        const std::string line = line_of(program, insns, 0);
        const std::string start = "(18) r1 = ";
        CHECK(line.starts_with(start + "0x"));
        CHECK(disassemble_with_opcode(insn).starts_with(start));
    }
}

TEST_CASE("a call of a kernel function differs from the log by its name only", "[kernel][asm]")
{
    const int id = kernel_btf_id("bpf_rcu_read_lock", BTF_KIND_FUNC);
    const int unlock = kernel_btf_id("bpf_rcu_read_unlock", BTF_KIND_FUNC);
    REQUIRE(id > 0);
    const Insns insns{call_kfunc(id), call_kfunc(unlock), mov64(r0, 0), exit()};
    const Loaded program = load(ProgramType::sched_cls, insns);
    CHECK(line_of(program, insns, 0) == "(85) call bpf_rcu_read_lock#" + std::to_string(id));
    CHECK(disassemble_with_opcode(call_kfunc(id)) == "(85) call kernel-function#" + std::to_string(id));
}

TEST_CASE("immediates and offsets at the ends of their ranges print as in the log", "[kernel][asm]")
{
    const Insns insns{mov64(r1, 2147483647),
                      mov64(r2, -2147483648),
                      ld_imm64(r3, 0),
                      ld_imm64(r4, ~u64{0}),
                      alu64(Alu::add, r1, -2147483648),
                      store(Width::w64, fp, -512, -1),
                      load(Width::w8, r5, fp, -512),
                      jump(Jmp::set, r5, -2147483648, 0),
                      jump32(Jmp::slt, r5, -1, 0),
                      go_long(0),
                      go(0),
                      mov64(r0, 0),
                      exit()};
    const auto lines = logged(load(ProgramType::sched_cls, insns).log);
    u32 slot = 0;
    for (const Insn& insn : insns) {
        REQUIRE(lines.contains(slot));
        CHECK(lines.at(slot) == disassemble_with_opcode(insn));
        slot += slots(insn);
    }
}
