// Programs that are broken on purpose, rejected by the real verifier: the report names the line and what to
// change. Each instruction's line is 100 + its slot, so the expected line says which instruction is blamed.
#include "kernel/verifier_log.hpp"

#include <bpf/bpf.h>
#include <catch2/catch.hpp>
#include <cstring>
#include <initializer_list>
#include <linux/capability.h>
#include <string>
#include <sys/syscall.h>
#include <unistd.h>

#include "lb/asm/btf.hpp"
#include "need.hpp"

using namespace lb;
using namespace lb::bpf;

namespace {

const bool ready = [] {
    test::need_bpf();
    return true;
}();

constexpr Width w8 = Width::w8, w16 = Width::w16, w32 = Width::w32, w64 = Width::w64;
constexpr i64 lookup_elem = 1;
constexpr auto cgroup_skb = static_cast<ProgramType>(8);

using Code = std::vector<Insn>;

Code operator+(Code a, const Code& b)
{
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

Program program_of(const Code& code, ProgramType type, const std::vector<u32>& functions)
{
    Program program{.name = "broken", .type = type};
    for (const Insn& each : code) {
        const auto slot = static_cast<u32>(program.code.size());
        program.lines.push_back({slot, "broken.cpp", 100 + slot, 1, "step " + std::to_string(slot)});
        program.code.push_back({each.opcode, static_cast<u8>(each.dst.index | each.src.index << 4), each.off,
                                static_cast<i32>(each.imm)});
        if (slots(each) == 2) program.code.push_back({.imm = static_cast<i32>(each.imm >> 32)});
    }
    program.functions.push_back({.name = "broken"});
    for (const u32 slot : functions)
        program.functions.push_back({.name = "sub" + std::to_string(slot), .slot = slot});
    return program;
}

struct Loaded {
    int fd = -1;
    std::string log = {};
};

Loaded load(const Program& program, u32 level, u32 flags = 0)
{
    const ProgramBtf btf = program_btf(program);
    const int types = bpf_btf_load(btf.blob.data(), btf.blob.size(), nullptr);
    Loaded result;
    result.log.assign(std::size_t{4} << 20, '\0');
    LIBBPF_OPTS(bpf_prog_load_opts, options);
    if (types >= 0) {
        options.prog_btf_fd = static_cast<u32>(types);
        options.func_info = btf.functions.data();
        options.func_info_cnt = static_cast<u32>(btf.functions.size());
        options.func_info_rec_size = sizeof(BtfFunction);
        options.line_info = btf.lines.data();
        options.line_info_cnt = static_cast<u32>(btf.lines.size());
        options.line_info_rec_size = sizeof(BtfLine);
    }
    options.log_level = level;
    options.log_buf = result.log.data();
    options.log_size = static_cast<u32>(result.log.size());
    options.prog_flags = flags;
    result.fd =
        bpf_prog_load(static_cast<bpf_prog_type>(program.type), "broken", "GPL",
                      reinterpret_cast<const bpf_insn*>(program.code.data()), program.code.size(), &options);
    result.log.resize(std::strlen(result.log.c_str()));
    if (types >= 0) close(types);
    return result;
}

/// Without CAP_PERFMON the verifier also guards against leaks of addresses and reads of unwritten stack.
class WithoutPerfmon {
public:
    WithoutPerfmon()
    {
        syscall(SYS_capget, &header_, before_);
        __user_cap_data_struct less[2] = {before_[0], before_[1]};
        less[0].effective &= ~(1u << CAP_SYS_ADMIN);
        less[1].effective &= ~(1u << (CAP_PERFMON - 32));
        syscall(SYS_capset, &header_, less);
    }
    WithoutPerfmon(const WithoutPerfmon&) = delete;
    WithoutPerfmon& operator=(const WithoutPerfmon&) = delete;
    ~WithoutPerfmon() { syscall(SYS_capset, &header_, before_); }

private:
    __user_cap_header_struct header_{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct before_[2] = {};
};

struct Broken {
    std::string name = {};
    Code code = {};
    std::optional<u32> blamed = {}; ///< slot; nothing: the whole program
    std::string complaint = {};     ///< a part of the kernel's sentence
    std::string advice = {};        ///< a part of ours
    ProgramType type = ProgramType::xdp;
    std::vector<u32> functions = {};
    u32 flags = 0;
};

void check(const Broken& broken)
{
    const Program program = program_of(broken.code, broken.type, broken.functions);
    for (const u32 level : {1u, 2u}) {
        const Loaded loaded = load(program, level, broken.flags);
        const kernel::VerifierReport report = kernel::explain_rejection(loaded.log, program);
        INFO(broken.name << ", log level " << level << "\n"
                         << loaded.log.substr(loaded.log.size() -
                                              std::min<std::size_t>(loaded.log.size(), 3000))
                         << "\n--- report\n"
                         << kernel::to_text(report));
        CHECK(loaded.fd < 0);
        if (loaded.fd >= 0) close(loaded.fd);
        CHECK_THAT(report.complaint, Catch::Contains(broken.complaint));
        CHECK_THAT(report.advice, Catch::Contains(broken.advice));
        CHECK(report.slot == broken.blamed);
        if (broken.blamed) {
            const std::string line = std::to_string(100 + *broken.blamed);
            CHECK(report.where == "broken.cpp:" + line + " (step " + std::to_string(*broken.blamed) + ")");
        }
    }
}

int map_fd(bpf_map_type type, const char* name, u32 key_size, u32 value_size, u32 entries)
{
    const int fd = bpf_map_create(type, name, key_size, value_size, entries, nullptr);
    REQUIRE(fd >= 0);
    return fd;
}

// r6 = data, r7 = data_end, r3 = a number that nobody knows; checks 14 bytes, else goes `skip` slots on.
Code checked_packet(i16 skip)
{
    return {load(w32, r6, r1, 0), load(w32, r7, r1, 4),         load(w32, r3, r1, 16),
            mov64(r2, r6),        alu64(Alu::add, r2, i64{14}), jump(Jmp::gt, r2, r7, skip)};
}

// Slots 0-5: r0 = lookup of the key 0 in the map.
Code look_up(int map)
{
    return {store(w32, fp, -4, i64{0}), mov64(r2, fp), alu64(Alu::add, r2, i64{-4}),
            ld_imm64(r1, static_cast<u64>(map), Pseudo::map_fd), call_helper(lookup_elem)};
}

const Code done = {mov64(r0, 0), bpf::exit()};

} // namespace

TEST_CASE("rejected accesses to packets are explained", "[kernel]")
{
    const std::vector<Broken> table = {
        {"no check",
         {load(w32, r6, r1, 0), load(w16, r0, r6, 12), bpf::exit()},
         1,
         "invalid access to packet",
         "claim"},
        {"too short a check", checked_packet(1) + Code{load(w8, r0, r6, 14)} + done, 6,
         "invalid access to packet", "claim"},
        {"unbounded offset",
         checked_packet(2) + Code{alu64(Alu::lsh, r3, i64{40}), alu64(Alu::add, r6, r3)} + done, 7,
         "math between pkt pointer", "Bound the number first"},
        {"atomic", checked_packet(2) + Code{mov64(r4, 1), atomic(Atomic::add, w32, r6, 0, r4)} + done, 7,
         "BPF_ATOMIC", "count in a map value"},
        {"misaligned",
         checked_packet(1) + Code{load(w32, r0, r6, 1)} + done,
         6,
         "misaligned packet access",
         "smaller parts",
         ProgramType::xdp,
         {},
         BPF_F_STRICT_ALIGNMENT},
        {"end moved",
         {load(w32, r7, r1, 4), alu64(Alu::add, r7, i64{4}), mov64(r0, 0), bpf::exit()},
         1,
         "pointer arithmetic on pkt_end",
         "Move the other side"},
        {"end read", {load(w32, r7, r1, 4), load(w32, r0, r7, 0), bpf::exit()}, 1, "'pkt_end'", "data_end"},
        {"32-bit move",
         {load(w32, r6, r1, 0), alu32(Alu::add, r6, i64{4}), mov64(r0, 0), bpf::exit()},
         1,
         "32-bit pointer arithmetic",
         "64-bit form"},
        {"bitwise",
         {load(w32, r6, r1, 0), alu64(Alu::and_, r6, i64{4}), mov64(r0, 0), bpf::exit()},
         1,
         "bitwise operator",
         "add it to the pointer last"},
        {"multiplied",
         {load(w32, r6, r1, 0), alu64(Alu::mul, r6, i64{4}), mov64(r0, 0), bpf::exit()},
         1,
         "pointer arithmetic with *=",
         "add it to the pointer last"},
        {"two pointers",
         {load(w32, r6, r1, 0), alu64(Alu::add, r6, r6), mov64(r0, 0), bpf::exit()},
         1,
         "pointer += pointer",
         "Packet::length"},
    };
    for (const Broken& each : table) check(each);
}

TEST_CASE("rejected accesses to map values are explained", "[kernel]")
{
    const int hash = map_fd(BPF_MAP_TYPE_HASH, "counts", 4, 8, 4);
    const int ring = map_fd(BPF_MAP_TYPE_RINGBUF, "ring", 0, 0, 4096);
    const Code number = {load(w32, r6, r1, 16)};
    const std::vector<Broken> table = {
        {"not compared", look_up(hash) + Code{load(w64, r0, r0, 0), bpf::exit()}, 6, "'map_value_or_null'",
         "lookup(map, key, if_null)"},
        {"behind the value", look_up(hash) + Code{jump(Jmp::eq, r0, 0, 1), load(w64, r0, r0, 8)} + done, 7,
         "invalid access to map value", "struct member"},
        {"any index",
         number + look_up(hash) +
             Code{jump(Jmp::eq, r0, 0, 2), alu64(Alu::add, r0, r6), load(w8, r0, r0, 0)} + done,
         9, "unbounded memory access", "Bound the index"},
        {"index too large",
         number + Code{alu64(Alu::and_, r6, i64{15})} + look_up(hash) +
             Code{jump(Jmp::eq, r0, 0, 2), alu64(Alu::add, r0, r6), load(w8, r0, r0, 0)} + done,
         10, "invalid access to map value", "index + width fits"},
        {"ring buffer not compared",
         {ld_imm64(r1, static_cast<u64>(ring), Pseudo::map_fd), mov64(r2, 8), mov64(r3, 0), call_helper(131),
          store(w64, r0, 0, i64{1}), mov64(r0, 0), bpf::exit()},
         5,
         "'ringbuf_mem_or_null'",
         "jump_if(result == 0"},
        {"record kept",
         {ld_imm64(r1, static_cast<u64>(ring), Pseudo::map_fd), mov64(r2, 8), mov64(r3, 0), call_helper(131),
          mov64(r0, 0), bpf::exit()},
         6,
         "Unreleased reference",
         "discard or release"},
        {"wrong argument",
         {ld_imm64(r1, static_cast<u64>(hash), Pseudo::map_fd), mov64(r2, 1), call_helper(lookup_elem),
          mov64(r0, 0), bpf::exit()},
         3,
         "R2 type=scalar expected=",
         "order of the helper's signature"},
        {"number as an address", {mov64(r2, 5), load(w32, r0, r2, 0), bpf::exit()}, 1, "'scalar'", "keep()"},
        {"no map",
         {ld_imm64(r1, 999, Pseudo::map_fd), mov64(r0, 0), bpf::exit()},
         {},
         "not pointing to valid bpf_map",
         "relocation"},
    };
    for (const Broken& each : table) check(each);
    close(hash);
    close(ring);
}

TEST_CASE("rejected uses of registers, stack, context and helpers are explained", "[kernel]")
{
    const std::vector<Broken> table = {
        {"never set", {mov64(r0, r3), bpf::exit()}, 0, "R3 !read_ok", "keep()"},
        {"lost in a call",
         {mov64(r1, 5), call_helper(5), mov64(r0, r1), bpf::exit()},
         2,
         "R1 !read_ok",
         "keep()"},
        {"no result", {bpf::exit()}, 0, "R0 !read_ok", "Exits"},
        {"r10 written", {mov64(fp, 0), mov64(r0, 0), bpf::exit()}, 0, "frame pointer is read only", "take()"},
        {"misaligned stack",
         {mov64(r0, 0), store(w64, fp, -12, r0), bpf::exit()},
         1,
         "misaligned stack access",
         "8-aligned"},
        {"below the frame",
         {store(w32, fp, -516, i64{0}), mov64(r0, 0), bpf::exit()},
         0,
         "invalid write to stack",
         "per-CPU array"},
        {"above the frame",
         {load(w32, r0, fp, 8), bpf::exit()},
         0,
         "invalid read from stack",
         "Write every member"},
        {"stack pointer minus a number",
         {load(w32, r2, r1, 16), mov64(r3, fp), alu64(Alu::sub, r3, r2), mov64(r0, 0), bpf::exit()},
         2,
         "subtraction from stack pointer",
         "distances are constants"},
        {"context moved",
         {alu64(Alu::add, r1, i64{4}), load(w32, r0, r1, 0), bpf::exit()},
         1,
         "dereference of modified ctx ptr",
         "View"},
        {"context moved by a number",
         {load(w32, r2, r1, 16), alu64(Alu::add, r1, r2), load(w32, r0, r1, 0), bpf::exit()},
         2,
         "variable ctx access",
         "View"},
        {"no such field",
         {load(w32, r0, r1, 200), bpf::exit()},
         0,
         "invalid bpf_context access",
         "XdpMd or SkBuff"},
        {"no such helper",
         {call_helper(9999), bpf::exit()},
         0,
         "invalid func unknown#9999",
         "kernel's features"},
        {"a helper of others",
         {mov64(r2, 0), call_helper(44), bpf::exit()},
         1,
         "cannot use helper",
         "ProgramType",
         ProgramType::sched_cls},
        {"verdict out of range",
         {mov64(r0, 77), bpf::exit()},
         1,
         "At program exit the register R0",
         "verdict",
         cgroup_skb},
        {"reserved field",
         {Insn{.opcode = 0xb7, .src = r3}, bpf::exit()},
         0,
         "uses reserved fields",
         "insn.hpp"},
        {"division by 0",
         {mov64(r0, 4), alu64(Alu::div, r0, i64{0}), bpf::exit()},
         1,
         "div by zero",
         "Check the number"},
        {"shift", {mov64(r0, 4), alu64(Alu::lsh, r0, i64{64}), bpf::exit()}, 1, "invalid shift", "0..63"},
        {"opcode", {Insn{.opcode = 0xff}, mov64(r0, 0), bpf::exit()}, {}, "unknown opcode", "Isa"},
    };
    for (const Broken& each : table) check(each);
}

TEST_CASE("rejected shapes of programs are explained", "[kernel]")
{
    const std::vector<u32> every_second = {2, 4, 6, 8, 10, 12, 14, 16};
    Code deep;
    for (int i = 0; i < 8; ++i) deep = deep + Code{call_local(1), bpf::exit()};
    const std::vector<Broken> table = {
        {"dead code",
         {mov64(r0, 0), bpf::exit(), mov64(r0, 1), bpf::exit()},
         2,
         "unreachable insn 2",
         "prune"},
        {"no end",
         {mov64(r0, 0), mov64(r0, 0), jump(Jmp::ne, r1, 0, -2), bpf::exit()},
         1,
         "infinite loop detected",
         "repeat(times"},
        {"too long",
         {mov64(r0, 0), jump(Jmp::ge, r0, 1 << 30, 2), alu64(Alu::add, r0, i64{1}), go(-3), bpf::exit()},
         3,
         "program is too large",
         "Lower the rounds"},
        {"jump out",
         {mov64(r0, 0), jump(Jmp::eq, r0, 0, 100), bpf::exit()},
         1,
         "jump out of range",
         "labels"},
        {"into ld_imm64",
         {ld_imm64(r1, 9), mov64(r0, 0), jump(Jmp::eq, r0, 0, -3), bpf::exit()},
         0,
         "jump into the middle of ldimm64",
         "counts two"},
        {"runs off the end",
         {mov64(r0, 0), mov64(r0, 1)},
         1,
         "last insn is not an exit or jmp",
         "Exits::emit"},
        {"frames too large",
         {store(w64, fp, -400, i64{0}), call_local(1), bpf::exit(), store(w64, fp, -400, i64{0}),
          mov64(r0, 0), bpf::exit()},
         {},
         "combined stack size",
         "subprogram",
         ProgramType::xdp,
         {3}},
        {"calls too deep", deep + done, 14, "the call stack of", "into their callers", ProgramType::xdp,
         every_second},
    };
    for (const Broken& each : table) check(each);
}

TEST_CASE("what the kernel refuses without CAP_PERFMON is explained", "[kernel]")
{
    const int hash = map_fd(BPF_MAP_TYPE_HASH, "counts", 4, 8, 4);
    const std::vector<Broken> table = {
        {"unwritten stack",
         {load(w64, r0, fp, -8), bpf::exit()},
         0,
         "invalid read from stack",
         "Write every member"},
        {"unwritten key",
         {mov64(r2, fp), alu64(Alu::add, r2, i64{-4}), ld_imm64(r1, static_cast<u64>(hash), Pseudo::map_fd),
          call_helper(lookup_elem), mov64(r0, 0), bpf::exit()},
         4,
         "invalid read from stack",
         "each byte of key_size"},
        {"address returned", {mov64(r0, r1), bpf::exit()}, 1, "leaks addr", "Store the number"},
        {"address stored", look_up(hash) + Code{jump(Jmp::eq, r0, 0, 1), store(w64, r0, 0, fp)} + done, 7,
         "leaks addr", "Store the number"},
        {"pointers compared",
         {jump(Jmp::gt, r1, fp, 0), mov64(r0, 0), bpf::exit()},
         0,
         "pointer comparison",
         "Compare numbers"},
        {"pointer overwritten",
         {store(w64, fp, -8, r1), store(w8, fp, -8, i64{1}), mov64(r0, 0), bpf::exit()},
         1,
         "corrupt spilled pointer",
         "of its own"},
    };
    const WithoutPerfmon guarded;
    for (const Broken& each : table) check(each);
    close(hash);
}

TEST_CASE("the statistics of an accepted program are those that the kernel counted", "[kernel]")
{
    const Program program = program_of(
        {mov64(r0, 0), call_local(1), bpf::exit(), store(w64, fp, -40, i64{0}), mov64(r0, 0), bpf::exit()},
        ProgramType::xdp, {3});
    const Loaded loaded = load(program, 4);
    INFO(loaded.log);
    REQUIRE(loaded.fd >= 0);
    close(loaded.fd);
    const auto stats = kernel::parse_verifier_stats(loaded.log);
    REQUIRE(stats);
    CHECK(stats->instructions == 6);
    CHECK(stats->instructions_limit == 1'000'000);
    CHECK(stats->stack_depth == std::vector<u32>{0, 40});
    CHECK(stats->microseconds.has_value());
}
