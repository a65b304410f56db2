// Loads, stores, atomics, ld_imm64 and calls as the kernel runs them, each result against a literal value.
#include "isa_kernel.hpp"

#include "../isa_cases.hpp"

#include <bpf/btf.h>
#include <fstream>
#include <sys/mman.h>

using namespace lb;
using namespace lb::bpf;
using namespace lb::bpf::cases;
using namespace lb::bpf::test;

namespace {

constexpr u64 value = 0x91a2b3c4d5e6f788;

Context atomically(Atomic op, Width width, u64 memory, u64 operand)
{
    const Insn insn = atomic(op, width, fp, -8, r2);
    INFO(disassemble(insn));
    return run({insn, mov64(r0, r2)}, memory, operand);
}

constexpr Atomic fetching(Atomic op) { return static_cast<Atomic>(static_cast<i32>(op) | 1); }

/// Where the kernel says that one of its functions lies.
u64 address_of(const std::string& function)
{
    std::ifstream symbols("/proc/kallsyms");
    std::string address, kind, name, rest;
    while (symbols >> address >> kind >> name && std::getline(symbols, rest)) {
        if (name == function) return std::stoull(address, nullptr, 16);
    }
    return 0;
}

/// Ends a body early when r0 is a null pointer: the rest, `body`, reads through it.
Insns unless_null(const Insns& body)
{
    i16 length = 0;
    for (const Insn& insn : body) length = static_cast<i16>(length + static_cast<i16>(slots(insn)));
    return join({{jump(Jmp::eq, r0, 0, length)}, body});
}

} // namespace

TEST_CASE("loads take their width and extend with zeros, or with the sign", "[kernel][asm]")
{
    CHECK(run({load(Width::w8, r0, fp, -8)}, value).result == 0x88);
    CHECK(run({load(Width::w16, r0, fp, -8)}, value).result == 0xf788);
    CHECK(run({load(Width::w32, r0, fp, -8)}, value).result == 0xd5e6f788);
    CHECK(run({load(Width::w64, r0, fp, -8)}, value).result == 0x91a2b3c4d5e6f788);
    CHECK(run({load(Width::w16, r0, fp, -2)}, value).result == 0x91a2);
    CHECK(run({load_signed(Width::w8, r0, fp, -8)}, value).result == 0xffffffffffffff88);
    CHECK(run({load_signed(Width::w16, r0, fp, -8)}, value).result == 0xfffffffffffff788);
    CHECK(run({load_signed(Width::w32, r0, fp, -8)}, value).result == 0xffffffffd5e6f788);
    CHECK(run({load_signed(Width::w8, r0, fp, -8)}, 0x7f).result == 0x7f);
}

TEST_CASE("stores write their width and no more", "[kernel][asm]")
{
    constexpr u64 operand = 0x1122334455667788;
    CHECK(run({store(Width::w8, fp, -8, r2)}, 0, operand).memory == 0x88);
    CHECK(run({store(Width::w16, fp, -8, r2)}, 0, operand).memory == 0x7788);
    CHECK(run({store(Width::w32, fp, -8, r2)}, 0, operand).memory == 0x55667788);
    CHECK(run({store(Width::w64, fp, -8, r2)}, 0, operand).memory == operand);
    CHECK(run({store(Width::w8, fp, -8, -2)}).memory == 0xfe);
    CHECK(run({store(Width::w16, fp, -8, -2)}).memory == 0xfffe);
    CHECK(run({store(Width::w32, fp, -8, -2)}).memory == 0xfffffffe);
    CHECK(run({store(Width::w64, fp, -8, -2)}).memory == 0xfffffffffffffffe);
}

TEST_CASE("load_acquire and store_release move their width", "[kernel][asm]")
{
    CHECK(run({load_acquire(Width::w8, r0, fp, -8)}, value).result == 0x88);
    CHECK(run({load_acquire(Width::w16, r0, fp, -8)}, value).result == 0xf788);
    CHECK(run({load_acquire(Width::w32, r0, fp, -8)}, value).result == 0xd5e6f788);
    CHECK(run({load_acquire(Width::w64, r0, fp, -8)}, value).result == value);
    CHECK(run({store_release(Width::w8, fp, -8, r2)}, 0, value).memory == 0x88);
    CHECK(run({store_release(Width::w16, fp, -8, r2)}, 0, value).memory == 0xf788);
    CHECK(run({store_release(Width::w32, fp, -8, r2)}, 0, value).memory == 0xd5e6f788);
    CHECK(run({store_release(Width::w64, fp, -8, r2)}, 0, value).memory == value);
}

