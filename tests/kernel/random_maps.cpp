#include "random_maps.hpp"

#include <cstdlib>

#include "lb/asm/encode.hpp"
#include "lb/asm/helpers.hpp"

namespace lb::test {

using namespace bpf;

namespace {

constexpr Reg context = r6, packet = r7, sum = r8, found = r9;
constexpr i16 key_at = -8, value_at = -16; // on the stack

const std::vector<MapSpec> maps = {
    Map<u32, u64>("hash", MapType::hash, 3),
    Map<u32, u64>("hash_na", MapType::hash, 3, map_no_prealloc),
    Map<u32, u64>("percpu_hash", MapType::percpu_hash, 2),
    Map<u32, u64>("array", MapType::array, 3),
    Map<u32, u64>("percpu_array", MapType::percpu_array, 3),
    Map<RouteKey, u64>("routes", MapType::lpm_trie, 4, map_no_prealloc),
    {.name = "ring", .type = MapType::ringbuf, .max_entries = 4096},
};

class Calls {
public:
    explicit Calls(Source& random) : random_(random) {}

    Program finish(ProgramType type, AttachType attach, std::vector<MapSpec> used)
    {
        Program program{.name = "random_calls", .type = type, .attach = attach, .code = std::move(code_)};
        program.relocs = std::move(relocs_);
        program.maps = std::move(used);
        return program;
    }

    void put(const Insn& insn)
    {
        if (!encode(insn, code_)) std::abort(); // the generator's fault
    }
    void put_map(Reg reg, const std::string& name, Pseudo kind = Pseudo::map_fd)
    {
        const bool value = kind == Pseudo::map_value;
        relocs_.push_back(
            {value ? Reloc::Kind::map_value : Reloc::Kind::map_fd, static_cast<u32>(code_.size()), name});
        put(ld_imm64(reg, 0, kind));
    }
    void put_pointer(Reg reg, i16 at)
    {
        put(mov64(reg, fp));
        put(alu64(Alu::add, reg, i64{at}));
    }
    void call(Helper helper) { put(call_helper(static_cast<i64>(helper))); }
    /// sum = sum * 31 + reg
    void fold(Reg reg)
    {
        put(alu64(Alu::mul, sum, i64{31}));
        put(alu64(Alu::add, sum, reg));
    }

    // ---- operations on maps

    void key(const MapSpec& map)
    {
        if (map.type != MapType::lpm_trie) return put(store(Width::w32, fp, key_at, i64{random_.below(5)}));
        static constexpr u32 lengths[] = {0, 1, 7, 8, 9, 24, 31, 32, 33};
        static constexpr u32 addresses[] = {0x0a000000, 0x0a000001, 0x0a000100, 0x0b000000, 0x80000000};
        put(store(Width::w32, fp, key_at, i64{random_.of(lengths)}));
        put(store(Width::w32, fp, key_at + 4, static_cast<i32>(be32(random_.of(addresses)).raw)));
    }

    void operation()
    {
        const MapSpec& map = maps[random_.below(static_cast<u32>(maps.size()))];
        if (map.type == MapType::ringbuf) return ring_operation(map);
        key(map);
        switch (random_.below(5)) {
        case 0:
        case 1:
            return update(map);
        case 2:
            return remove(map);
        default:
            return lookup(map);
        }
    }

    void update(const MapSpec& map)
    {
        put(store(Width::w64, fp, value_at, i64{random_.immediate()}));
        put_map(r1, map.name);
        put_pointer(r2, key_at);
        put_pointer(r3, value_at);
        put(mov64(r4, i64{random_.one_in(8) ? 3 : random_.below(3)}));
        call(Helper::map_update_elem);
        fold(r0);
    }

    void remove(const MapSpec& map)
    {
        put_map(r1, map.name);
        put_pointer(r2, key_at);
        call(Helper::map_delete_elem);
        fold(r0);
    }

    /// What is found is folded in, and changed.
    void lookup(const MapSpec& map)
    {
        const bool per_cpu = map.type == MapType::percpu_array || map.type == MapType::percpu_hash;
        put_map(r1, map.name);
        put_pointer(r2, key_at);
        if (per_cpu && random_.one_in(2)) {
            put(mov64(r3, i64{random_.below(2)}));
            call(Helper::map_lookup_percpu_elem);
        } else {
            call(Helper::map_lookup_elem);
        }
        put(jump(Jmp::eq, r0, i64{0}, 5));
        put(load(Width::w64, r1, r0, 0));
        fold(r1);
        put(mov64(r2, sum));
        put(random_.one_in(2) ? store(Width::w64, r0, 0, r2) : atomic(Atomic::add, Width::w64, r0, 0, r2));
    }

