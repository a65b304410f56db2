// The kernel's helper functions, as far as they are interpreted: those that lb's programs call, and bpf_loop.
// Results and errno as in kernel/bpf/helpers.c, ringbuf.c and net/core/filter.c.
#include <array>
#include <cerrno>
#include <cstring>

#include "asm/interpreter_run.hpp"

namespace lb::bpf {

bool Run::number(u8 argument, u64& out) { return read_number(Reg{argument}, out); }

bool Run::context_argument(u8 argument)
{
    const Value& value = regs_[argument];
    if (value.kind == Value::Kind::context && value.bits == 0) return true;
    return fail(FaultKind::bad_argument,
                "argument " + std::to_string(argument) + " is " + describe(value) + ", not the context");
}

MapMemory* Run::map(u8 argument)
{
    const Value& value = regs_[argument];
    if (value.kind == Value::Kind::map) return maps_[value.map].get();
    fail(FaultKind::bad_argument,
         "argument " + std::to_string(argument) + " is " + describe(value) + ", not a map");
    return nullptr;
}

RingMemory* Run::ring(u8 argument)
{
    MapMemory* found = map(argument);
    if (!found || found->ring()) return found ? found->ring() : nullptr;
    fail(FaultKind::bad_argument, "map '" + found->spec().name + "' is no ring buffer");
    return nullptr;
}

const u8* Run::readable(u8 argument, u64 size, std::string_view what)
{
    Value base;
    if (!read(Reg{argument}, base)) return nullptr;
    if (base.kind == Value::Kind::context) {
        fail(FaultKind::bad_argument, std::string(what) + " is in the context");
        return nullptr;
    }
    const u8* memory = locate(base, 0, size, Use::read);
    if (!memory) fault_->message = std::string(what) + ": " + fault_->message;
    return memory;
}

bool Run::next_random(u32& out)
{
    if (randoms_used_ == environment_.random.size())
        return fail(FaultKind::bad_input, "the environment has no random number left");
    out = environment_.random[randoms_used_++];
    return true;
}

namespace {

using Kind = Value::Kind;

/// A negative errno as a 64-bit result.
u64 error(i64 number) { return static_cast<u64>(-number); }

// ---- maps

MapMemory* keyed_map(Run& run)
{
    MapMemory* map = run.map(1);
    if (!map || !map->ring()) return map;
    run.fail(FaultKind::bad_argument, "map '" + map->spec().name + "' is a ring buffer");
    return nullptr;
}

const u8* key_of(Run& run, const MapMemory& map) { return run.readable(2, map.spec().key_size, "the key"); }

bool find_in_map(Run& run, u32 cpu)
{
    MapMemory* map = keyed_map(run);
    const u8* key = map ? key_of(run, *map) : nullptr;
    if (!key) return false;
    const auto element = map->find({key, map->spec().key_size});
    if (!element) return run.give(u64{0});
    return run.give(
        {.id = *element, .map = run.reg(1).map, .kind = Kind::map_value, .cpu = static_cast<u8>(cpu)});
}

bool map_lookup_elem(Run& run) { return find_in_map(run, run.environment().cpu); }

bool map_lookup_percpu_elem(Run& run)
{
    const MapMemory* map = keyed_map(run);
    u64 cpu = 0;
    if (!map || !run.number(3, cpu)) return false;
    if (!map->per_cpu())
        return run.fail(FaultKind::bad_argument, "map '" + map->spec().name + "' is not per CPU");
    if (static_cast<u32>(cpu) >= map->cpus()) return run.give(u64{0});
    return find_in_map(run, static_cast<u32>(cpu));
}

bool map_update_elem(Run& run)
{
    MapMemory* map = keyed_map(run);
    const u8* key = map ? key_of(run, *map) : nullptr;
    const u8* value = key ? run.readable(3, map->spec().value_size, "the value") : nullptr;
    u64 flags = 0;
    if (!value || !run.number(4, flags)) return false;
    // Copies: key and value may lie in this very map.
    const std::vector<u8> key_bytes(key, key + map->spec().key_size);
    const std::vector<u8> value_bytes(value, value + map->spec().value_size);
    return run.give(static_cast<u64>(map->update_raw(key_bytes, value_bytes, flags, run.environment().cpu)));
}

bool map_delete_elem(Run& run)
{
    MapMemory* map = keyed_map(run);
    const u8* key = map ? key_of(run, *map) : nullptr;
    if (!key) return false;
    const std::vector<u8> key_bytes(key, key + map->spec().key_size);
    return run.give(static_cast<u64>(map->remove_raw(key_bytes)));
}

// ---- time, CPU, chance, control

bool jiffies64(Run& run) { return run.give(run.environment().jiffies); }
bool ktime_get_ns(Run& run) { return run.give(run.environment().monotonic_ns); }
bool ktime_get_coarse_ns(Run& run) { return run.give(run.environment().coarse_ns); }
bool get_smp_processor_id(Run& run) { return run.give(u64{run.environment().cpu}); }

bool get_prandom_u32(Run& run)
{
    u32 number = 0;
    return run.next_random(number) && run.give(u64{number});
}

constexpr u64 loops_max = 8 * 1024 * 1024; // the kernel's BPF_MAX_LOOPS

bool loop(Run& run)
{
    u64 times = 0, flags = 0;
    const Value function = run.reg(2), argument = run.reg(3);
    if (!run.number(1, times) || !run.number(4, flags)) return false;
    if (function.kind != Kind::function)
        return run.fail(FaultKind::bad_argument, "argument 2 is " + describe(function) + ", not a function");
    if (argument.kind == Kind::unset)
        return run.fail(FaultKind::uninitialised_register, "r3 is read but not set");
    times = static_cast<u32>(times);
    if (flags != 0) return run.give(error(EINVAL));
    if (times > loops_max) return run.give(error(E2BIG));
    u64 done = 0;
    while (done < times) {
        if (!run.call_back(function.id, Value::number(done), argument)) return false;
        ++done;
        if (!run.reg(0).is_number() || run.reg(0).bits > 1)
            return run.fail(FaultKind::bad_argument, "the function called must return 0 or 1");
        if (run.reg(0).bits == 1) break;
    }
    return run.give(done);
}

// ---- ring buffers

constexpr u64 wakeup_flags = 0b11; // BPF_RB_NO_WAKEUP, BPF_RB_FORCE_WAKEUP

bool ringbuf_output(Run& run)
{
    RingMemory* ring = run.ring(1);
    u64 size = 0, flags = 0;
    if (!ring || !run.number(3, size) || !run.number(4, flags)) return false;
    const u8* data = run.readable(2, size, "the data");
    if (!data) return false;
    if (flags & ~wakeup_flags) return run.give(error(EINVAL));
    return run.give(static_cast<u64>(ring->output({data, size})));
}

bool ringbuf_reserve(Run& run)
{
    RingMemory* ring = run.ring(1);
    u64 size = 0, flags = 0;
    if (!ring || !run.number(2, size) || !run.number(3, flags)) return false;
    const auto id = flags == 0 ? ring->reserve(size) : std::nullopt;
    if (!id) return run.give(u64{0});
    ++run.records_held;
    return run.give({.id = *id, .map = run.reg(1).map, .kind = Kind::record});
}

bool end_record(Run& run, void (RingMemory::*end)(u32))
{
    const Value record = run.reg(1);
    u64 flags = 0;
    if (!run.number(2, flags)) return false;
    if (record.kind != Kind::record || record.bits != 0)
        return run.fail(FaultKind::bad_argument,
                        "argument 1 is " + describe(record) + ", not the start of a ring buffer's record");
    RingMemory& ring = run.ring_of(record);
    if (!ring.is_reserved(record.id))
        return run.fail(FaultKind::stale_pointer, "the record was submitted or discarded already");
    (ring.*end)(record.id);
    --run.records_held;
    run.reg(0) = {};
    return true;
}

bool ringbuf_submit(Run& run) { return end_record(run, &RingMemory::submit); }
bool ringbuf_discard(Run& run) { return end_record(run, &RingMemory::discard); }

bool ringbuf_query(Run& run)
{
    const RingMemory* ring = run.ring(1);
    u64 what = 0;
    return ring && run.number(2, what) && run.give(ring->query(what));
}

// ---- the packet of XDP

bool xdp_get_buff_len(Run& run) { return run.context_argument(1) && run.give(u64{run.packet.length()}); }

struct Row {
    Helper helper;
    bool (*run)(Run&);
    std::optional<ProgramType> type = {}; ///< the only one that has it
};
constexpr auto tc = ProgramType::sched_cls, xdp = ProgramType::xdp;

// By use: the first ones are called for every packet.
constexpr Row rows[] = {
    {Helper::map_lookup_elem, map_lookup_elem},
    {Helper::jiffies64, jiffies64},
    {Helper::l4_csum_replace, l4_csum_replace, tc},
    {Helper::skb_pull_data, skb_pull_data, tc},
    {Helper::xdp_get_buff_len, xdp_get_buff_len, xdp},
    {Helper::map_update_elem, map_update_elem},
    {Helper::map_delete_elem, map_delete_elem},
    {Helper::map_lookup_percpu_elem, map_lookup_percpu_elem},
    {Helper::ktime_get_ns, ktime_get_ns},
    {Helper::ktime_get_coarse_ns, ktime_get_coarse_ns},
    {Helper::get_prandom_u32, get_prandom_u32},
    {Helper::get_smp_processor_id, get_smp_processor_id},
    {Helper::ringbuf_output, ringbuf_output},
    {Helper::ringbuf_reserve, ringbuf_reserve},
    {Helper::ringbuf_submit, ringbuf_submit},
    {Helper::ringbuf_discard, ringbuf_discard},
    {Helper::ringbuf_query, ringbuf_query},
    {Helper::loop, loop},
};

} // namespace

bool run_helper(Run& run, u32 number)
{
    const std::string name(helper_name(number));
    for (const Row& row : rows) {
        if (static_cast<u32>(row.helper) != number) continue;
        if (row.type && run.type() != *row.type)
            return run.fail(FaultKind::unsupported,
                            name + " is for " + (row.type == tc ? "TC" : "XDP") + " programs");
        return row.run(run);
    }
    return run.fail(FaultKind::unsupported, "helper " + name + " is not interpreted");
}

} // namespace lb::bpf
