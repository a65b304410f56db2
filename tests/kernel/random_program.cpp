#include "random_program.hpp"

#include <cstdlib>
#include <optional>

#include "lb/asm/encode.hpp"

namespace lb::test {

using namespace bpf;

namespace {

// Where things are while the random steps run: numbers in r0-r5, a pointer for the moment in r6, the packet
// in r7, the map's value in r9; the last 64 bytes of the stack are written.
constexpr Reg numbers[] = {r0, r1, r2, r3, r4, r5};
constexpr Reg pointer = r6, packet = r7, counter = r8, value = r9;
constexpr i16 at_registers = 0, at_stack = 48, at_scratch = 112; // in the packet; 64 bytes each, 48 the first
constexpr i16 stack_words = 8, scratch_bytes = 64;

constexpr Width widths[] = {Width::w8, Width::w16, Width::w32, Width::w64};

class Generator {
public:
    Generator(Source& random, u32 size) : random_(random), size_(size) {}

    Program make()
    {
        prologue();
        for (u32 i = 0; i < size_; ++i) step();
        bind_all();
        epilogue();
        // Behind the end: the functions that were called.
        while (!calls_.empty()) function();
        return link();
    }

private:
    struct Item {
        Insn insn = {};
        std::optional<u32> target = {}; ///< index of the item to go to or to call
    };
    /// A jump whose target comes some steps later.
    struct Open {
        u32 item = 0;
        u32 steps = 0;
    };

    u32 put(const Insn& insn)
    {
        items_.push_back({insn});
        return static_cast<u32>(items_.size() - 1);
    }
    u32 here() const { return static_cast<u32>(items_.size()); }
    void bind(u32 item) { items_[item].target = here(); }
    Reg any() { return random_.of(numbers); }

    void prologue()
    {
        put(load(Width::w32, packet, r1, 0));
        put(load(Width::w32, r3, r1, 4));
        put(mov64(r2, packet));
        put(alu64(Alu::add, r2, i64{random_packet_bytes}));
        const u32 enough = put(jump(Jmp::le, r2, r3));
        put(mov64(r0, 0));
        put(exit());
        bind(enough);
        put(ld_imm64(value, 0, Pseudo::map_value));
        for (i16 i = 0; i < stack_words; ++i) {
            put(load(Width::w64, r0, packet, static_cast<i16>(at_stack + 8 * i)));
            put(store(Width::w64, fp, static_cast<i16>(-8 * (i + 1)), r0));
        }
        reload(numbers);
    }

    template <std::size_t N> void reload(const Reg (&registers)[N])
    {
        for (const Reg reg : registers)
            put(load(Width::w64, reg, packet, static_cast<i16>(at_registers + 8 * reg.index)));
    }

    void epilogue()
    {
        for (const Reg reg : numbers)
            put(store(Width::w64, packet, static_cast<i16>(at_registers + 8 * reg.index), reg));
        for (i16 i = 0; i < stack_words; ++i) {
            put(load(Width::w64, r1, fp, static_cast<i16>(-8 * (i + 1))));
            put(store(Width::w64, packet, static_cast<i16>(at_stack + 8 * i), r1));
        }
        put(exit());
    }

    void step()
    {
        close();
        switch (random_.below(16)) {
        case 0:
            return put_jump();
        case 1:
            return random_.one_in(2) ? choice() : loop();
        case 2:
            return random_.one_in(3) ? call() : memory();
        case 3:
        case 4:
            return memory();
        case 5:
            return atomics();
        case 6:
            return through_pointer();
        case 7:
            put(ld_imm64(any(), random_.number()));
            return;
        default:
            return arithmetic(numbers);
        }
    }

    // ---- arithmetic

    template <std::size_t N> void arithmetic(const Reg (&registers)[N])
    {
        static constexpr Alu plain[] = {Alu::add,  Alu::sub,  Alu::mul, Alu::or_,
                                        Alu::and_, Alu::xor_, Alu::mov};
        static constexpr Alu shifts[] = {Alu::lsh, Alu::rsh, Alu::arsh};
        static constexpr Alu divisions[] = {Alu::div, Alu::mod};
        const Reg dst = random_.of(registers), src = random_.of(registers);
        const bool wide = random_.one_in(2), immediate = random_.one_in(2);
        const auto with = [&](Alu op, i64 imm) {
            put(immediate ? (wide ? alu64(op, dst, imm) : alu32(op, dst, imm))
                          : (wide ? alu64(op, dst, src) : alu32(op, dst, src)));
        };
        switch (random_.below(6)) {
        case 0:
            return with(random_.of(shifts), random_.below(wide ? 64 : 32));
        case 1: {
            i64 by = random_.immediate();
            if (by == 0) by = 3;
            const Alu op = random_.of(divisions);
            if (random_.one_in(2)) return with(op, by);
            put(immediate ? (wide ? sdiv64(op, dst, by) : sdiv32(op, dst, by))
                          : (wide ? sdiv64(op, dst, src) : sdiv32(op, dst, src)));
            return;
        }
        case 2:
            return unary(dst, src, wide);
        default:
            return with(random_.of(plain), random_.immediate());
        }
    }