    void ring_operation(const MapSpec& map)
    {
        put_map(r1, map.name);
        switch (random_.below(3)) {
        case 0: {
            put(store(Width::w64, fp, value_at, i64{random_.immediate()}));
            put_pointer(r2, value_at);
            put(mov64(r3, i64{random_.below(9)}));
            put(mov64(r4, i64{random_.one_in(8) ? 4 : random_.below(3)}));
            call(Helper::ringbuf_output);
            return fold(r0);
        }
        case 1:
            put(mov64(r2, i64{random_.below(5)}));
            call(Helper::ringbuf_query);
            return fold(r0);
        default:
            return reserve();
        }
    }

    void reserve()
    {
        static constexpr u32 sizes[] = {8, 9, 100, 1000, 2040, 4080, 4087, 4088, 5000};
        put(mov64(r2, i64{random_.of(sizes)}));
        put(mov64(r3, i64{0}));
        call(Helper::ringbuf_reserve);
        put(jump(Jmp::eq, r0, i64{0}, 6));
        put(alu64(Alu::add, sum, i64{1}));
        put(mov64(r1, sum)); // the first 8 bytes; nobody looks at the rest
        put(store(Width::w64, r0, 0, r1));
        put(mov64(r1, r0));
        put(mov64(r2, i64{0}));
        call(random_.one_in(3) ? Helper::ringbuf_discard : Helper::ringbuf_submit);
    }

    // ---- operations on an skb

    void skb_operation()
    {
        put(mov64(r1, context));
        if (random_.one_in(4)) {
            put(mov64(r2, i64{random_.below(160)}));
            call(Helper::skb_pull_data);
        } else {
            const u64 bits = (random_.below(4) << 4) | (random_.one_in(3) ? 1u << 6 : 0);
            static constexpr u64 sizes[] = {0, 2, 4, 2, 4, 3};
            const u64 size = random_.of(sizes);
            put(mov64(r2, i64{random_.one_in(16) ? 0x10000 : random_.below(136)}));
            put(ld_imm64(r3, size == 0 && !random_.one_in(8) ? 0 : random_.number()));
            put(ld_imm64(r4, random_.number()));
            put(mov64(r5, static_cast<i64>(bits | size | (random_.one_in(16) ? 1u << 8 : 0))));
            call(Helper::l4_csum_replace);
        }
        fold(r0);
    }

private:
    Source& random_;
    std::vector<RawInsn> code_ = {};
    std::vector<Reloc> relocs_ = {};
};

} // namespace

std::vector<MapSpec> random_maps() { return maps; }

Program random_map_program(Source& random, u32 size)
{
    Calls calls(random);
    calls.put(load(Width::w32, packet, r1, 0));
    calls.put(load(Width::w32, r2, r1, 4));
    calls.put(mov64(r1, packet));
    calls.put(alu64(Alu::add, r1, i64{8}));
    calls.put(jump(Jmp::le, r1, r2, 2));
    calls.put(mov64(r0, i64{0}));
    calls.put(exit());
    calls.put(load(Width::w64, sum, packet, 0)); // a number that the verifier cannot know
    for (u32 i = 0; i < size; ++i) calls.operation();
    calls.put(store(Width::w64, packet, 0, sum));
    calls.put(mov64(r0, i64{2}));
    calls.put(exit());
    return calls.finish(ProgramType::xdp, AttachType::xdp, maps);
}

Program random_skb_program(Source& random, u32 size)
{
    Calls calls(random);
    calls.put(mov64(context, r1));
    calls.put(load(Width::w32, sum, r1, 0)); // skb->len
    for (u32 i = 0; i < size; ++i) calls.skb_operation();
    calls.put_map(found, words_map().name, Pseudo::map_value);
    calls.put(store(Width::w64, found, 0, sum));
    calls.put(mov64(r0, i64{0}));
    calls.put(exit());
    return calls.finish(ProgramType::sched_cls, AttachType::none, {words_map()});
}

} // namespace lb::test
