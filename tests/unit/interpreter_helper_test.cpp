// Helpers, packets and contexts as programs use them, and what a run reports.
#include "interpreter_fixture.hpp"

#include <cerrno>

#include "lb/asm/dsl.hpp"
#include "lb/asm/profile.hpp"

using namespace lb;
using namespace lb::bpf;
using namespace lb::bpf::test;

namespace {

std::vector<u8> counting_frame(u8 size)
{
    std::vector<u8> frame(size);
    for (u8 i = 0; i < size; ++i) frame[i] = i;
    return frame;
}

/// r0 of a TC program whose r6 is the context.
Outcome run_skb(const Insns& body, SkbInput input)
{
    return must(interpret(program_of(tc, join({{mov64(r6, r1)}, body, {exit()}})), std::move(input)));
}

i64 signed_result(const Outcome& outcome) { return static_cast<i64>(outcome.result); }

} // namespace

TEST_CASE("time, CPU and chance are the environment's", "[interpreter][helpers]")
{
    Environment environment{.jiffies = 11, .monotonic_ns = 22, .coarse_ns = 33, .random = {0xffffffff, 7}};
    CHECK(result_of(call(Helper::jiffies64), environment) == 11);
    CHECK(result_of(call(Helper::ktime_get_ns), environment) == 22);
    CHECK(result_of(call(Helper::ktime_get_coarse_ns), environment) == 33);
    CHECK(result_of(call(Helper::get_prandom_u32), environment) == 0xffffffff);
    CHECK(result_of(join({call(Helper::get_prandom_u32), call(Helper::get_prandom_u32)}), environment) == 7);
    Machine machine(4);
    const auto program =
        must_load(machine, program_of(xdp, join({call(Helper::get_smp_processor_id), {exit()}})));
    CHECK(must(machine.run(program, XdpInput{}, {.cpu = 3})).result == 3);
}

TEST_CASE("a program finds, changes, puts and removes elements of maps", "[interpreter][helpers]")
{
    const Map<u32, u64> numbers("numbers", MapType::hash, 2);
    Dsl b("maps", xdp, AttachType::xdp);
    b.release_context();
    const auto key = b.local<u32>("key");
    const auto value = b.local<u64>("value");
    const Label missing = b.label("missing"), failed = b.label("failed");
    key() = 5;
    value() = 100;
    {
        auto element = b.lookup_brief(numbers, key, missing);
        element.value().add(1);
        element.value().atomic_add(1);
    }
    key() = 6;
    b.jump_if(b.update(numbers, key, value, UpdateFlag::no_exist) != 0, failed);
    key() = 5;
    b.remove(numbers, key);
    b.emit(mov64(r0, 1));
    b.exit(no_reason);
    b.bind(missing);
    b.emit(mov64(r0, 2));
    b.bind(failed);
    b.exit(no_reason);
    const auto made = b.finish();
    REQUIRE(made);

    Machine machine;
    const auto program = must_load(machine, *made);
    MapMemory& map = machine.map("numbers");
    CHECK(must(machine.run(program, XdpInput{})).result == 2);
    map.update(u32{5}, u64{40});
    CHECK(must(machine.run(program, XdpInput{})).result == 1);
    CHECK_FALSE(map.lookup<u32, u64>(5));
    CHECK(map.lookup<u32, u64>(6) == 100);
    map.update(u32{5}, u64{40});
    const Outcome outcome = must(machine.run(program, XdpInput{}));
    CHECK(signed_result(outcome) == -EEXIST);
    CHECK(map.lookup<u32, u64>(5) == 42);
    CHECK(outcome.calls == std::vector{Helper::map_lookup_elem, Helper::map_update_elem});
}

TEST_CASE("a program sees its own CPU's value, and another's by map_lookup_percpu_elem",
          "[interpreter][helpers]")
{
    const Insns at_zero{store(Width::w32, fp, -4, 0), mov64(r2, fp), alu64(Alu::add, r2, -4), load_map(r1)};
    const Insns value_or_seven{jump(Jmp::ne, r0, 0, 2), mov64(r0, 7), exit(), load(Width::w64, r0, r0, 0)};
    Machine machine(3);
    const MapSpec spec = Map<u32, u64>("cells", MapType::percpu_array, 1);
    const auto own = must_load(
        machine,
        program_of(xdp, join({at_zero, call(Helper::map_lookup_elem), value_or_seven, {exit()}}), {spec}));
    const auto of_cpu = [&](u32 cpu) {
        return must_load(machine, program_of(xdp,
                                             join({at_zero,
                                                   {mov64(r3, i64{cpu})},
                                                   call(Helper::map_lookup_percpu_elem),
                                                   value_or_seven,
                                                   {exit()}}),
                                             {spec}));
    };
    MapMemory& map = machine.map("cells");
    const u32 zero = 0;
    const auto key = MapMemory::Bytes(reinterpret_cast<const u8*>(&zero), 4);
    for (u64 cpu = 0; cpu < 3; ++cpu) {
        const u64 value = 100 + cpu;
        map.update_raw(key, {reinterpret_cast<const u8*>(&value), 8}, 0, static_cast<u32>(cpu));
    }
    CHECK(must(machine.run(own, XdpInput{}, {.cpu = 1})).result == 101);
    CHECK(must(machine.run(own, XdpInput{}, {.cpu = 2})).result == 102);
    CHECK(must(machine.run(of_cpu(2), XdpInput{}, {.cpu = 1})).result == 102);
    CHECK(must(machine.run(of_cpu(3), XdpInput{}, {.cpu = 1})).result == 7);
}