TEST_CASE("atomics change the memory, and with fetch give what was there", "[kernel][asm]")
{
    for (const auto& [op, memory, operand, after64, after32] : atomic_cases) {
        INFO("memory " << std::hex << memory << " operand " << operand);
        const u64 low = memory & 0xffffffff;
        const Context wide = atomically(fetching(op), Width::w64, memory, operand);
        CHECK(wide.memory == after64);
        CHECK(wide.result == memory);
        const Context narrow = atomically(fetching(op), Width::w32, memory, operand);
        CHECK(narrow.memory == after32);
        CHECK(narrow.result == low);
        if (op == Atomic::xchg) continue; // always fetches
        const Context quiet = atomically(op, Width::w64, memory, operand);
        CHECK(quiet.memory == after64);
        CHECK(quiet.result == operand);
        CHECK(atomically(op, Width::w32, memory, operand).memory == after32);
    }
}

TEST_CASE("cmpxchg writes when r0 is what memory holds, and gives what was there", "[kernel][asm]")
{
    const auto with_expected = [](Width width, u64 expected, u64 memory, u64 operand) {
        return run({ld_imm64(r0, expected), atomic(Atomic::cmpxchg, width, fp, -8, r2)}, memory, operand);
    };
    constexpr u64 memory = 0x1111111122222222, operand = 0x3333333344444444;
    const Context equal = with_expected(Width::w64, memory, memory, operand);
    CHECK(equal.memory == operand);
    CHECK(equal.result == memory);
    const Context other = with_expected(Width::w64, 5, memory, operand);
    CHECK(other.memory == memory);
    CHECK(other.result == memory);
    const Context narrow = with_expected(Width::w32, 0x22222222, memory, operand);
    CHECK(narrow.memory == 0x1111111144444444);
    CHECK(narrow.result == 0x22222222);
    CHECK(with_expected(Width::w32, 5, memory, operand).memory == memory);
}

TEST_CASE("ld_imm64 loads a number, a map, a place in a map's value, and something in the kernel",
          "[kernel][asm]")
{
    CHECK(run({ld_imm64(r0, 0x1122334455667788)}).result == 0x1122334455667788);

    const Fd map = two_words(111, 222);
    const u64 fd = static_cast<u64>(map.get());
    const int fds[] = {map.get()};
    const auto run_with = [&](const Insns& body) {
        return run(load(ProgramType::syscall, around(body),
                        {.sz = sizeof(bpf_prog_load_opts), .fd_array = fds}),
                   0, 0)
            .result;
    };
    const auto look_up = [](const Insn& load_map) {
        return join({{store(Width::w32, fp, -12, 0), mov64(r2, fp), alu64(Alu::add, r2, -12), load_map,
                      call_helper(static_cast<i64>(Helper::map_lookup_elem))},
                     unless_null({load(Width::w64, r0, r0, 8)})});
    };
    CHECK(run_with(look_up(ld_imm64(r1, fd, Pseudo::map_fd))) == 222);
    CHECK(run_with(look_up(ld_imm64(r1, 0, Pseudo::map_idx))) == 222);
    CHECK(run_with({ld_imm64(r1, fd, Pseudo::map_value), load(Width::w64, r0, r1, 0)}) == 111);
    CHECK(run_with({ld_imm64(r1, u64{8} << 32 | fd, Pseudo::map_value), load(Width::w64, r0, r1, 0)}) == 222);
    CHECK(run_with({ld_imm64(r1, u64{8} << 32, Pseudo::map_idx_value), load(Width::w64, r0, r1, 0)}) == 222);

    // A function, not a variable: kernels built without all symbols know no variable's address.
    const int function = kernel_btf_id("bpf_rcu_read_lock", BTF_KIND_FUNC);
    REQUIRE(function > 0);
    CHECK(run_with({ld_imm64(r0, static_cast<u64>(function), Pseudo::btf_id)}) ==
          address_of("bpf_rcu_read_lock"));
}