    void unary(Reg dst, Reg src, bool wide)
    {
        static constexpr i64 sizes[] = {16, 32, 64};
        static constexpr i16 signs[] = {8, 16, 32};
        switch (random_.below(5)) {
        case 0:
            put(wide ? neg64(dst) : neg32(dst));
            return;
        case 1:
            put(to_be(dst, random_.of(sizes)));
            return;
        case 2:
            put(random_.one_in(2) ? to_le(dst, random_.of(sizes)) : bswap(dst, random_.of(sizes)));
            return;
        default:
            put(wide ? movsx64(dst, src, random_.of(signs)) : movsx32(dst, src, signs[random_.below(2)]));
        }
    }

    // ---- control

    Insn condition()
    {
        static constexpr Jmp ops[] = {Jmp::eq,  Jmp::ne,  Jmp::gt,  Jmp::ge,  Jmp::lt, Jmp::le,
                                      Jmp::set, Jmp::sgt, Jmp::sge, Jmp::slt, Jmp::sle};
        const Jmp op = random_.of(ops);
        if (random_.one_in(2)) {
            const i64 imm = random_.immediate();
            return random_.one_in(2) ? jump(op, any(), imm) : jump32(op, any(), imm);
        }
        return random_.one_in(2) ? jump(op, any(), any()) : jump32(op, any(), any());
    }

    /// Over the next few steps.
    void put_jump() { open_.push_back({put(condition()), 1 + random_.below(8)}); }

    void close()
    {
        std::erase_if(open_, [&](Open& each) {
            if (--each.steps != 0) return false;
            bind(each.item);
            return true;
        });
    }

    void bind_all()
    {
        for (const Open& each : open_) bind(each.item);
        open_.clear();
    }

    /// `if ... else`, with a goto of either kind.
    void choice()
    {
        const u32 otherwise = put(condition());
        arithmetic(numbers);
        const u32 end = put(random_.one_in(2) ? go() : go_long());
        bind(otherwise);
        arithmetic(numbers);
        arithmetic(numbers);
        bind(end);
    }

    /// A few rounds, which may be left early.
    void loop()
    {
        put(mov64(counter, i64{1 + random_.below(6)}));
        const u32 again = here();
        for (u32 i = 1 + random_.below(4); i > 0; --i) arithmetic(numbers);
        const u32 leave = put(condition());
        put(alu64(Alu::sub, counter, i64{1}));
        items_[put(jump(Jmp::ne, counter, i64{0}))].target = again;
        bind(leave);
    }

    void call()
    {
        calls_.push_back(put(call_local()));
        static constexpr Reg lost[] = {r1, r2, r3, r4, r5};
        reload(lost);
    }

    /// A function for the last call that has none yet, which others may share.
    void function()
    {
        do {
            bind(calls_.back());
            calls_.pop_back();
        } while (!calls_.empty() && random_.one_in(2));
        static constexpr Reg own[] = {r1, r2, r3, r4, r5};
        put(store(Width::w64, fp, -8, random_.of(own)));
        for (u32 i = 1 + random_.below(6); i > 0; --i) arithmetic(own);
        put(mov64(r6, random_.of(own)));
        put(load(Width::w64, r0, fp, -8));
        put(alu64(Alu::xor_, r0, r6));
        put(exit());
    }

    // ---- memory

    /// A base and a distance at which `bytes` lie, aligned where that is asked for or the stack is meant.
    std::pair<Reg, i16> place(u32 bytes, bool aligned, bool with_packet)
    {
        const u32 which = random_.below(with_packet ? 3 : 2);
        const bool round = aligned || which == 0;
        u32 at = random_.below(scratch_bytes - bytes + 1);
        if (round) at -= at % bytes;
        if (which == 0) return {fp, static_cast<i16>(static_cast<i32>(at) - scratch_bytes)};
        if (which == 1) return {value, static_cast<i16>(at)};
        return {packet, static_cast<i16>(at_scratch + static_cast<i32>(at))};
    }