TEST_CASE("records of a ring buffer reach its consumer", "[interpreter][helpers]")
{
    const MapSpec spec{.name = "ring", .type = MapType::ringbuf, .max_entries = 4096};
    const Insns output = join({{store(Width::w64, fp, -8, 0x0102), mov64(r2, fp), alu64(Alu::add, r2, -8),
                                load_map(r1), mov64(r3, 8), mov64(r4, 0)},
                               call(Helper::ringbuf_output),
                               {mov64(r7, r0)}});
    const Insns reserve = join({{load_map(r1), mov64(r2, 4), mov64(r3, 0)},
                                call(Helper::ringbuf_reserve),
                                {jump(Jmp::ne, r0, 0, 2), mov64(r0, 7), exit(), store(Width::w32, r0, 0, 9),
                                 mov64(r1, r0), mov64(r2, 0)},
                                call(Helper::ringbuf_submit)});
    const Insns query = join({{load_map(r1), mov64(r2, 0)}, call(Helper::ringbuf_query), {exit()}});
    Machine machine;
    const auto program = must_load(machine, program_of(xdp, join({output, reserve, query}), {spec}));
    const Outcome outcome = must(machine.run(program, XdpInput{}));
    CHECK(outcome.result == 32);
    CHECK(outcome.calls == std::vector{Helper::ringbuf_output, Helper::ringbuf_reserve,
                                       Helper::ringbuf_submit, Helper::ringbuf_query});
    const std::vector<std::vector<u8>> records{{2, 1, 0, 0, 0, 0, 0, 0}, {9, 0, 0, 0}};
    CHECK(machine.ring("ring").take() == records);
    // Flags that the kernel does not know; a record that does not fit.
    const auto odd = must_load(
        machine, program_of(xdp,
                            join({{store(Width::w64, fp, -8, 0), mov64(r2, fp), alu64(Alu::add, r2, -8),
                                   load_map(r1), mov64(r3, 8), mov64(r4, 4)},
                                  call(Helper::ringbuf_output),
                                  {exit()}}),
                            {spec}));
    CHECK(signed_result(must(machine.run(odd, XdpInput{}))) == -EINVAL);
    const auto large = must_load(machine, program_of(xdp,
                                                     join({{load_map(r1), mov64(r2, 4096), mov64(r3, 0)},
                                                           call(Helper::ringbuf_reserve),
                                                           {exit()}}),
                                                     {spec}));
    CHECK(must(machine.run(large, XdpInput{})).result == 0);
    const auto with_flag = must_load(
        machine,
        program_of(
            xdp, join({{load_map(r1), mov64(r2, 8), mov64(r3, 1)}, call(Helper::ringbuf_reserve), {exit()}}),
            {spec}));
    CHECK(must(machine.run(with_flag, XdpInput{})).result == 0);
}

TEST_CASE("bpf_loop calls a function with the index until it says stop", "[interpreter][helpers]")
{
    // Adds index to the number at r2; stops behind index `last`.
    const auto program = [](i64 times, i64 last, i64 flags = 0) {
        return Insns{store(Width::w64, fp, -8, 0), mov64(r1, times), ld_imm64(r2, 9, Pseudo::func),
                     mov64(r3, fp), alu64(Alu::add, r3, -8), mov64(r4, flags),
                     call_helper(static_cast<i64>(Helper::loop)), load(Width::w64, r1, fp, -8),
                     alu64(Alu::lsh, r1, 32), alu64(Alu::or_, r0, r1), exit(),
                     // the function
                     load(Width::w64, r3, r2, 0), alu64(Alu::add, r3, r1), store(Width::w64, r2, 0, r3),
                     mov64(r0, 0), jump(Jmp::ne, r1, last, 1), mov64(r0, 1)};
    };
    CHECK(result_of(program(5, 100)) == (u64{0 + 1 + 2 + 3 + 4} << 32 | 5));
    CHECK(result_of(program(5, 2)) == (u64{0 + 1 + 2} << 32 | 3));
    CHECK(result_of(program(0, 2)) == 0);
    CHECK(static_cast<i64>(result_of(program(8 * 1024 * 1024 + 1, 2))) == -E2BIG);
    CHECK(static_cast<i64>(result_of(program(5, 2, 1))) == -EINVAL);
}