TEST_CASE("ld_imm64 gives the address of a function, which a helper calls", "[kernel][asm]")
{
    // Adds the index of each of the calls to the number at its second argument: 0 + 1 + 2 + 3 + 4.
    const Insns body{store(Width::w64, fp, -8, 0),
                     mov64(r1, 5),
                     ld_imm64(r2, 10, Pseudo::func),
                     mov64(r3, fp),
                     alu64(Alu::add, r3, -8),
                     mov64(r4, 0),
                     call_helper(static_cast<i64>(Helper::loop))};
    const Insns callback{load(Width::w64, r3, r2, 0), alu64(Alu::add, r3, r1), store(Width::w64, r2, 0, r3),
                         mov64(r0, 0), exit()};
    const Insns insns = around(body, callback);
    u32 start = 0;
    for (const Insn& insn : around(body)) start += slots(insn);

    // The kernel takes the address only of a function that BTF calls static.
    btf* types = btf__new_empty();
    const int number = btf__add_int(types, "long", 8, BTF_INT_SIGNED);
    const int pointer = btf__add_ptr(types, 0);
    const int entry_type = btf__add_func_proto(types, number);
    REQUIRE(btf__add_func_param(types, "ctx", pointer) == 0);
    const int callback_type = btf__add_func_proto(types, number);
    REQUIRE(btf__add_func_param(types, "index", number) == 0);
    REQUIRE(btf__add_func_param(types, "sum", pointer) == 0);
    const int entry = btf__add_func(types, "entry", BTF_FUNC_GLOBAL, entry_type);
    const int each = btf__add_func(types, "each", BTF_FUNC_STATIC, callback_type);
    REQUIRE(btf__load_into_kernel(types) == 0);
    const bpf_func_info functions[] = {{0, static_cast<u32>(entry)}, {start, static_cast<u32>(each)}};

    bpf_prog_load_opts options{.sz = sizeof options};
    options.prog_btf_fd = static_cast<u32>(btf__fd(types));
    options.func_info = functions;
    options.func_info_cnt = 2;
    options.func_info_rec_size = sizeof(bpf_func_info);
    const Loaded program = load(ProgramType::syscall, insns, options);
    const Context context = run(program, 0, 0);
    CHECK(context.result == 5);
    CHECK(context.memory == 10);
    btf__free(types);
}

TEST_CASE("helpers, functions of the program and functions of the kernel are called", "[kernel][asm]")
{
    const Context helper =
        run({call_helper(static_cast<i64>(Helper::get_current_pid_tgid)), alu64(Alu::rsh, r0, 32)});
    CHECK(helper.result == static_cast<u64>(getpid()));

    const Insns function{mov64(r0, r1), alu64(Alu::sub, r0, r2), exit()};
    CHECK(run(load(ProgramType::syscall, around({call_local(5)}, function)), 50, 8).result == 42);

    const auto kfunc = [](const char* name) {
        const int id = kernel_btf_id(name, BTF_KIND_FUNC);
        REQUIRE(id > 0);
        return call_kfunc(id);
    };
    // for (i = 3; i < 7; ++i) sum += i, by the iterator at fp-16.
    const Insns iterate{mov64(r7, 0),
                        mov64(r1, fp),
                        alu64(Alu::add, r1, -16),
                        mov64(r2, 3),
                        mov64(r3, 7),
                        kfunc("bpf_iter_num_new"),
                        mov64(r1, fp),
                        alu64(Alu::add, r1, -16),
                        kfunc("bpf_iter_num_next"),
                        jump(Jmp::eq, r0, 0, 3),
                        load(Width::w32, r1, r0, 0),
                        alu64(Alu::add, r7, r1),
                        go(-7),
                        mov64(r1, fp),
                        alu64(Alu::add, r1, -16),
                        kfunc("bpf_iter_num_destroy"),
                        mov64(r0, r7)};
    CHECK(run(iterate).result == 18);
}

TEST_CASE("addr_space_cast makes a pointer into an arena of a number", "[kernel][asm]")
{
    const Arena arena = make_arena();
    *arena.words = 0x1234;
    const Insns body{ld_imm64(r3, static_cast<u64>(arena.map.get()), Pseudo::map_fd),
                     addr_space_cast(r1, r1, 0, 1), load(Width::w64, r0, r1, 0)};
    CHECK(run(body, reinterpret_cast<u64>(arena.words)).result == 0x1234);
    munmap(arena.words, 4096);
}

TEST_CASE("classic packet loads give host order, and end the program beyond the packet", "[kernel][asm]")
{
    std::array<u8, 64> packet{};
    for (std::size_t i = 0; i < packet.size(); ++i) packet[i] = static_cast<u8>(i);
    const auto returned = [&](const Insns& body) {
        const Loaded program =
            load(ProgramType::sched_cls, join({{mov64(r6, r1), mov64(r7, 20)}, body, {exit()}}));
        LIBBPF_OPTS(bpf_test_run_opts, options);
        options.data_in = packet.data();
        options.data_size_in = static_cast<u32>(packet.size());
        REQUIRE(bpf_prog_test_run_opts(program.fd.get(), &options) == 0);
        return options.retval;
    };
    CHECK(returned({load_abs(Width::w8, 16)}) == 16);
    CHECK(returned({load_abs(Width::w16, 16)}) == 0x1011);
    CHECK(returned({load_abs(Width::w32, 16)}) == 0x10111213);
    CHECK(returned({load_ind(Width::w8, r7, 1)}) == 21);
    CHECK(returned({load_ind(Width::w16, r7, 0)}) == 0x1415);
    CHECK(returned({load_ind(Width::w32, r7, -4)}) == 0x10111213);
    CHECK(returned({load_abs(Width::w8, 64), mov64(r0, 7)}) == 0);
}