    void memory()
    {
        const Width width = random_.of(widths);
        const u32 bytes = bytes_of(width);
        const auto [base, off] = place(bytes, false, true);
        switch (random_.below(6)) {
        case 0:
            put(width == Width::w64 ? load(width, any(), base, off) : load_signed(width, any(), base, off));
            return;
        case 1:
        case 2:
            put(load(width, any(), base, off));
            return;
        case 3:
            put(store(width, base, off, i64{random_.immediate()}));
            return;
        default:
            put(store(width, base, off, any()));
        }
    }

    void atomics()
    {
        static constexpr Atomic ops[] = {
            Atomic::add,      Atomic::or_,       Atomic::and_,      Atomic::xor_, Atomic::fetch_add,
            Atomic::fetch_or, Atomic::fetch_and, Atomic::fetch_xor, Atomic::xchg, Atomic::cmpxchg};
        if (random_.one_in(4)) {
            const Width width = random_.of(widths);
            const auto [base, off] = place(bytes_of(width), true, false);
            put(random_.one_in(2) ? load_acquire(width, any(), base, off)
                                  : store_release(width, base, off, any()));
            return;
        }
        const Width width = random_.one_in(2) ? Width::w32 : Width::w64;
        const auto [base, off] = place(bytes_of(width), true, false);
        const Atomic op = random_.of(ops);
        // Linux 6.18's verifier takes what such an operation fetched for what was stored on the path that it
        // looked at first: backwards, it does not follow the value from the register into the stack. So it
        // must not know what is stored there.
        const bool fetches = static_cast<i32>(op) & 1;
        if (fetches && base == fp)
            put(atomic(Atomic::xor_, Width::w64, fp, static_cast<i16>(off & ~7), any()));
        // One that will match, half of the time.
        if (op == Atomic::cmpxchg && random_.one_in(2)) put(load(width, r0, base, off));
        // Linux 6.18 can forget to clear r0's upper half after a 32-bit one that matches, where a path that
        // uses r0 was pruned against one that had set it anew: so it is clear before.
        if (op == Atomic::cmpxchg && width == Width::w32) put(alu32(Alu::mov, r0, r0));
        put(atomic(op, width, base, off, any()));
    }

    /// At a distance that is known at run time only.
    void through_pointer()
    {
        put(mov64(pointer, any()));
        put(alu64(Alu::and_, pointer, i64{scratch_bytes - 8}));
        put(alu64(Alu::add, pointer, value));
        const Width width = random_.of(widths);
        if (random_.one_in(2))
            put(load(width, any(), pointer, 0));
        else
            put(store(width, pointer, 0, any()));
    }

    // ---- linking

    Program link() const
    {
        Program program{.name = "random", .type = ProgramType::xdp, .attach = AttachType::xdp};
        std::vector<u32> slot(items_.size() + 1);
        for (std::size_t i = 0; i < items_.size(); ++i) slot[i + 1] = slot[i] + slots(items_[i].insn);
        for (std::size_t i = 0; i < items_.size(); ++i) {
            Insn insn = items_[i].insn;
            if (items_[i].target) {
                const i64 distance = i64{slot[*items_[i].target]} - i64{slot[i]} - 1;
                if (is_call(insn) || insn.opcode == opcode_gotol)
                    insn.imm = distance;
                else
                    insn.off = narrow<i16>(distance).value();
            }
            if (insn.opcode == opcode_ld_imm64 && insn.src != r0)
                program.relocs.push_back({Reloc::Kind::map_value, slot[i], words_map().name});
            if (!encode(insn, program.code)) std::abort(); // the generator's fault
        }
        program.maps = {words_map()};
        return program;
    }

    Source& random_;
    u32 size_;
    std::vector<Item> items_ = {};
    std::vector<Open> open_ = {};
    std::vector<u32> calls_ = {}; ///< whose function is not there yet
};

} // namespace

u64 Source::number()
{
    static constexpr u64 edges[] = {0,
                                    1,
                                    2,
                                    7,
                                    8,
                                    0x7f,
                                    0x80,
                                    0xff,
                                    0x7fff,
                                    0x8000,
                                    0xffff,
                                    0x7fffffff,
                                    0x80000000,
                                    0xffffffff,
                                    0x100000000,
                                    ~u64{0},
                                    ~u64{1},
                                    u64{1} << 63,
                                    (u64{1} << 63) - 1,
                                    0xffffffff80000000};
    if (one_in(2)) return of(edges);
    return bits() >> below(64);
}

MapSpec words_map() { return Map<u32, std::array<u64, 8>>("words", MapType::array, 1); }

Program random_program(Source& random, u32 size) { return Generator(random, size).make(); }

} // namespace lb::test