TEST_CASE("an XDP program reads and writes its packet up to the end, and its metadata before it",
          "[interpreter][packet]")
{
    const Insns body{load(Width::w32, r2, r1, 0),   load(Width::w32, r3, r1, 4),
                     load(Width::w32, r4, r1, 8),   mov64(r5, r3),
                     alu64(Alu::sub, r5, r2),       load(Width::w64, r0, r2, 8),
                     store(Width::w16, r2, 14, -1), load(Width::w32, r6, r4, 0),
                     store(Width::w32, r2, 0, r6),  alu64(Alu::lsh, r5, 56),
                     alu64(Alu::xor_, r0, r5),      exit()};
    const Outcome outcome =
        must(interpret(program_of(xdp, body), XdpInput{.frame = counting_frame(20), .meta_bytes = 4}));
    CHECK(outcome.result == (0x131211100f0e0d0c ^ u64{16} << 56));
    CHECK(outcome.frame ==
          std::vector<u8>{0, 1, 2, 3, 0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 255, 255});
}

TEST_CASE("data and data_end are compared wherever the packet lies", "[interpreter][packet]")
{
    // data + `bytes` > data_end
    const auto beyond = [](i64 bytes) {
        const Insns body{load(Width::w32, r2, r1, 0),
                         load(Width::w32, r3, r1, 4),
                         alu64(Alu::add, r2, bytes),
                         mov64(r0, 1),
                         jump(Jmp::gt, r2, r3, 1),
                         mov64(r0, 0),
                         exit()};
        return must(interpret(program_of(xdp, body), XdpInput{.frame = counting_frame(20)})).result;
    };
    CHECK(beyond(20) == 0);
    CHECK(beyond(21) == 1);
    CHECK(beyond(-1) == 0);
}

TEST_CASE("of an XDP frame in several buffers the first is seen, and the length of all is told",
          "[interpreter][packet]")
{
    const Insns body =
        join({{load(Width::w32, r6, r1, 0), load(Width::w32, r7, r1, 4)},
              call(Helper::xdp_get_buff_len),
              {alu64(Alu::sub, r7, r6), alu64(Alu::lsh, r7, 8), alu64(Alu::or_, r0, r7), exit()}});
    const Input input = XdpInput{.frame = counting_frame(50), .meta_bytes = 4, .linear = 20};
    CHECK(must(interpret(program_of(xdp, body), input)).result == (20 << 8 | 46));
}

TEST_CASE("the context has the fields it was given", "[interpreter][packet]")
{
    const auto field = [](i16 off) {
        const Input input = XdpInput{.context = {.ingress_ifindex = 3, .rx_queue_index = 4}};
        return must(interpret(program_of(xdp, {load(Width::w32, r0, r1, off), exit()}), input)).result;
    };
    CHECK(field(offsetof(XdpMd, ingress_ifindex)) == 3);
    CHECK(field(offsetof(XdpMd, rx_queue_index)) == 4);

    const SkbInput skb{
        .frame = counting_frame(20), .context = {.mark = 0x11223344, .ifindex = 9}, .linear = 14};
    CHECK(run_skb({load(Width::w32, r0, r1, offsetof(SkBuff, len))}, skb).result == 20);
    CHECK(run_skb({load(Width::w32, r0, r1, offsetof(SkBuff, ifindex))}, skb).result == 9);
    CHECK(run_skb({load(Width::w8, r0, r1, offsetof(SkBuff, mark) + 1)}, skb).result == 0x33);
    const Outcome outcome = run_skb({load(Width::w32, r2, r1, offsetof(SkBuff, data)),
                                     load(Width::w32, r3, r1, offsetof(SkBuff, data_end)),
                                     store(Width::w32, r1, offsetof(SkBuff, mark), 5),
                                     store(Width::w64, r1, offsetof(SkBuff, cb) + 8, -1),
                                     load(Width::w16, r0, r1, offsetof(SkBuff, cb) + 8),
                                     alu64(Alu::sub, r3, r2), alu64(Alu::add, r0, r3)},
                                    skb);
    CHECK(outcome.result == 0xffff + 14);
    CHECK(outcome.skb.mark == 5);
    CHECK(outcome.skb.cb == std::array<u32, 5>{0, 0, 0xffffffff, 0xffffffff, 0});
    CHECK(outcome.skb.len == 20);
}

TEST_CASE("classic packet loads give host order, and end the program beyond the packet",
          "[interpreter][packet]")
{
    const auto loaded = [](const Insn& insn) {
        return run_skb({mov64(r7, 20), insn}, {.frame = counting_frame(64), .linear = 14}).result;
    };
    CHECK(loaded(load_abs(Width::w8, 16)) == 16);
    CHECK(loaded(load_abs(Width::w16, 16)) == 0x1011);
    CHECK(loaded(load_abs(Width::w32, 16)) == 0x10111213);
    CHECK(loaded(load_ind(Width::w8, r7, 1)) == 21);
    CHECK(loaded(load_ind(Width::w16, r7, 0)) == 0x1415);
    CHECK(loaded(load_ind(Width::w32, r7, -4)) == 0x10111213);
    CHECK(loaded(load_abs(Width::w32, 60)) == 0x3c3d3e3f);
    CHECK(run_skb({mov64(r0, 7), load_abs(Width::w32, 61), mov64(r0, 7)}, {.frame = counting_frame(64)})
              .result == 0);
}

TEST_CASE("skb_pull_data makes as much linear as was asked for, or nothing", "[interpreter][packet]")
{
    // -errno, or the length of the linear part afterwards.
    const auto pull = [](i64 bytes) {
        return signed_result(
            run_skb(join({{mov64(r2, bytes)},
                          call(Helper::skb_pull_data),
                          {load(Width::w32, r2, r6, offsetof(SkBuff, data)),
                           load(Width::w32, r3, r6, offsetof(SkBuff, data_end)), jump(Jmp::ne, r0, 0, 2),
                           mov64(r0, r3), alu64(Alu::sub, r0, r2)}}),
                    {.frame = counting_frame(64), .linear = 14}));
    };
    CHECK(pull(40) == 40);
    CHECK(pull(64) == 64);
    CHECK(pull(10) == 14);
    CHECK(pull(0) == 14);
    CHECK(pull(65) == -ENOMEM);
}

TEST_CASE("a run reports its steps, its trace, and each helper in order", "[interpreter]")
{
    std::vector<u32> slots;
    const Insns body = join({{mov64(r6, 2), ld_imm64(r7, 1)},
                             call(Helper::jiffies64),
                             {alu64(Alu::sub, r6, 1), jump(Jmp::ne, r6, 0, -3)},
                             call(Helper::ktime_get_ns),
                             {exit()}});
    const Outcome outcome = must(interpret(program_of(xdp, body), XdpInput{}, {.monotonic_ns = 5},
                                           {.trace = [&](u32 slot) { slots.push_back(slot); }}));
    CHECK(slots == std::vector<u32>{0, 1, 3, 4, 5, 3, 4, 5, 6, 7});
    CHECK(outcome.steps == 10);
    CHECK(outcome.calls == std::vector{Helper::jiffies64, Helper::jiffies64, Helper::ktime_get_ns});
    CHECK(outcome.verdict() == 5);
}

TEST_CASE("a profile counts steps and helpers by note and by line", "[interpreter]")
{
    Dsl b("counted", xdp, AttachType::xdp);
    b.release_context();
    b.note("first");
    b.call(Helper::jiffies64, {});
    const u32 first = __LINE__ - 1;
    b.emit(mov64(r6, 3));
    b.note("loop");
    const Label again = b.label("again");
    b.bind(again);
    b.call(Helper::ktime_get_ns, {});
    b.emit(alu64(Alu::sub, r6, 1));
    b.jump_if({.op = Jmp::ne, .left = r6, .right = i64{0}}, again);
    b.note("first");
    b.emit(mov64(r0, 1));
    b.exit(no_reason);
    const auto made = b.finish();
    REQUIRE(made);
    Machine machine;
    const auto program = must_load(machine, *made);
    Profile profile(*made);
    const Outcome outcome = must(machine.run(program, XdpInput{}, {}, {.trace = profile.trace()}));
    CHECK(profile.steps() == outcome.steps);
    CHECK(profile.at(2) == 3);
    const auto notes = profile.by_note();
    REQUIRE(notes.size() == 2);
    CHECK(notes[0].note == "first");
    CHECK(notes[0].steps == 4);
    CHECK(notes[0].calls == std::vector{static_cast<u32>(Helper::jiffies64)});
    CHECK(notes[0].line == first);
    CHECK(notes[1].note == "loop");
    CHECK(notes[1].steps == 9);
    CHECK(notes[1].calls == std::vector<u32>(3, static_cast<u32>(Helper::ktime_get_ns)));
    const auto lines = profile.by_line();
    REQUIRE(lines.size() == 7);
    CHECK(lines[0].steps == 1);
    CHECK(lines[0].file == "interpreter_helper_test.cpp");
}
